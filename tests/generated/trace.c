#include "tests/generated/trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vm/rt/runtime.h"

enum { ROUNDS = 5, VALUES_MAX = 64 };

/* What one trace needs while it is made. */
struct tracer {
	const struct trace_options *options;
	struct vm_module *module;
	struct vm_store *store;
	struct vm_linker *linker;
	struct vm_instance *instance;
	struct vm_error *err;
};

static void *
check_memory(void *p)
{
	if (p == NULL) {
		fputs("out of memory\n", stderr);
		exit(EXIT_FAILURE);
	}
	return p;
}

/* --- values ---------------------------------------------------------------------------------- */

static bool
is_nan32(uint32_t bits)
{
	return (bits & 0x7fffffff) > 0x7f800000;
}

static bool
is_nan64(uint64_t bits)
{
	return (bits & (UINT64_MAX >> 1)) > UINT64_C(0x7ff) << 52;
}

/* FNV-1a, eight bytes at a time. */
static uint64_t
mix(uint64_t hash, uint64_t word)
{
	return (hash ^ word) * UINT64_C(0x100000001b3);
}

#define HASH_START UINT64_C(0xcbf29ce484222325)

static uint64_t
hash_bytes(const uint8_t *bytes, uint64_t len)
{
	uint64_t hash = HASH_START;
	uint64_t word;

	for (; len >= 8; len -= 8, bytes += 8) {
		memcpy(&word, bytes, 8);
		hash = mix(hash, word);
	}
	for (; len > 0; len--, bytes++)
		hash = mix(hash, *bytes);
	return hash ^ hash >> 32;
}

/* A reference as a number that means the same in every instance of the module. */
static uint64_t
ref_number(vm_valtype type, const void *ref)
{
	const uint32_t heap = vm_valtype_heap(type);

	if (ref == NULL)
		return UINT64_MAX;
	if (heap == VM_HEAP_EXTERN || heap == VM_HEAP_NOEXTERN)
		return (uintptr_t)ref;
	return ((const struct vm_func *)ref)->index;
}

static void
write_value(FILE *out, const struct vm_value *value, bool exact_nans)
{
	uint64_t halves[2];

	switch (value->type) {
	case VM_I32:
		fprintf(out, " %" PRId32, value->of.i32);
		break;
	case VM_I64:
		fprintf(out, " %" PRId64, value->of.i64);
		break;
	case VM_F32:
		if (is_nan32(value->of.f32_bits) && !exact_nans)
			fputs(" nan", out);
		else
			fprintf(out, " f32:%08" PRIx32, value->of.f32_bits);
		break;
	case VM_F64:
		if (is_nan64(value->of.f64_bits) && !exact_nans)
			fputs(" nan", out);
		else
			fprintf(out, " f64:%016" PRIx64, value->of.f64_bits);
		break;
	case VM_V128:
		memcpy(halves, value->of.v128, sizeof halves);
		fprintf(out, " v128:%016" PRIx64 "%016" PRIx64, halves[1], halves[0]);
		break;
	default:
		fprintf(out, " ref:%" PRId64, (int64_t)ref_number(value->type, value->of.ref));
		break;
	}
}

/* The argument of a type at a position in a round. */
static struct vm_value
argument(vm_valtype type, unsigned round, unsigned position)
{
	static const int64_t integers[] = { 0, 1, -1, 7, INT32_MIN, 1000000007, 65535 };
	static const double floats[] = { 0, -0.0, 1.5, -1e10, 3e38, -1e-42, 0.99999 };
	const unsigned at = (round * 5 + position * 3) % 7;
	const double number = at == 5 && round % 2 == 0 ? -__builtin_inf() : floats[at];
	const float narrow = (float)number;
	struct vm_value value = { .type = type };

	switch (type) {
	case VM_I32:
		value.of.i32 = (int32_t)integers[at];
		break;
	case VM_I64:
		value.of.i64 = integers[at] * 3;
		break;
	case VM_F32:
		memcpy(&value.of.f32_bits, &narrow, sizeof narrow);
		break;
	case VM_F64:
		memcpy(&value.of.f64_bits, &number, sizeof number);
		break;
	case VM_V128:
		for (unsigned i = 0; i < 16; i++)
			value.of.v128[i] = (uint8_t)(at * (i + 1) * 37);
		break;
	default:
		if (vm_valtype_heap(type) == VM_HEAP_EXTERN && at > 0)
			value.of.ref = (void *)(uintptr_t)at;
		break;
	}
	return value;
}

