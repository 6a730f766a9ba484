#include "vm/native/artifact.h"

#include <endian.h>
#include <string.h>

static const uint8_t magic[8] = ARTIFACT_MAGIC;

static enum vm_status
malformed(struct vm_error *err, uint64_t offset, const char *what)
{
	return vm_error_set(err, VM_E_MALFORMED, offset, "artifact: %s", what);
}

/* --- header --------------------------------------------------------------------------------- */

static void
header_to_host(struct artifact_header *h)
{
	h->version = le32toh(h->version);
	h->flags = le32toh(h->flags);
	h->cpu_features = le64toh(h->cpu_features);
	h->func_count = le32toh(h->func_count);
	h->size_bytes = le32toh(h->size_bytes);
	for (int i = 0; i < ARTIFACT_PARTS; i++) {
		h->parts[i].offset = le32toh(h->parts[i].offset);
		h->parts[i].size_bytes = le32toh(h->parts[i].size_bytes);
	}
	h->features_used = le64toh(h->features_used);
	h->features_seen = le64toh(h->features_seen);
#define LIMIT(name, value, text) h->limits.name = le64toh(h->limits.name);
#include "vm/limits.def"
#undef LIMIT
}

/* Parts follow one another, within the whole. */
static enum vm_status
parts_check(const struct artifact_header *h, struct vm_error *err)
{
	uint64_t end = sizeof(*h);

	for (int i = 0; i < ARTIFACT_PARTS; i++) {
		const struct artifact_range *part = &h->parts[i];
		uint32_t align = i == ARTIFACT_TEXT ? ARTIFACT_PAGE_BYTES : ARTIFACT_ALIGN;

		if (part->offset % align != 0 || part->offset < end)
			return malformed(err, offsetof(struct artifact_header, parts),
			                 "a part is not where it has to be");
		end = (uint64_t)part->offset + part->size_bytes;
	}
	if (end != h->size_bytes)
		return malformed(err, offsetof(struct artifact_header, parts),
		                 "the parts do not make up the whole");
	return VM_OK;
}

enum vm_status
artifact_read_header(const uint8_t *bytes, size_t len, struct artifact_header *out,
                     struct vm_error *err)
{
	struct artifact_header h;

	if (len < sizeof(h))
		return malformed(err, len, "ends inside the header");
	memcpy(&h, bytes, sizeof(h));
	header_to_host(&h);
	if (memcmp(h.magic, magic, sizeof(magic)) != 0)
		return malformed(err, 0, "does not begin like one");
	if (h.version != ARTIFACT_VERSION)
		return vm_error_set(err, VM_E_NOT_FOUND, offsetof(struct artifact_header, version),
		                    "artifact: version %u of the format, this library reads %d",
		                    h.version, ARTIFACT_VERSION);
	if (h.flags & ~(uint32_t)ARTIFACT_FLAGS || h.cpu_features >> CPU_COUNT != 0)
		return malformed(err, offsetof(struct artifact_header, flags),
		                 "flags or processor features that do not exist");
	if (h.size_bytes != len || len > ARTIFACT_BYTES_MAX)
		return malformed(err, offsetof(struct artifact_header, size_bytes),
		                 "has another size than it says");
	enum vm_status st = parts_check(&h, err);
	if (st == VM_OK)
		*out = h;
	return st;
}

enum vm_status
vm_artifact_describe(const uint8_t *artifact, size_t len, struct vm_artifact_info *out,
                     struct vm_error *err)
{
	struct artifact_header h;

	/* Whatever is wrong, other versions too, it is not an artifact to this library. */
	if (artifact_read_header(artifact, len, &h, err) != VM_OK) {
		if (err != NULL)
			err->status = VM_E_MALFORMED;
		return VM_E_MALFORMED;
	}
	*out = (struct vm_artifact_info){
		.level = h.flags & ARTIFACT_BEST ? VM_COMPILE_BEST : VM_COMPILE_FAST,
		.metered = (h.flags & ARTIFACT_METERED) != 0,
		.canonical_nans = (h.flags & ARTIFACT_CANONICAL_NANS) != 0,
		.relaxed_traps = (h.flags & ARTIFACT_RELAXED_TRAPS) != 0,
		.cpu_features = h.cpu_features,
		.code_bytes = h.parts[ARTIFACT_TEXT].size_bytes,
	};
	memcpy(out->build, h.build, sizeof(out->build));
	memcpy(out->module, h.module, sizeof(out->module));
	return VM_OK;
}

