/*
 * absent.c - the native tier of processors that have none.
 */
#include "vm/native.h"

#include "vm/native/abi.h"

const char native_out[1] = { 0 };

static enum vm_status
no_tier(struct vm_error *err)
{
	return vm_error_set(err, VM_E_UNSUPPORTED, VM_NO_OFFSET,
	                    "this processor has no native tier: modules are interpreted");
}

static enum vm_status
module_code(struct vm_module *module, bool metered, void **out_code, struct vm_error *err)
{
	(void)module;
	(void)metered;
	(void)out_code;
	return no_tier(err);
}

/* Instances of this tier are never made, so the rest of the row is not reached. */
const struct vm_tier vm_tier_native = { .name = "native", .number = 1, .module_code = module_code };

bool
vm_module_has_native(const struct vm_module *module, bool metered)
{
	(void)module;
	(void)metered;
	return false;
}

enum vm_status
vm_compile(struct vm_module *module, const struct vm_compile_options *options,
           struct vm_bytes *out_artifact, struct vm_error *err)
{
	(void)module;
	(void)options;
	(void)out_artifact;
	return no_tier(err);
}

enum vm_status
vm_module_attach(struct vm_module *module, const uint8_t *artifact, size_t len,
                 const uint8_t mac[VM_MAC_BYTES], const uint8_t key[VM_MAC_KEY_BYTES],
                 struct vm_error *err)
{
	(void)module;
	(void)artifact;
	(void)len;
	(void)mac;
	(void)key;
	return no_tier(err);
}

enum vm_status
vm_module_load_native(struct vm_engine *engine, const uint8_t *bytes, size_t len,
                      const struct vm_artifact *artifact, const uint8_t key[VM_MAC_KEY_BYTES],
                      struct vm_module **out_module, struct vm_error *out_misfit,
                      struct vm_error *err)
{
	(void)artifact;
	(void)key;
	(void)no_tier(out_misfit);
	return vm_module_load(engine, bytes, len, out_module, err);
}

enum vm_status
vm_code_new(struct vm_engine *engine, const uint8_t key[VM_MAC_KEY_BYTES], struct vm_code **out,
            struct vm_error *err)
{
	(void)engine;
	(void)key;
	(void)out;
	return no_tier(err);
}

enum vm_status
vm_code_add(struct vm_code *code, const uint8_t *bytes, size_t len, struct vm_error *err)
{
	(void)code;
	(void)bytes;
	(void)len;
	return no_tier(err);
}

enum vm_status
vm_code_seal(struct vm_code *code, const uint8_t mac[VM_MAC_BYTES], struct vm_error *err)
{
	(void)code;
	(void)mac;
	return no_tier(err);
}

void
vm_code_free(struct vm_code *code)
{
	(void)code;
}

enum vm_status
vm_module_load_code(struct vm_engine *engine, const uint8_t *bytes, size_t len,
                    const uint8_t *digest, const struct vm_code *code,
                    struct vm_module **out_module, struct vm_error *out_misfit,
                    struct vm_error *err)
{
	(void)digest;
	(void)code;
	(void)no_tier(out_misfit);
	return vm_module_load(engine, bytes, len, out_module, err);
}

void
vm_native_set_debug(unsigned int flags)
{
	(void)flags;
}
