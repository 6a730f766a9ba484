#include "tests/support/tier.h"

#include <stdio.h>
#include <string.h>

static const uint8_t key[VM_MAC_KEY_BYTES] = "key of artifacts made by a test";

void
tier_init(struct tier *tier)
{
	*tier = (struct tier){ .level = VM_COMPILE_BEST };
}

/* The value of an option: 1 for yes, 0 for no, -1 for anything else. */
static int
choice(int argc, char *const *argv, int at, const char *yes, const char *no)
{
	if (at + 1 >= argc)
		return -1;
	if (strcmp(argv[at + 1], yes) == 0)
		return 1;
	return strcmp(argv[at + 1], no) == 0 ? 0 : -1;
}

bool
tier_option(struct tier *tier, int argc, char *const *argv, int *at)
{
	const char *name = argv[*at];
	int yes;

	if (strcmp(name, "--metered") == 0) {
		tier->is_metered = true;
		return true;
	}
	if (strcmp(name, "--canonical-nans") == 0) {
		tier->canonical_nans = true;
		return true;
	}
	if (strcmp(name, "--tier") == 0 && (yes = choice(argc, argv, *at, "native", "interp")) >= 0)
		tier->is_native = yes;
	else if (strcmp(name, "--level") == 0 &&
	         (yes = choice(argc, argv, *at, "best", "fast")) >= 0)
		tier->level = yes ? VM_COMPILE_BEST : VM_COMPILE_FAST;
	else
		return false;
	(*at)++;
	return true;
}

const char *
tier_text(const struct tier *tier, char *buf, size_t size)
{
	const char *level = tier->level == VM_COMPILE_FAST ? ", fast" : ", best";

	snprintf(buf, size, "%s%s%s%s", tier->is_native ? "native" : "interp",
	         tier->is_native ? level : "", tier->is_metered ? ", metered" : "",
	         tier->canonical_nans ? ", canonical NaNs" : "");
	return buf;
}

bool
tier_is_available(const struct tier *tier, struct vm_error *err)
{
	static const uint8_t empty[] = { 0, 'a', 's', 'm', 1, 0, 0, 0 };
	struct vm_engine *engine;
	struct vm_module *module;

	if (!tier->is_native)
		return true;
	if (vm_engine_new(NULL, &engine, err) != VM_OK)
		return false;
	enum vm_status st = vm_module_load(engine, empty, sizeof empty, &module, err);
	if (st == VM_OK) {
		st = tier_prepare(tier, module, err);
		vm_module_unref(module);
	}
	vm_engine_unref(engine);
	return st == VM_OK;
}

enum vm_status
tier_prepare(const struct tier *tier, struct vm_module *module, struct vm_error *err)
{
	struct vm_compile_options options;
	struct vm_bytes artifact;
	uint8_t mac[VM_MAC_BYTES];

	if (!tier->is_native || vm_module_has_native(module, tier->is_metered))
		return VM_OK;
	vm_compile_options_init(&options);
	options.level = tier->level;
	options.metered = tier->is_metered;
	options.canonical_nans = tier->canonical_nans;
	options.jobs = 1;
	enum vm_status st = vm_compile(module, &options, &artifact, err);
	if (st != VM_OK)
		return st;
	vm_artifact_mac(key, artifact.data, artifact.size_bytes, mac);
	st = vm_module_attach(module, artifact.data, artifact.size_bytes, mac, key, err);
	vm_bytes_free(&artifact);
	return st;
}

enum vm_status
tier_store_new(const struct tier *tier, struct vm_engine *engine, struct vm_store **out,
               struct vm_error *err)
{
	struct vm_store_config config;

	vm_store_config_init(&config);
	config.metered = tier->is_metered;
	config.tier = tier->is_native ? VM_TIER_NATIVE : VM_TIER_INTERP;
	return vm_store_new(engine, &config, out, err);
}
