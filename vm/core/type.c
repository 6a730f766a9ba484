/*
 * A group's key is its structure written as words: two groups are equal when their keys are.
 * Heap types in it are canonical numbers, or TYPE_IN_GROUP + index for types of the group itself.
 */
#include "vm/core/type.h"

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/random.h>
#include "vm/core/engine.h"

struct rec_group {
	atomic_uint refs; /* the last one goes under the registry's lock */
	uint32_t count;
	uint64_t hash;
	struct rec_group *next; /* in its bucket; in the list of those to free */
	const uint32_t *key;
	size_t key_len; /* words */
	struct vm_type types[];
};

/*
 * Numbers are looked up in chunks that never move, each twice as long as the one before: chunk k
 * starts at number FIRST_TYPES * (2^k - 1). A free number's entry holds the next free number in
 * the form of a tagged integer.
 */
enum {
	FIRST_TYPES_LOG2 = 6,
	FIRST_TYPES = 1 << FIRST_TYPES_LOG2,
	NUMBERS_MAX = TYPE_IN_GROUP - VM_HEAP_CONCRETE,
	CHUNKS_MAX = 23 - FIRST_TYPES_LOG2,
};
_Static_assert((uint64_t)FIRST_TYPES * ((1 << CHUNKS_MAX) - 1) >= NUMBERS_MAX,
               "the chunks have room for all numbers");
#define NO_NUMBER 0x7fffffffu

typedef _Atomic(uintptr_t) type_entry;

struct type_registry {
	pthread_mutex_t lock; /* for everything but reading of chunks */
	uint64_t seed;
	struct rec_group **buckets;
	size_t bucket_count; /* a power of two, or 0 */
	size_t group_count;
	uint32_t next_number; /* lowest that was never used */
	uint32_t free_number; /* head of the list of those that were, or NO_NUMBER */
	_Atomic(type_entry *) chunks[CHUNKS_MAX];
};

/* --- numbers --------------------------------------------------------------------------------- */

struct number_place {
	uint32_t chunk, index;
};

static inline struct number_place
number_place(uint32_t number)
{
	const uint32_t shifted = number + FIRST_TYPES;
	const uint32_t high = 31 - (uint32_t)__builtin_clz(shifted);

	return (struct number_place){ high - FIRST_TYPES_LOG2, shifted - (1u << high) };
}

static type_entry *
number_entry(const struct type_registry *types, uint32_t number)
{
	const struct number_place at = number_place(number);

	return atomic_load_explicit(&types->chunks[at.chunk], memory_order_acquire) + at.index;
}

const struct vm_type *
type_by_number(const struct vm_engine *engine, uint32_t number)
{
	uintptr_t entry = atomic_load_explicit(number_entry(engine->types, number),
	                                       memory_order_acquire);

	return (const struct vm_type *)entry;
}

static enum vm_status
number_take(struct vm_engine *engine, uint32_t *out, struct vm_error *err)
{
	struct type_registry *types = engine->types;

	if (types->free_number != NO_NUMBER) {
		*out = types->free_number;
		types->free_number =
		    (uint32_t)(atomic_load_explicit(number_entry(types, *out),
		                                    memory_order_relaxed) >> 1);
		return VM_OK;
	}
	if (types->next_number == NUMBERS_MAX)
		return vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET,
		                    "the engine holds %u types, which is its limit",
		                    (unsigned)types->next_number);
	const struct number_place at = number_place(types->next_number);
	if (at.index == 0 &&
	    atomic_load_explicit(&types->chunks[at.chunk], memory_order_relaxed) == NULL) {
		type_entry *chunk = engine_alloc_zeroed(engine, (size_t)FIRST_TYPES << at.chunk,
		                                        sizeof *chunk);

		if (chunk == NULL)
			return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET,
			                    "out of memory for types");
		atomic_store_explicit(&types->chunks[at.chunk], chunk, memory_order_release);
	}
	*out = types->next_number++;
	return VM_OK;
}

