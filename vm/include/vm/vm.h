/*
 * vm.h - all of libwasmedge's own C API.
 */
#pragma once

#include "vm/engine.h"
#include "vm/error.h"
#include "vm/instance.h"
#include "vm/linker.h"
#include "vm/module.h"
#include "vm/native.h"
#include "vm/plugins.h"
#include "vm/store.h"
#include "vm/text.h"
#include "vm/type.h"
#include "vm/value.h"
#include "vm/wasi.h"