/* --- imports --------------------------------------------------------------------------------- */

/* The bits of a slot, the same for all NaNs. */
static uint64_t
slot_bits(vm_valtype type, const union vm_slot *slot, bool exact_nans)
{
	switch (type) {
	case VM_I32:
		return slot->u32;
	case VM_F32:
		return is_nan32(slot->u32) && !exact_nans ? 1 : slot->u32;
	case VM_F64:
		return is_nan64(slot->u64) && !exact_nans ? 1 : slot->u64;
	default:
		return vm_valtype_is_ref(type) ? ref_number(type, slot->ref) : slot->u64;
	}
}

static void
fill_slot(vm_valtype type, uint64_t hash, union vm_slot *slot)
{
	slot->u64 = 0;
	switch (type) {
	case VM_I32:
		slot->i32 = (int32_t)(hash % 1000);
		break;
	case VM_I64:
		slot->i64 = (int64_t)hash;
		break;
	case VM_F32:
		slot->f32 = (float)(hash % 4096) / 16;
		break;
	case VM_F64:
		slot->f64 = (double)(int64_t)hash;
		break;
	case VM_V128:
		slot[0].u64 = hash;
		slot[1].u64 = ~hash;
		break;
	default:
		if (vm_valtype_heap(type) == VM_HEAP_EXTERN && hash % 4 != 0)
			slot->ref = (void *)(uintptr_t)(hash % 4);
		break;
	}
}

/* An imported function, in memory that lives as long as the trace is made. */
struct host {
	const struct tracer *tracer;
	struct vm_functype type;
	bool is_busy; /* calls back only where it is not itself called from there */
};

/* Call "f0": a nested entry, which may trap. */
static enum vm_status
call_back(struct vm_instance *instance, uint64_t hash, struct vm_error *err)
{
	struct vm_value args[VALUES_MAX], results[VALUES_MAX];
	struct vm_extern ext;

	if (vm_instance_export(instance, VM_STR("f0"), &ext, NULL) != VM_OK)
		return VM_OK;
	const struct vm_functype type = vm_func_type(ext.of.func);
	for (uint32_t i = 0; i < type.param_count; i++)
		args[i] = argument(type.params[i], (unsigned)(hash % ROUNDS), i);
	return vm_func_call(ext.of.func, args, type.param_count, results, type.result_count, err);
}

static uint64_t
hash_arguments(const struct host *host, const union vm_slot *slots)
{
	const bool exact = host->tracer->options->exact_nans;
	uint64_t hash = HASH_START;

	for (uint32_t i = 0; i < host->type.param_count; i++) {
		const vm_valtype type = host->type.params[i];

		hash = mix(hash, slot_bits(type, slots, exact));
		if (type == VM_V128)
			hash = mix(hash, slots[1].u64);
		slots += vm_valtype_slots(type);
	}
	return hash ^ hash >> 29;
}

static enum vm_status
host_function(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *err)
{
	struct host *host = env;
	struct vm_extern ext;
	uint64_t hash = hash_arguments(host, slots);
	enum vm_status st = vm_store_charge(caller->store, hash % 8, err);

	if (st == VM_OK && caller->instance != NULL &&
	    vm_instance_export(caller->instance, VM_STR("m0"), &ext, NULL) == VM_OK &&
	    vm_memory_size(ext.of.memory) > 4096)
		vm_memory_data(ext.of.memory)[hash % 4096] ^= (uint8_t)(hash >> 16);
	if (st == VM_OK && caller->instance != NULL && hash % 4 == 0 && !host->is_busy) {
		host->is_busy = true;
		st = call_back(caller->instance, hash, err);
		host->is_busy = false;
	}
	for (uint32_t i = 0; st == VM_OK && i < host->type.result_count; i++) {
		hash = mix(hash, i);
		fill_slot(host->type.results[i], hash, slots);
		slots += vm_valtype_slots(host->type.results[i]);
	}
	return st;
}