/* --- contents ------------------------------------------------------------------------------- */

static const uint8_t *
part_at(const struct artifact *a, enum artifact_part part)
{
	return a->bytes + a->header.parts[part].offset;
}

/* A part that is an array; false when its size is no multiple. */
static bool
array_at(const struct artifact *a, enum artifact_part part, size_t item_bytes, const void **out,
         uint32_t *out_count)
{
	uint32_t size_bytes = a->header.parts[part].size_bytes;

	*out = part_at(a, part);
	*out_count = (uint32_t)(size_bytes / item_bytes);
	return size_bytes % item_bytes == 0;
}

/* In order they lie in the text one behind the other, so the order names each once. */
static enum vm_status
functions_check(const struct artifact *a, struct vm_error *err)
{
	uint32_t text_bytes = a->header.parts[ARTIFACT_TEXT].size_bytes;
	uint64_t end = 0;

	for (uint32_t i = 0; i < a->header.func_count; i++) {
		uint32_t number = a->order[i];

		if (number >= a->header.func_count)
			return malformed(err, a->header.parts[ARTIFACT_ORDER].offset,
			                 "a function that does not exist");
		const struct artifact_range *code = &a->functions[number];
		if (code->offset < end || code->size_bytes == 0)
			return malformed(err, a->header.parts[ARTIFACT_FUNCTIONS].offset,
			                 "functions that overlap");
		end = (uint64_t)code->offset + code->size_bytes;
		if (end > text_bytes)
			return malformed(err, a->header.parts[ARTIFACT_FUNCTIONS].offset,
			                 "a function outside of the text");
	}
	return VM_OK;
}

static enum vm_status
indices_check(const struct artifact *a, struct vm_error *err)
{
	for (uint32_t i = 0; i < a->position_index_count; i++) {
		const struct artifact_position *at = &a->position_index[i];

		if (at->at > a->header.parts[ARTIFACT_POSITIONS].size_bytes ||
		    (i > 0 && at->text < at[-1].text))
			return malformed(err, a->header.parts[ARTIFACT_POSITION_INDEX].offset,
			                 "an index of positions out of order");
	}
	for (uint32_t i = 0; i < a->unwind_index_count; i++) {
		const struct artifact_frame *at = &a->unwind_index[i];

		if (at->at > a->header.parts[ARTIFACT_UNWIND].size_bytes ||
		    (i > 0 && at->text < at[-1].text))
			return malformed(err, a->header.parts[ARTIFACT_UNWIND_INDEX].offset,
			                 "an index of frames out of order");
	}
	return VM_OK;
}

enum vm_status
artifact_read(const uint8_t *bytes, size_t len, struct artifact *out, struct vm_error *err)
{
	struct artifact a = { .bytes = bytes };
	uint32_t function_count, order_count;
	const void *functions, *order, *positions, *frames;
	enum vm_status st = artifact_read_header(bytes, len, &a.header, err);

	if (st != VM_OK)
		return st;
	if (!array_at(&a, ARTIFACT_FUNCTIONS, sizeof(*a.functions), &functions, &function_count) ||
	    !array_at(&a, ARTIFACT_ORDER, sizeof(*a.order), &order, &order_count) ||
	    !array_at(&a, ARTIFACT_POSITION_INDEX, sizeof(*a.position_index), &positions,
	              &a.position_index_count) ||
	    !array_at(&a, ARTIFACT_UNWIND_INDEX, sizeof(*a.unwind_index), &frames,
	              &a.unwind_index_count) ||
	    function_count != a.header.func_count || order_count != a.header.func_count)
		return malformed(err, offsetof(struct artifact_header, parts),
		                 "a table has not the size that it should have");
	a.functions = functions;
	a.order = order;
	a.position_index = positions;
	a.unwind_index = frames;
	st = functions_check(&a, err);
	if (st == VM_OK)
		st = indices_check(&a, err);
	if (st == VM_OK)
		*out = a;
	return st;
}

