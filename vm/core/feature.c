#include "vm/engine.h"

#include <string.h>
#include "config.h"

static const struct feature_info {
	const char *name;
	int since;
} features[VM_FEATURE_COUNT] = {
#define FEATURE(symbol, feature_name, feature_since) { feature_name, feature_since },
#include "vm/feature.def"
#undef FEATURE
};

vm_features
vm_features_of_version(int version)
{
	vm_features set = 0;

	if (version != 10 && version != 20 && version != 30)
		return 0;
	for (unsigned i = 0; i < VM_FEATURE_COUNT; i++) {
		if (features[i].since <= version)
			set |= UINT64_C(1) << i;
	}
	return set;
}

const char *
vm_feature_name(enum vm_feature feature)
{
	return (unsigned)feature < VM_FEATURE_COUNT ? features[feature].name : "unknown";
}

bool
vm_feature_find(struct vm_str name, enum vm_feature *out)
{
	for (unsigned i = 0; i < VM_FEATURE_COUNT; i++) {
		const char *candidate = features[i].name;

		if (strlen(candidate) == name.len && memcmp(candidate, name.data, name.len) == 0) {
			*out = (enum vm_feature)i;
			return true;
		}
	}
	return false;
}

const char *
vm_version(void)
{
	return PACKAGE_VERSION;
}