/* Define one import by its type. host is used where it is a function. */
static enum vm_status
define_import(struct tracer *t, const struct vm_import *import, struct host *host)
{
	const struct vm_externtype *type = &import->type;
	struct vm_extern ext = { .kind = type->kind };
	struct vm_value value = { 0 };
	enum vm_status st = VM_E_UNSUPPORTED;

	switch (type->kind) {
	case VM_EXTERN_FUNC:
		*host = (struct host){ t, type->of.func, false };
		return vm_linker_define_func(t->linker, import->module, import->name,
		                             &type->of.func, host_function, host, t->err);
	case VM_EXTERN_TABLE:
		value.type = type->of.table.element;
		st = vm_table_new(t->store, &type->of.table, &value, &ext.of.table, t->err);
		break;
	case VM_EXTERN_MEMORY:
		st = vm_memory_new(t->store, &type->of.memory, &ext.of.memory, t->err);
		break;
	case VM_EXTERN_GLOBAL:
		value = argument(type->of.global.content, 1, 2);
		st = vm_global_new(t->store, &type->of.global, &value, &ext.of.global, t->err);
		break;
	case VM_EXTERN_TAG:
		break;
	}
	if (st == VM_OK)
		st = vm_linker_define(t->linker, import->module, import->name, &ext, t->err);
	return st;
}

/* --- what an instance holds ------------------------------------------------------------------ */

static void
write_table(FILE *out, const struct vm_table *table)
{
	struct vm_tabletype type;
	uint64_t hash = HASH_START;

	vm_table_type(table, &type);
	for (uint64_t i = 0; i < vm_table_size(table); i++) {
		struct vm_value value;

		if (vm_table_get(table, i, &value, NULL) == VM_OK)
			hash = mix(hash, ref_number(type.element, value.of.ref));
	}
	fprintf(out, " %" PRIu64 ":%016" PRIx64, vm_table_size(table), hash);
}

static void
write_export(FILE *out, const struct tracer *t, uint32_t index)
{
	struct vm_export export;
	struct vm_extern ext;
	struct vm_value value;

	vm_module_export(t->module, index, &export);
	if (export.type.kind == VM_EXTERN_FUNC ||
	    (export.name.len > 6 && memcmp(export.name.data, "split.", 6) == 0))
		return;
	fprintf(out, "\n    %.*s", (int)export.name.len, export.name.data);
	vm_instance_export_at(t->instance, index, &ext);
	switch (ext.kind) {
	case VM_EXTERN_MEMORY:
		fprintf(out, " %" PRIu64 ":%016" PRIx64, vm_memory_size(ext.of.memory),
		        hash_bytes(vm_memory_data(ext.of.memory), vm_memory_size(ext.of.memory)));
		break;
	case VM_EXTERN_TABLE:
		write_table(out, ext.of.table);
		break;
	case VM_EXTERN_GLOBAL:
		vm_global_get(ext.of.global, &value);
		write_value(out, &value, t->options->exact_nans);
		break;
	case VM_EXTERN_FUNC:
	case VM_EXTERN_TAG:
		break;
	}
}

/* --- calls ----------------------------------------------------------------------------------- */

static struct trace_step *
add_step(struct trace *trace)
{
	trace->steps = check_memory(
	    reallocarray(trace->steps, trace->count + 1, sizeof *trace->steps));
	struct trace_step *step = &trace->steps[trace->count++];
	*step = (struct trace_step){ .function = VM_NO_FUNCTION, .offset = VM_NO_OFFSET };
	return step;
}

/* Fill up the module's own fuel; not part of the trace, and never fails for itself. */
static void
reset(const struct tracer *t)
{
	struct vm_extern ext;

	if (vm_instance_export(t->instance, VM_STR("reset"), &ext, NULL) == VM_OK &&
	    vm_func_call(ext.of.func, NULL, 0, NULL, 0, NULL) != VM_OK)
		return; /* out of fuel: the call that follows says so */
}

static void
write_end(FILE *out, const struct tracer *t, enum vm_status st, const struct vm_error *err,
          struct trace_step *step)
{
	uint64_t body_offset, body_bytes;

	if (st != VM_TRAP) {
		fprintf(out, " %s", st == VM_OK ? "returned" : vm_status_name(st));
		return;
	}
	fprintf(out, " trapped: %s", vm_trap_name(err->trap));
	step->trap = err->trap;
	if (err->frame_count == 0)
		return;
	step->function = err->frames[0].function;
	vm_module_function_body(t->module, step->function, &body_offset, &body_bytes);
	if (body_bytes > 0) /* imported functions are nowhere in the module */
		step->offset = err->frames[0].offset;
}

