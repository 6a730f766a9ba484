/* older.c - storage.c by the older names of module and functions. */
#define OLDER
#include "tests/plugins/storage/storage.c"
