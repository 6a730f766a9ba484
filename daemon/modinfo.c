#include "daemon/modinfo.h"

#include <string.h>

static void
write_str(struct rpc_writer *w, const char *key, struct vm_str str)
{
	rpc_write_key(w, key);
	rpc_write_string(w, str.data, str.len);
}

static void
write_types(struct rpc_writer *w, const char *key, const vm_valtype *types, uint32_t count)
{
	char text[VM_VALTYPE_TEXT_MAX];

	rpc_write_key(w, key);
	rpc_write_array_begin(w);
	for (uint32_t i = 0; i < count; i++)
		rpc_write_text(w, vm_valtype_text(types[i], text, sizeof text));
	rpc_write_array_end(w);
}

static void
write_bounds(struct rpc_writer *w, uint64_t min, bool has_max, uint64_t max, bool is_64)
{
	rpc_member_uint(w, "min", min);
	if (has_max)
		rpc_member_uint(w, "max", max);
	if (is_64)
		rpc_member_text(w, "address", "i64");
}

/* The members that describe a type, beside the others of an import or export. */
static void
write_type(struct rpc_writer *w, const struct vm_externtype *type)
{
	char text[VM_VALTYPE_TEXT_MAX];

	rpc_member_text(w, "kind", vm_extern_kind_text(type->kind));
	switch (type->kind) {
	case VM_EXTERN_FUNC:
		write_types(w, "params", type->of.func.params, type->of.func.param_count);
		write_types(w, "results", type->of.func.results, type->of.func.result_count);
		break;
	case VM_EXTERN_TAG:
		write_types(w, "params", type->of.func.params, type->of.func.param_count);
		break;
	case VM_EXTERN_TABLE:
		rpc_member_text(w, "type",
		                vm_valtype_text(type->of.table.element, text, sizeof text));
		write_bounds(w, type->of.table.min, type->of.table.has_max, type->of.table.max,
		             type->of.table.is_64);
		break;
	case VM_EXTERN_MEMORY:
		write_bounds(w, type->of.memory.min, type->of.memory.has_max, type->of.memory.max,
		             type->of.memory.is_64);
		if (type->of.memory.is_shared)
			rpc_member_bool(w, "shared", true);
		break;
	case VM_EXTERN_GLOBAL:
		rpc_member_text(w, "type",
		                vm_valtype_text(type->of.global.content, text, sizeof text));
		rpc_member_bool(w, "mutable", type->of.global.is_mutable);
		break;
	}
}

static void
write_imports(struct rpc_writer *w, const struct vm_module *module)
{
	struct vm_import import;

	rpc_write_key(w, "imports");
	rpc_write_array_begin(w);
	for (uint32_t i = 0; i < vm_module_import_count(module); i++) {
		vm_module_import(module, i, &import);
		rpc_write_object_begin(w);
		write_str(w, "module", import.module);
		write_str(w, "name", import.name);
		write_type(w, &import.type);
		rpc_write_object_end(w);
	}
	rpc_write_array_end(w);
}

static void
write_exports(struct rpc_writer *w, const struct vm_module *module)
{
	struct vm_export export;

	rpc_write_key(w, "exports");
	rpc_write_array_begin(w);
	for (uint32_t i = 0; i < vm_module_export_count(module); i++) {
		vm_module_export(module, i, &export);
		rpc_write_object_begin(w);
		write_str(w, "name", export.name);
		write_type(w, &export.type);
		rpc_write_object_end(w);
	}
	rpc_write_array_end(w);
}

/* Sections in which other engines keep native code. What was compiled elsewhere is never run. */
static bool
is_native_code(const struct vm_section *section)
{
	static const char *const prefixes[] = { "wasmedge", "wamr", "aot" };

	if (section->id != 0)
		return false;
	for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
		size_t len = strlen(prefixes[i]);
		if (section->name.len >= len && memcmp(section->name.data, prefixes[i], len) == 0)
			return true;
	}
	return false;
}

static void
write_ignored(struct rpc_writer *w, const struct vm_module *module)
{
	struct vm_section section;

	rpc_write_key(w, "ignored_sections");
	rpc_write_array_begin(w);
	for (uint32_t i = 0; i < vm_module_section_count(module); i++) {
		vm_module_section(module, i, &section);
		if (is_native_code(&section))
			rpc_write_string(w, section.name.data, section.name.len);
	}
	rpc_write_array_end(w);
}

void
modinfo_write(struct rpc_writer *w, const struct vm_module *module)
{
	vm_features features = vm_module_features(module);

	rpc_write_key(w, "features");
	rpc_write_array_begin(w);
	for (int i = 0; i < VM_FEATURE_COUNT; i++)
		if ((features >> i & 1) != 0)
			rpc_write_text(w, vm_feature_name((enum vm_feature)i));
	rpc_write_array_end(w);
	write_imports(w, module);
	write_exports(w, module);
	write_ignored(w, module);
}

void
modinfo_splice(struct rpc_writer *w, const char *info)
{
	size_t len = info == NULL ? 0 : strlen(info);

	if (len <= 2 || info[0] != '{' || info[len - 1] != '}')
		return;
	rpc_write_verbatim(w, ",", 1);
	rpc_write_verbatim(w, info + 1, len - 2);
}