static void
number_bind(struct type_registry *types, const struct vm_type *type)
{
	atomic_store_explicit(number_entry(types, type->number), (uintptr_t)type,
	                      memory_order_release);
}

static void
number_give(struct type_registry *types, uint32_t number)
{
	atomic_store_explicit(number_entry(types, number), (uintptr_t)types->free_number << 1 | 1,
	                      memory_order_relaxed);
	types->free_number = number;
}

/* --- the registry ---------------------------------------------------------------------------- */

enum vm_status
types_registry_new(struct vm_engine *engine, struct vm_error *err)
{
	struct type_registry *types = engine_alloc_zeroed(engine, 1, sizeof *types);

	if (types == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory for types");
	if (pthread_mutex_init(&types->lock, NULL) != 0) {
		engine_free(engine, types);
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "cannot make a lock for types");
	}
	/* The seed keeps the makers of modules from choosing groups of equal hash; without one, the
	 * address has to do. */
	if (getrandom(&types->seed, sizeof types->seed, GRND_NONBLOCK) != sizeof types->seed)
		types->seed = (uintptr_t)types;
	types->free_number = NO_NUMBER;
	engine->types = types;
	return VM_OK;
}

void
types_registry_free(struct vm_engine *engine)
{
	struct type_registry *types = engine->types;

	if (types == NULL)
		return;
	for (size_t i = 0; i < types->bucket_count; i++) {
		for (struct rec_group *group = types->buckets[i], *next; group != NULL;
		     group = next) {
			next = group->next;
			engine_free(engine, group);
		}
	}
	for (size_t i = 0; i < CHUNKS_MAX; i++)
		engine_free(engine,
		            atomic_load_explicit(&types->chunks[i], memory_order_relaxed));
	engine_free(engine, types->buckets);
	(void)pthread_mutex_destroy(&types->lock);
	engine_free(engine, types);
	engine->types = NULL;
}

/* Make room for one more group. Without memory the chains only get longer. */
static bool
buckets_grow(struct vm_engine *engine)
{
	struct type_registry *types = engine->types;

	if (types->group_count < types->bucket_count)
		return true;
	const size_t count = types->bucket_count == 0 ? 64 : types->bucket_count * 2;
	struct rec_group **buckets = engine_alloc_zeroed(engine, count, sizeof(struct rec_group *));
	if (buckets == NULL)
		return types->bucket_count > 0;
	for (size_t i = 0; i < types->bucket_count; i++) {
		for (struct rec_group *group = types->buckets[i], *next; group != NULL;
		     group = next) {
			struct rec_group **bucket = &buckets[group->hash & (count - 1)];

			next = group->next;
			group->next = *bucket;
			*bucket = group;
		}
	}
	engine_free(engine, types->buckets);
	types->buckets = buckets;
	types->bucket_count = count;
	return true;
}

/* --- keys ------------------------------------------------------------------------------------ */

static size_t
source_key_len(const struct type_source *source)
{
	if (source->kind == COMP_FUNC)
		return 4 + (size_t)source->func.param_count + source->func.result_count;
	return 3 + 2 * (size_t)source->field_count;
}

static uint32_t *
write_valtypes(uint32_t *at, const vm_valtype *types, uint32_t count)
{
	if (count > 0)
		memcpy(at, types, count * sizeof *types);
	return at + count;
}

static uint32_t *
write_source(uint32_t *at, const struct type_source *source)
{
	*at++ = (uint32_t)source->kind | (source->is_final ? 4u : 0) | (source->has_super ? 8u : 0);
	*at++ = source->has_super ? source->super : 0;
	if (source->kind == COMP_FUNC) {
		*at++ = source->func.param_count;
		*at++ = source->func.result_count;
		at = write_valtypes(at, source->func.params, source->func.param_count);
		return write_valtypes(at, source->func.results, source->func.result_count);
	}
	*at++ = source->field_count;
	for (uint32_t i = 0; i < source->field_count; i++) {
		*at++ = source->fields[i].storage;
		*at++ = source->fields[i].is_mutable;
	}
	return at;
}