bool
artifact_find_function(const struct artifact *a, uint32_t text, uint32_t *out_number)
{
	uint32_t low = 0, high = a->header.func_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (a->functions[a->order[middle]].offset <= text)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return false;
	*out_number = a->order[low - 1];
	return true;
}

/* --- positions ------------------------------------------------------------------------------ */

/* A number of at most 32 bits, or 0 at the end. */
static uint32_t
read_uleb(const uint8_t **at, const uint8_t *end)
{
	uint32_t value = 0;

	for (unsigned int shift = 0; *at < end && shift < 32; shift += 7) {
		uint8_t byte = *(*at)++;

		value |= (uint32_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			break;
	}
	return value;
}

/* Signed numbers are written with the sign in the lowest bit. */
static uint32_t
read_signed(const uint8_t **at, const uint8_t *end)
{
	uint32_t value = read_uleb(at, end);

	return value >> 1 ^ (0u - (value & 1));
}

uint32_t
artifact_position(const struct artifact *a, uint32_t text)
{
	const struct artifact_range *part = &a->header.parts[ARTIFACT_POSITIONS];
	uint32_t low = 0, high = a->position_index_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (a->position_index[middle].text <= text)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return 0;

	struct artifact_position row = a->position_index[low - 1];
	const uint8_t *at = a->bytes + part->offset + row.at;
	const uint8_t *end = a->bytes + part->offset + part->size_bytes;
	for (int i = 1; i < POSITION_BLOCK && at < end; i++) {
		uint32_t next = row.text + read_uleb(&at, end);
		uint32_t position = row.position + read_signed(&at, end);

		if (next > text)
			break;
		row.text = next;
		row.position = position;
	}
	return row.position;
}

static bool
write_uleb(struct position_writer *w, uint32_t value)
{
	if (w->room_bytes - w->size_bytes < 5) {
		uint32_t room = w->room_bytes * 2 + 1024;

		if (room > ARTIFACT_BYTES_MAX)
			return false;
		uint8_t *more = engine_realloc_array(w->engine, w->rows, room, 1);
		if (more == NULL)
			return false;
		w->rows = more;
		w->room_bytes = room;
	}
	for (; value >= 0x80; value >>= 7)
		w->rows[w->size_bytes++] = (uint8_t)(value | 0x80);
	w->rows[w->size_bytes++] = (uint8_t)value;
	return true;
}

static bool
index_add(struct position_writer *w, uint32_t text, uint32_t position)
{
	if (w->index_count == w->index_room) {
		uint32_t room = w->index_room * 2 + 64;
		struct artifact_position *more =
		    engine_realloc_array(w->engine, w->index, room, sizeof(*more));

		if (more == NULL)
			return false;
		w->index = more;
		w->index_room = room;
	}
	w->index[w->index_count++] = (struct artifact_position){ text, position, w->size_bytes };
	return true;
}

bool
positions_add(struct position_writer *w, uint32_t text, uint32_t position)
{
	bool is_added;

	/* What the row before says already. */
	if (w->row_count > 0 && position == w->position)
		return true;
	if (w->row_count % POSITION_BLOCK == 0) {
		is_added = index_add(w, text, position);
	} else {
		uint32_t forward = position - w->position;

		is_added = write_uleb(w, text - w->text) &&
		           write_uleb(w, forward << 1 ^ (0u - (forward >> 31)));
	}
	w->row_count++;
	w->text = text;
	w->position = position;
	return is_added;
}

void
positions_clear(struct position_writer *w)
{
	engine_free(w->engine, w->index);
	engine_free(w->engine, w->rows);
}
