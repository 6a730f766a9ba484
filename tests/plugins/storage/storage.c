/*
 * storage.c - calls functions of the storage as its words say, in order:
 *
 *     uuid            print a new key, and whether the byte behind its end was left alone
 *     key TEXT        the 32 bytes that beginStoreTx and beginLoadTx are given from here on;
 *                     shorter ones are filled up with zero bytes
 *     at ADDRESS      give them this address instead
 *     begin store, store32 N, store64 N, end store
 *     begin load, load32, load64, end load  print what was loaded
 *     fill N          storeI32 N times
 *
 * With OLDER it imports the older names.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef OLDER
#define IMPORT(name) \
	__attribute__((import_module("ssvm_native"), import_name("ssvm_storage_" name)))
#else
#define IMPORT(name) \
	__attribute__((import_module("wasmedge_native"), import_name("wasmedge_storage_" name)))
#endif

IMPORT("createUUID") void create_uuid(void *key);
IMPORT("beginStoreTx") void begin_store(const void *key);
IMPORT("storeI32") void store_i32(int32_t value);
IMPORT("storeI64") void store_i64(int64_t value);
IMPORT("endStoreTx") void end_store(void);
IMPORT("beginLoadTx") void begin_load(const void *key);
IMPORT("loadI32") int32_t load_i32(void);
IMPORT("loadI64") int64_t load_i64(void);
IMPORT("endLoadTx") void end_load(void);

static char key[64];
static void *address = key;

static int
is(const char *word, const char *text)
{
	return strcmp(word, text) == 0;
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *word = argv[i];
		const char *next = i + 1 < argc ? argv[i + 1] : "";

		if (is(word, "uuid")) {
			char text[40];
			memset(text, '#', sizeof text);
			create_uuid(address == key ? text : address);
			printf("%s %s\n", text, text[33] == '#' ? "kept" : "changed");
		} else if (is(word, "key")) {
			memset(key, 0, sizeof key);
			strncpy(key, next, sizeof key - 1);
			address = key;
			i++;
		} else if (is(word, "at")) {
			address = (void *)strtoul(next, NULL, 0);
			i++;
		} else if (is(word, "begin") && is(next, "store")) {
			begin_store(address);
			i++;
		} else if (is(word, "begin") && is(next, "load")) {
			begin_load(address);
			i++;
		} else if (is(word, "end") && is(next, "store")) {
			end_store();
			i++;
		} else if (is(word, "end") && is(next, "load")) {
			end_load();
			i++;
		} else if (is(word, "store32")) {
			store_i32((int32_t)strtoll(next, NULL, 0));
			i++;
		} else if (is(word, "store64")) {
			store_i64(strtoll(next, NULL, 0));
			i++;
		} else if (is(word, "load32")) {
			printf("%d\n", load_i32());
		} else if (is(word, "load64")) {
			printf("%lld\n", (long long)load_i64());
		} else if (is(word, "fill")) {
			for (long n = atol(next); n > 0; n--)
				store_i32(1);
			i++;
		} else {
			fprintf(stderr, "what is %s?\n", word);
			return 2;
		}
		fflush(stdout);
	}
	return 0;
}