static uint64_t
key_hash(uint64_t seed, const uint32_t *key, size_t len)
{
	uint64_t hash = seed ^ len;

	for (size_t i = 0; i < len; i++) {
		hash = (hash ^ key[i]) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 29;
	}
	hash *= UINT64_C(0xbf58476d1ce4e5b9);
	return hash ^ hash >> 32;
}

static struct rec_group *
find_group(const struct type_registry *types, uint64_t hash, const uint32_t *key, size_t len)
{
	if (types->bucket_count == 0)
		return NULL;
	struct rec_group *group = types->buckets[hash & (types->bucket_count - 1)];
	while (group != NULL &&
	       (group->hash != hash || group->key_len != len ||
	        memcmp(group->key, key, len * sizeof *key) != 0))
		group = group->next;
	return group;
}

/* --- groups ---------------------------------------------------------------------------------- */

/* The group of a heap type other than this group, which has to stay alive with it; or NULL. */
static struct rec_group *
foreign_group(const struct vm_engine *engine, const struct rec_group *group, uint32_t heap)
{
	if (heap < VM_HEAP_CONCRETE)
		return NULL;
	struct rec_group *other = type_of_heap(engine, heap)->group;
	return other == group ? NULL : other;
}

static struct rec_group *
foreign_group_of(const struct vm_engine *engine, const struct rec_group *group, vm_valtype type)
{
	return vm_valtype_is_ref(type) ? foreign_group(engine, group, vm_valtype_heap(type)) : NULL;
}

/* Call visit for the group of each mention of a type outside of this group. */
static void
each_foreign_group(const struct vm_engine *engine, const struct rec_group *group,
                   void (*visit)(void *env, struct rec_group *other), void *env)
{
	struct rec_group *other;

	for (uint32_t i = 0; i < group->count; i++) {
		const struct vm_type *type = &group->types[i];

		if (type->depth > 0) {
			other = type->display[type->depth - 1]->group;
			if (other != group)
				visit(env, other);
		}
		for (uint32_t j = 0; j < type->func.param_count; j++) {
			other = foreign_group_of(engine, group, type->func.params[j]);
			if (other != NULL)
				visit(env, other);
		}
		for (uint32_t j = 0; j < type->func.result_count; j++) {
			other = foreign_group_of(engine, group, type->func.results[j]);
			if (other != NULL)
				visit(env, other);
		}
		for (uint32_t j = 0; j < type->field_count; j++) {
			other = foreign_group_of(engine, group, type->fields[j].storage);
			if (other != NULL)
				visit(env, other);
		}
	}
}

static void
hold_group(void *env, struct rec_group *other)
{
	(void)env;
	rec_group_ref(other);
}

static void
unlink_group(struct type_registry *types, const struct rec_group *group)
{
	struct rec_group **at = &types->buckets[group->hash & (types->bucket_count - 1)];

	while (*at != group)
		at = &(*at)->next;
	*at = group->next;
	types->group_count--;
}

struct dropping {
	struct type_registry *types;
	struct rec_group *dead; /* groups that nobody holds any more, out of their buckets */
};

static void
drop_group(void *env, struct rec_group *group)
{
	struct dropping *dropping = env;

	if (atomic_fetch_sub_explicit(&group->refs, 1, memory_order_acq_rel) == 1) {
		unlink_group(dropping->types, group);
		group->next = dropping->dead;
		dropping->dead = group;
	}
}

void
rec_group_ref(struct rec_group *group)
{
	atomic_fetch_add_explicit(&group->refs, 1, memory_order_relaxed);
}

static void
give_numbers(struct type_registry *types, const struct rec_group *group)
{
	for (uint32_t i = 0; i < group->count; i++)
		number_give(types, group->types[i].number);
}

void
rec_group_unref(struct vm_engine *engine, struct rec_group *group)
{
	struct dropping dropping = { .types = engine->types };

	pthread_mutex_lock(&dropping.types->lock);
	drop_group(&dropping, group);
	/* A list, not recursion: chains of groups can be as long as a module likes. */
	while (dropping.dead != NULL) {
		struct rec_group *dead = dropping.dead;

		dropping.dead = dead->next;
		each_foreign_group(engine, dead, drop_group, &dropping);
		give_numbers(dropping.types, dead);
		engine_free(engine, dead);
	}
	pthread_mutex_unlock(&dropping.types->lock);
}