/* The argument of a call: from the words behind its name, or one that its type gives. */
static struct vm_value
choose_argument(const struct tracer *t, vm_valtype type, unsigned round, unsigned position)
{
	struct vm_value value = argument(type, round, position);
	const char *word = t->options->call;

	for (unsigned i = 0; word != NULL && i <= position; i++) {
		word = strchr(word, ',');
		word = word != NULL ? word + 1 : NULL;
	}
	if (word != NULL && type == VM_I32)
		value.of.i32 = (int32_t)strtoll(word, NULL, 10);
	if (word != NULL && type == VM_I64)
		value.of.i64 = strtoll(word, NULL, 10);
	return value;
}

/* One call. False when the store cannot be used any more. */
static bool
call(const struct tracer *t, struct vm_str name, struct vm_func *func, unsigned round,
     struct trace *trace)
{
	const struct vm_functype type = vm_func_type(func);
	struct vm_value args[VALUES_MAX], results[VALUES_MAX];
	struct vm_error err = { .frame_count = 0 };
	struct trace_step *step = add_step(trace);
	size_t size;
	FILE *out = check_memory(open_memstream(&step->text, &size));

	fprintf(out, "%.*s(", (int)name.len, name.data);
	for (uint32_t i = 0; i < type.param_count; i++) {
		args[i] = choose_argument(t, type.params[i], round, i);
		write_value(out, &args[i], true);
	}
	fputs(" )", out);
	const enum vm_status st = vm_func_call(func, args, type.param_count, results,
	                                       type.result_count, &err);
	write_end(out, t, st, &err, step);
	for (uint32_t i = 0; st == VM_OK && i < type.result_count; i++)
		write_value(out, &results[i], t->options->exact_nans);
	for (uint32_t i = 0; i < vm_module_export_count(t->module); i++)
		write_export(out, t, i);
	if (t->options->tier.is_metered && !t->options->no_fuel)
		fprintf(out, "\n    fuel used %" PRIu64, vm_store_fuel_used(t->store));
	fclose(out);
	return st == VM_OK || (st == VM_TRAP && !vm_trap_is_limit(err.trap));
}

static bool
is_traced(const struct tracer *t, const struct vm_export *export)
{
	const char *only = t->options->call;
	const struct vm_functype *type = &export->type.of.func;

	if (export->type.kind != VM_EXTERN_FUNC || type->param_count > VALUES_MAX ||
	    type->result_count > VALUES_MAX)
		return false;
	if (only == NULL)
		return export->name.len > 0 && export->name.data[0] == 'f';
	return export->name.len == strcspn(only, ",") &&
	       memcmp(export->name.data, only, export->name.len) == 0;
}

static void
call_all(const struct tracer *t, struct trace *trace)
{
	const unsigned rounds = t->options->call == NULL ? ROUNDS : 1;

	for (unsigned round = 0; round < rounds; round++) {
		for (uint32_t i = 0; i < vm_module_export_count(t->module); i++) {
			struct vm_export export;
			struct vm_extern ext;

			vm_module_export(t->module, i, &export);
			if (!is_traced(t, &export))
				continue;
			reset(t);
			vm_instance_export_at(t->instance, i, &ext);
			if (!call(t, export.name, ext.of.func, round, trace))
				return;
		}
	}
}

/* --- instances ------------------------------------------------------------------------------- */

/* Entry k of an instance's table for calls of the other half is the other's function k. */
static enum vm_status
fill_calls_out(struct vm_instance *from, struct vm_instance *to, struct vm_error *err)
{
	struct vm_extern table, func;
	enum vm_status st = vm_instance_export(from, VM_STR("split.out"), &table, err);

	for (uint64_t k = 0; st == VM_OK && k < vm_table_size(table.of.table); k++) {
		char name[32];
		const int len = snprintf(name, sizeof name, "split.f%" PRIu64, k);

		st = vm_instance_export(to, (struct vm_str){ name, (size_t)len }, &func, err);
		if (st != VM_OK)
			break;
		const struct vm_value value = { .type = VM_FUNCREF, .of.ref = func.of.func };
		st = vm_table_set(table.of.table, k, &value, err);
	}
	return st;
}

/* The other half takes memories, tables and globals from the first. */
static enum vm_status
instantiate_far(struct tracer *t)
{
	struct vm_instance *far;
	enum vm_status st =
	    vm_linker_define_instance(t->linker, VM_STR("split"), t->instance, t->err);

	if (st == VM_OK)
		st = vm_linker_instantiate(t->linker, t->store, t->options->far, &far, t->err);
	if (st == VM_OK)
		st = fill_calls_out(t->instance, far, t->err);
	if (st == VM_OK)
		st = fill_calls_out(far, t->instance, t->err);
	return st;
}

