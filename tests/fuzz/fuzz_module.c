/*
 * fuzz_module.c - hostile bytes as a module, under the rules of each version.
 *
 * A module that loads is asked everything that the API answers, and each function is walked once
 * more with a back-end that checks the order of its calls.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include "vm/load/walk.h"
#include "vm/vm.h"

enum { VERSIONS = 3 };

static struct vm_engine *
engine_of(unsigned version)
{
	static struct vm_engine *engines[VERSIONS];
	static const int numbers[VERSIONS] = { 10, 20, 30 };
	struct vm_engine_config config;

	if (engines[version] != NULL)
		return engines[version];
	vm_engine_config_init(&config);
	config.features = vm_features_of_version(numbers[version]);
	if (vm_engine_new(&config, &engines[version], NULL) != VM_OK)
		abort();
	return engines[version];
}

/* --- a back-end that checks ------------------------------------------------------------------ */

struct checker {
	struct vm_backend base;
	uint32_t depth;      /* blocks entered and not ended */
	uint32_t open_block; /* basic block that has been charged and not totalled, or 0 */
	bool has_begun, has_ended;
};

static void
check(bool holds)
{
	if (!holds)
		abort();
}

static struct checker *
checker_of(struct vm_backend *b)
{
	struct checker *c = (struct checker *)(void *)b;

	check(c->has_begun && !c->has_ended);
	return c;
}

static enum vm_status
on_begin(struct vm_backend *b, const struct walk_func *func, struct vm_error *err)
{
	struct checker *c = (struct checker *)(void *)b;

	(void)err;
	check(!c->has_begun && func->local_count >= func->type->func.param_count);
	c->has_begun = true;
	return VM_OK;
}

static enum vm_status
on_op(struct vm_backend *b, const struct walk_insn *insn, struct vm_error *err)
{
	(void)err;
	check(checker_of(b)->open_block != 0 && insn->op < VM_OP_COUNT);
	return VM_OK;
}

static enum vm_status
on_enter(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
         struct vm_error *err)
{
	(void)insn;
	(void)err;
	check(label->params != NULL || label->param_count == 0);
	checker_of(b)->depth++;
	return VM_OK;
}

static enum vm_status
on_else(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
        bool live, struct vm_error *err)
{
	(void)insn;
	(void)live;
	(void)err;
	check(checker_of(b)->depth > 0 && label->op == VM_OP_IF);
	return VM_OK;
}

static enum vm_status
on_end(struct vm_backend *b, const struct walk_insn *insn, const struct walk_label *label,
       bool live, struct vm_error *err)
{
	struct checker *c = checker_of(b);

	(void)insn;
	(void)label;
	(void)live;
	(void)err;
	check(c->depth > 0);
	c->depth--;
	return VM_OK;
}

static enum vm_status
on_branch(struct vm_backend *b, const struct walk_insn *insn, struct vm_error *err)
{
	(void)insn;
	(void)err;
	check(checker_of(b)->open_block != 0);
	return VM_OK;
}

static enum vm_status
on_end_function(struct vm_backend *b, struct vm_error *err)
{
	struct checker *c = checker_of(b);

	(void)err;
	check(c->depth == 0 && c->open_block == 0);
	c->has_ended = true;
	return VM_OK;
}

static void
on_charge(struct vm_backend *b, uint32_t block)
{
	struct checker *c = checker_of(b);

	check(c->open_block == 0);
	c->open_block = block + 1;
}

static void
on_charge_total(struct vm_backend *b, uint32_t block, uint32_t cost)
{
	struct checker *c = checker_of(b);

	(void)cost;
	check(c->open_block == block + 1);
	c->open_block = 0;
}

static const struct vm_backend_ops checker_ops = {
	.begin = on_begin,
	.op = on_op,
	.enter = on_enter,
	.else_ = on_else,
	.end = on_end,
	.branch = on_branch,
	.return_ = on_branch,
	.end_function = on_end_function,
	.charge = on_charge,
	.charge_total = on_charge_total,
};

static void
walk_again(const struct vm_module *module)
{
	struct walker *walker = walker_new(module);

	if (walker == NULL)
		return;
	for (uint32_t i = module->func_import_count; i < module->func_count; i++) {
		struct checker checker = { .base = { &checker_ops, true } };

		check(walker_run(walker, i, &checker.base, NULL) == VM_OK);
		check(checker.has_ended);
	}
	walker_free(walker);
}

/* --- the target ------------------------------------------------------------------------------ */

static void
ask(const struct vm_module *module)
{
	struct vm_import import;
	struct vm_export export;
	struct vm_section section;
	uint32_t index;

	for (uint32_t i = 0; i < vm_module_import_count(module); i++)
		vm_module_import(module, i, &import);
	for (uint32_t i = 0; i < vm_module_export_count(module); i++) {
		vm_module_export(module, i, &export);
		check(vm_module_find_export(module, export.name, &index) && index == i);
	}
	for (uint32_t i = 0; i < vm_module_section_count(module); i++)
		vm_module_section(module, i, &section);
	for (uint32_t i = 0; i < vm_module_function_count(module); i++) {
		uint64_t offset, size_bytes;

		(void)vm_module_function_name(module, i);
		(void)vm_module_function_type(module, i);
		vm_module_function_body(module, i, &offset, &size_bytes);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vm_error err;

	for (unsigned version = 0; version < VERSIONS; version++) {
		struct vm_engine *engine = engine_of(version);
		struct vm_module *module;
		enum vm_status st = vm_module_load(engine, data, size, &module, &err);

		if (st != VM_OK) {
			check(err.status == st && err.message[0] != '\0');
			continue;
		}
		ask(module);
		walk_again(module);
		vm_module_unref(module);
	}
	return 0;
}