uint32_t
rec_group_count(const struct rec_group *group)
{
	return group->count;
}

/* --- making a group -------------------------------------------------------------------------- */

/* Where the parts of a group's one block begin, in bytes from its start. */
struct group_layout {
	size_t displays, key, valtypes, fields, total;
};

static uint32_t
source_valtype_count(const struct type_source *source)
{
	return source->func.param_count + source->func.result_count;
}

/* False when the sum overflows. depths: of each type. */
static bool
group_layout(const struct type_source *sources, uint32_t count, const uint32_t *depths,
             size_t key_len, struct group_layout *out)
{
	size_t displays = 0, valtypes = 0, fields = 0;

	for (uint32_t i = 0; i < count; i++) {
		displays += depths[i] + 1;
		valtypes += source_valtype_count(&sources[i]);
		fields += sources[i].field_count;
	}
	/* Each is a number of things in memory already, so only the product can overflow. */
	const size_t most = SIZE_MAX / 8 / (sizeof(struct vm_type) + sizeof(struct field_type));
	if (count > most || displays > most || valtypes > most || fields > most || key_len > most)
		return false;
	out->displays = sizeof(struct rec_group) + count * sizeof(struct vm_type);
	out->key = out->displays + displays * sizeof(struct vm_type *);
	out->valtypes = out->key + key_len * sizeof(uint32_t);
	out->fields = out->valtypes + valtypes * sizeof(vm_valtype);
	out->total = out->fields + fields * sizeof(struct field_type);
	return true;
}
_Static_assert(alignof(struct vm_type) >= alignof(struct vm_type *) &&
                   alignof(struct vm_type *) >= alignof(vm_valtype) &&
                   alignof(vm_valtype) >= alignof(struct field_type),
               "the parts of a group's block follow one another without gaps");

static vm_valtype
resolve_valtype(const struct rec_group *group, vm_valtype type)
{
	const uint32_t heap = vm_valtype_heap(type);

	if (!vm_valtype_is_ref(type) || heap < TYPE_IN_GROUP)
		return type;
	return (type & 0xff) |
	       (VM_HEAP_CONCRETE + group->types[heap - TYPE_IN_GROUP].number) << 8;
}

static bool
has_floats(const vm_valtype *types, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		if (!vm_valtype_is_ref(types[i]) && types[i] != VM_I32 && types[i] != VM_I64)
			return true;
	}
	return false;
}

static uint32_t
slots_of(const vm_valtype *types, uint32_t count)
{
	uint32_t slots = 0;

	for (uint32_t i = 0; i < count; i++)
		slots += vm_valtype_slots(types[i]);
	return slots;
}

static vm_valtype *
fill_valtypes(const struct rec_group *group, vm_valtype *to, const vm_valtype *from, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		to[i] = resolve_valtype(group, from[i]);
	return to + count;
}

static const struct vm_type *
resolve_super(const struct vm_engine *engine, const struct rec_group *group, uint32_t heap)
{
	return heap >= TYPE_IN_GROUP ? &group->types[heap - TYPE_IN_GROUP]
	                             : type_of_heap(engine, heap);
}