static enum vm_status
instantiate(struct tracer *t, struct host *hosts)
{
	enum vm_status st = VM_OK;

	for (uint32_t i = 0; st == VM_OK && i < vm_module_import_count(t->module); i++) {
		struct vm_import import;

		vm_module_import(t->module, i, &import);
		st = define_import(t, &import, &hosts[i]);
	}
	if (st == VM_OK)
		st = vm_linker_instantiate(t->linker, t->store, t->module, &t->instance, t->err);
	if (st == VM_OK && t->options->far != NULL)
		st = instantiate_far(t);
	return st;
}

/* A store for the tier, or one in which each half runs as what it has. */
static enum vm_status
make_store(struct tracer *t, struct vm_engine *engine)
{
	struct vm_store_config config;

	if (t->options->far == NULL)
		return tier_store_new(&t->options->tier, engine, &t->store, t->err);
	vm_store_config_init(&config);
	config.metered = t->options->tier.is_metered;
	return vm_store_new(engine, &config, &t->store, t->err);
}

enum vm_status
trace_make(struct vm_engine *engine, struct vm_module *module, const struct trace_options *options,
           struct trace *out, struct vm_error *err)
{
	struct vm_module *native = options->far != NULL ? options->far : module;
	struct tracer t = { .options = options, .module = module, .err = err };
	struct host *hosts =
	    check_memory(calloc((size_t)vm_module_import_count(module) + 1, sizeof *hosts));

	*out = (struct trace){ 0 };
	enum vm_status st = tier_prepare(&options->tier, native, err);
	if (st == VM_OK)
		st = make_store(&t, engine);
	if (st == VM_OK)
		st = vm_linker_new(engine, &t.linker, err);
	if (st == VM_OK && options->fuel != UINT64_MAX)
		vm_store_set_fuel(t.store, options->fuel);
	if (st == VM_OK)
		st = instantiate(&t, hosts);
	if (st == VM_OK) {
		call_all(&t, out);
		out->fuel_used = vm_store_fuel_used(t.store);
	}
	vm_linker_free(t.linker);
	vm_store_free(t.store);
	free(hosts);
	return st;
}

void
trace_clear(struct trace *trace)
{
	for (size_t i = 0; i < trace->count; i++)
		free(trace->steps[i].text);
	free(trace->steps);
	*trace = (struct trace){ 0 };
}

/* --- comparison ------------------------------------------------------------------------------ */

static enum trace_relation
compare_steps(const struct trace_step *a, const struct trace_step *b)
{
	if (strcmp(a->text, b->text) != 0)
		return TRACE_DIFFERENT;
	if (a->function != VM_NO_FUNCTION && b->function != VM_NO_FUNCTION &&
	    a->function != b->function)
		return TRACE_DIFFERENT;
	return a->offset == VM_NO_OFFSET || b->offset == VM_NO_OFFSET || a->offset == b->offset
	           ? TRACE_EQUAL : TRACE_OFFSETS_DIFFER;
}

enum trace_relation
trace_compare(const struct trace *a, const struct trace *b, size_t *out_step)
{
	enum trace_relation relation = TRACE_EQUAL;

	for (size_t i = 0; i < a->count || i < b->count; i++) {
		enum trace_relation here = TRACE_DIFFERENT;

		if (i < a->count && i < b->count) {
			if (a->steps[i].trap == VM_TRAP_STACK_OVERFLOW ||
			    b->steps[i].trap == VM_TRAP_STACK_OVERFLOW)
				break;
			here = compare_steps(&a->steps[i], &b->steps[i]);
		}
		if (here > relation) {
			relation = here;
			*out_step = i;
		}
		if (here == TRACE_DIFFERENT)
			break;
	}
	return relation;
}

const char *
trace_text(const struct trace *trace, size_t step, char *buf, size_t size)
{
	if (step >= trace->count) {
		snprintf(buf, size, "nothing");
		return buf;
	}
	const struct trace_step *s = &trace->steps[step];
	int len = snprintf(buf, size, "%s", s->text);
	if (s->function != VM_NO_FUNCTION && len >= 0 && (size_t)len < size)
		snprintf(buf + len, size - (size_t)len, "\n    trapped in function %" PRIu32
		         " at 0x%" PRIx64, s->function, s->offset);
	return buf;
}
