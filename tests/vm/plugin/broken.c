/*
 * broken.c - a plug-in with something wrong, by what it is compiled with.
 */
#include "vm/plugin.h"

#define TEXT_(name) #name
#define TEXT(name) TEXT_(name)
#define PLUGIN(name) VM_PLUGIN(name)

#ifndef ABI
#define ABI VM_PLUGIN_ABI
#endif
#ifndef CALLED
#define CALLED TEXT(NAME)
#endif

#ifdef OPEN
static enum vm_status
refuse(const struct vm_plugin_host *host, const struct vm_plugin_value *values, void **out,
       struct vm_error *err)
{
	(void)values;
	(void)out;
	return vm_plugin_fail(host, err, VM_E_UNSUPPORTED, "the %s is missing: get one", "moon");
}
#else
#define OPEN NULL
#endif

static const struct vm_plugin plugin = {
	.abi = ABI,
	.name = CALLED,
	.version = "1.0.0",
	.summary = "Broken",
	.open = OPEN,
};

PLUGIN(NAME)
{
	return &plugin;
}