/* Fill in types, displays and all: numbers have been taken. */
static void
fill_group(const struct vm_engine *engine, struct rec_group *group,
           const struct type_source *sources, const uint32_t *depths,
           const struct group_layout *layout)
{
	const struct vm_type **display =
	    (const struct vm_type **)(void *)((uint8_t *)group + layout->displays);
	vm_valtype *valtypes = (vm_valtype *)(void *)((uint8_t *)group + layout->valtypes);
	struct field_type *fields =
	    (struct field_type *)(void *)((uint8_t *)group + layout->fields);

	for (uint32_t i = 0; i < group->count; i++) {
		const struct type_source *source = &sources[i];
		struct vm_type *type = &group->types[i];

		type->kind = source->kind;
		type->is_final = source->is_final;
		type->group = group;
		type->depth = depths[i];
		type->display = display;
		if (type->depth > 0)
			memcpy(display, resolve_super(engine, group, source->super)->display,
			       type->depth * sizeof *display);
		display[type->depth] = type;
		display += type->depth + 1;

		type->func.param_count = source->func.param_count;
		type->func.result_count = source->func.result_count;
		type->func.params = valtypes;
		valtypes = fill_valtypes(group, valtypes, source->func.params,
		                         source->func.param_count);
		type->func.results = valtypes;
		valtypes = fill_valtypes(group, valtypes, source->func.results,
		                         source->func.result_count);
		type->param_slots = slots_of(type->func.params, type->func.param_count);
		type->result_slots = slots_of(type->func.results, type->func.result_count);
		type->has_floats = has_floats(type->func.params, type->func.param_count) ||
		                   has_floats(type->func.results, type->func.result_count);

		type->field_count = source->field_count;
		type->fields = fields;
		type->is_defaultable = true;
		for (uint32_t j = 0; j < source->field_count; j++, fields++) {
			fields->storage = resolve_valtype(group, source->fields[j].storage);
			fields->is_mutable = source->fields[j].is_mutable;
			type->is_defaultable &= valtype_is_defaultable(fields->storage);
		}
	}
}

/* --- checks (3.1.9) -------------------------------------------------------------------------- */

/*
 * The depth of each type. A super type comes before its sub types, so that it has been computed.
 */
static enum vm_status
compute_depths(const struct vm_engine *engine, const struct type_source *sources, uint32_t count,
               uint32_t *depths, uint32_t *out_bad, struct vm_error *err)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct type_source *source = &sources[i];
		const bool in_group = source->has_super && source->super >= TYPE_IN_GROUP;

		depths[i] = 0;
		if (!source->has_super)
			continue;
		if (in_group)
			depths[i] = depths[source->super - TYPE_IN_GROUP] + 1;
		else
			depths[i] = type_of_heap(engine, source->super)->depth + 1;
		if (depths[i] > engine->limits.subtype_depth_max) {
			*out_bad = i;
			return vm_error_set(err, VM_E_LIMIT, VM_NO_OFFSET,
			                    "more than %llu super types above it",
			                    (unsigned long long)engine->limits.subtype_depth_max);
		}
	}
	return VM_OK;
}

static bool
field_is_subtype(const struct vm_engine *engine, const struct field_type *sub,
                 const struct field_type *super)
{
	if (sub->is_mutable != super->is_mutable)
		return false;
	if (sub->storage == super->storage)
		return true;
	return !sub->is_mutable && valtype_is_subtype(engine, sub->storage, super->storage);
}

static bool
func_is_subtype(const struct vm_engine *engine, const struct vm_functype *sub,
                const struct vm_functype *super)
{
	if (sub->param_count != super->param_count || sub->result_count != super->result_count)
		return false;
	for (uint32_t i = 0; i < sub->param_count; i++) {
		if (!valtype_is_subtype(engine, super->params[i], sub->params[i]))
			return false;
	}
	for (uint32_t i = 0; i < sub->result_count; i++) {
		if (!valtype_is_subtype(engine, sub->results[i], super->results[i]))
			return false;
	}
	return true;
}

/* Does the structure of a type fit the one it declares as its super type? */
static bool
structure_fits(const struct vm_engine *engine, const struct vm_type *sub,
               const struct vm_type *super)
{
	if (super->is_final || sub->kind != super->kind || sub->field_count < super->field_count)
		return false;
	if (sub->kind == COMP_FUNC)
		return func_is_subtype(engine, &sub->func, &super->func);
	for (uint32_t i = 0; i < super->field_count; i++) {
		if (!field_is_subtype(engine, &sub->fields[i], &super->fields[i]))
			return false;
	}
	return true;
}

