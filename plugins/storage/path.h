/*
 * path.h - where a storage is when nobody says so.
 */
#pragma once

#include "plugins/storage/storage.h"

/* The file's path, malloc()ed, for what was asked; see struct wasmedge_storage_options. */
enum wasmedge_storage_status wes_find_path(const char *asked, char **out,
                                               struct wasmedge_storage_error *err);
