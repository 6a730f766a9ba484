/*
 * fn.h - the handlers of wasi.def, one a row.
 */
#pragma once

#include "vm/wasi/call.h"

#define FN(name, params, results, since) enum wasi_errno wasi_##name(struct wasi_call *call);
#include "vm/def/wasi.def"
#undef FN