static enum vm_status
check_group(const struct vm_engine *engine, const struct rec_group *group, uint32_t *out_bad,
            struct vm_error *err)
{
	for (uint32_t i = 0; i < group->count; i++) {
		const struct vm_type *type = &group->types[i];

		if (type->depth == 0)
			continue;
		const struct vm_type *super = type->display[type->depth - 1];
		if (structure_fits(engine, type, super))
			continue;
		*out_bad = i;
		return vm_error_set(err, VM_E_INVALID, VM_NO_OFFSET, "%s",
		                    super->is_final ? "its super type is final"
		                                    : "it does not match its super type");
	}
	return VM_OK;
}

/* --- interning ------------------------------------------------------------------------------- */

static enum vm_status
take_numbers(struct vm_engine *engine, struct rec_group *group, struct vm_error *err)
{
	const uint32_t count = group->count;

	for (group->count = 0; group->count < count; group->count++) {
		struct vm_type *type = &group->types[group->count];
		enum vm_status st = number_take(engine, &type->number, err);

		if (st != VM_OK) {
			give_numbers(engine->types, group);
			return st;
		}
		number_bind(engine->types, type);
	}
	return VM_OK;
}

/* Make the group of a key that was not found. Called with the lock held. */
static enum vm_status
add_group(struct vm_engine *engine, const struct type_source *sources, uint32_t count,
          const uint32_t *depths, const uint32_t *key, size_t key_len, uint64_t hash,
          struct rec_group **out, uint32_t *out_bad, struct vm_error *err)
{
	struct group_layout layout;
	struct rec_group *group = NULL;
	enum vm_status st;

	if (group_layout(sources, count, depths, key_len, &layout))
		group = engine_alloc_zeroed(engine, 1, layout.total);
	if (group == NULL || !buckets_grow(engine)) {
		engine_free(engine, group);
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory for types");
	}
	uint32_t *own_key = (uint32_t *)(void *)((uint8_t *)group + layout.key);
	memcpy(own_key, key, key_len * sizeof *key);
	group->key = own_key;
	group->key_len = key_len;
	group->hash = hash;
	group->count = count;
	atomic_init(&group->refs, 1);
	st = take_numbers(engine, group, err);
	if (st != VM_OK)
		goto fail;
	fill_group(engine, group, sources, depths, &layout);
	st = check_group(engine, group, out_bad, err);
	if (st != VM_OK) {
		give_numbers(engine->types, group);
		goto fail;
	}
	each_foreign_group(engine, group, hold_group, NULL);

	struct rec_group **bucket =
	    &engine->types->buckets[hash & (engine->types->bucket_count - 1)];
	group->next = *bucket;
	*bucket = group;
	engine->types->group_count++;
	*out = group;
	return VM_OK;
fail:
	engine_free(engine, group);
	return st;
}

enum vm_status
types_intern(struct vm_engine *engine, const struct type_source *sources, uint32_t count,
             const struct vm_type **out_types, uint32_t *out_bad, struct vm_error *err)
{
	struct type_registry *types = engine->types;
	struct rec_group *group;
	size_t key_len = 1;
	enum vm_status st;

	*out_bad = 0;
	for (uint32_t i = 0; i < count; i++)
		key_len += source_key_len(&sources[i]);
	/* The key, and the depths behind it. */
	uint32_t *key = engine_realloc_array(engine, NULL, key_len + count, sizeof *key);
	if (key == NULL)
		return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory for types");
	uint32_t *const depths = key + key_len;
	uint32_t *at = key;
	*at++ = count;
	for (uint32_t i = 0; i < count; i++)
		at = write_source(at, &sources[i]);
	const uint64_t hash = key_hash(types->seed, key, key_len);

	pthread_mutex_lock(&types->lock);
	group = find_group(types, hash, key, key_len);
	if (group != NULL) {
		rec_group_ref(group);
		st = VM_OK;
	} else {
		st = compute_depths(engine, sources, count, depths, out_bad, err);
		if (st == VM_OK)
			st = add_group(engine, sources, count, depths, key, key_len, hash, &group,
			               out_bad, err);
	}
	pthread_mutex_unlock(&types->lock);
	engine_free(engine, key);
	if (st != VM_OK)
		return st;
	for (uint32_t i = 0; i < count; i++)
		out_types[i] = &group->types[i];
	return VM_OK;
}

enum vm_status
types_intern_func(struct vm_engine *engine, const struct vm_functype *func,
                  const struct vm_type **out_type, struct vm_error *err)
{
	const struct type_source source = {
		.kind = COMP_FUNC,
		.is_final = true,
		.func = *func,
	};
	uint32_t bad;

	return types_intern(engine, &source, 1, out_type, &bad, err);
}

/* --- sub-typing (3.3) ------------------------------------------------------------------------ */

/* The abstract heap type right above a concrete one. */
static uint32_t
kind_heap(enum comp_kind kind)
{
	switch (kind) {
	case COMP_FUNC:
		return VM_HEAP_FUNC;
	case COMP_STRUCT:
		return VM_HEAP_STRUCT;
	case COMP_ARRAY:
	default:
		return VM_HEAP_ARRAY;
	}
}

/* Sub-typing of abstract heap types. */
static bool
abstract_is_subtype(uint32_t sub, uint32_t super)
{
	if (sub == super)
		return true;
	switch (super) {
	case VM_HEAP_ANY:
		return sub == VM_HEAP_EQ || abstract_is_subtype(sub, VM_HEAP_EQ);
	case VM_HEAP_EQ:
		return sub == VM_HEAP_I31 || sub == VM_HEAP_STRUCT || sub == VM_HEAP_ARRAY ||
		       sub == VM_HEAP_NONE;
	case VM_HEAP_I31:
	case VM_HEAP_STRUCT:
	case VM_HEAP_ARRAY:
		return sub == VM_HEAP_NONE;
	case VM_HEAP_FUNC:
		return sub == VM_HEAP_NOFUNC;
	case VM_HEAP_EXTERN:
		return sub == VM_HEAP_NOEXTERN;
	case VM_HEAP_EXN:
		return sub == VM_HEAP_NOEXN;
	default:
		return false;
	}
}

bool
heap_is_subtype(const struct vm_engine *engine, uint32_t sub, uint32_t super)
{
	if (sub == super)
		return true;
	if (super < VM_HEAP_CONCRETE) {
		if (sub >= VM_HEAP_CONCRETE)
			sub = kind_heap(type_of_heap(engine, sub)->kind);
		return abstract_is_subtype(sub, super);
	}
	const struct vm_type *super_type = type_of_heap(engine, super);
	if (sub >= VM_HEAP_CONCRETE)
		return type_is_subtype(type_of_heap(engine, sub), super_type);
	return sub == (super_type->kind == COMP_FUNC ? VM_HEAP_NOFUNC : VM_HEAP_NONE);
}

bool
valtype_is_subtype(const struct vm_engine *engine, vm_valtype sub, vm_valtype super)
{
	if (sub == super || sub == VM_VALTYPE_BOTTOM)
		return true;
	if (!vm_valtype_is_ref(sub) || !vm_valtype_is_ref(super))
		return false;
	if (vm_valtype_is_nullable(sub) && !vm_valtype_is_nullable(super))
		return false;
	return heap_is_subtype(engine, vm_valtype_heap(sub), vm_valtype_heap(super));
}

uint32_t
heap_top(const struct vm_engine *engine, uint32_t heap)
{
	if (heap >= VM_HEAP_CONCRETE)
		heap = kind_heap(type_of_heap(engine, heap)->kind);
	switch (heap) {
	case VM_HEAP_FUNC:
	case VM_HEAP_NOFUNC:
		return VM_HEAP_FUNC;
	case VM_HEAP_EXTERN:
	case VM_HEAP_NOEXTERN:
		return VM_HEAP_EXTERN;
	case VM_HEAP_EXN:
	case VM_HEAP_NOEXN:
		return VM_HEAP_EXN;
	default:
		return VM_HEAP_ANY;
	}
}
