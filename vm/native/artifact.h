/*
 * artifact.h - native code of a module as bytes.
 *
 * Everything is little-endian and position-independent: nothing is relocated when the bytes are
 * mapped. The parts lie in this order, each aligned to 16 bytes and the text to a page, so that
 * the file is its own memory image: all is mapped readable, the text executable besides.
 *
 *     header          struct artifact_header
 *     functions       { offset, size } in the text, for every function the module defines
 *     order           numbers of these functions, by offset
 *     position index  { text, position, at }: every POSITION_BLOCK rows the state of the next
 *     positions       rows { ULEB128 text forward, SLEB128 position forward }: from there on
 *                     instructions belong to that offset of the binary; 0: to none
 *     unwind index    { text, at }: where a frame description starts, by text
 *     unwind          .eh_frame of all objects
 *     data            constants
 *     text
 *
 * A MAC over all bytes is kept with them, not in them.
 *
 * Owns:    nothing: struct artifact points into the bytes
 */
#pragma once

#include "vm/native.h"
#include "vm/native/abi.h"

#define ARTIFACT_MAGIC { 0x89, 'w', 'a', 's', 'm', 'n', 'a', 't' }
enum { ARTIFACT_VERSION = 2, ARTIFACT_PAGE_BYTES = 4096, ARTIFACT_ALIGN = 16 };

/* Relative offsets have 31 bits, and so has everything else. */
enum { ARTIFACT_BYTES_MAX = 1 << 30 };

enum artifact_flag {
	ARTIFACT_BEST = 1,
	ARTIFACT_METERED = 2,
	ARTIFACT_CANONICAL_NANS = 4,
	ARTIFACT_RELAXED_TRAPS = 8,
	ARTIFACT_FLAGS = 15,
};

enum artifact_part {
	ARTIFACT_FUNCTIONS,
	ARTIFACT_ORDER,
	ARTIFACT_POSITION_INDEX,
	ARTIFACT_POSITIONS,
	ARTIFACT_UNWIND_INDEX,
	ARTIFACT_UNWIND,
	ARTIFACT_DATA,
	ARTIFACT_TEXT,
	ARTIFACT_PARTS,
};

struct artifact_range {
	uint32_t offset, size_bytes;
};

struct artifact_header {
	uint8_t magic[8];
	uint32_t version;
	uint32_t flags;
	uint8_t build[VM_DIGEST_BYTES];
	uint8_t module[VM_DIGEST_BYTES];
	uint64_t cpu_features;
	uint32_t func_count; /* that the module defines */
	uint32_t size_bytes; /* of the whole */
	struct artifact_range parts[ARTIFACT_PARTS];
	/* How the module was validated, and what was found. */
	vm_features features_used, features_seen;
	struct vm_limits limits;
};

struct artifact_position {
	uint32_t text, position, at;
};

struct artifact_frame {
	uint32_t text, at;
};

enum { POSITION_BLOCK = 64 };

struct artifact {
	const uint8_t *bytes;
	struct artifact_header header;
	const struct artifact_range *functions;
	const uint32_t *order;
	const struct artifact_position *position_index;
	uint32_t position_index_count;
	const struct artifact_frame *unwind_index;
	uint32_t unwind_index_count;
};

/*
 * Check the header, and fill in *out->header. Returns VM_E_MALFORMED; VM_E_NOT_FOUND for another
 * version of the format.
 */
VM_MUST_CHECK enum vm_status artifact_read_header(const uint8_t *bytes, size_t len,
                                                  struct artifact_header *out,
                                                  struct vm_error *err);
/*
 * Check all of it. bytes must be aligned to 16; they are used in place. What is left to check at
 * use is that positions and unwind information end where their parts do. Returns the same.
 */
VM_MUST_CHECK enum vm_status artifact_read(const uint8_t *bytes, size_t len, struct artifact *out,
                                           struct vm_error *err);

/* The number among defined functions whose code is there, or begins before; false for none. */
bool artifact_find_function(const struct artifact *artifact, uint32_t text, uint32_t *out_number);

/* The offset in the binary that the instruction at an offset of the text belongs to, 0 for none. */
uint32_t artifact_position(const struct artifact *artifact, uint32_t text);

/* Rows of positions as they come, text ascending, into the two parts. */
struct position_writer {
	const struct vm_engine *engine;
	struct artifact_position *index;
	uint32_t index_count, index_room;
	uint8_t *rows;
	uint32_t size_bytes, room_bytes;
	uint32_t row_count;
	uint32_t text, position; /* of the last row */
};

/* False when there is no memory, or more than an artifact may hold. */
bool positions_add(struct position_writer *w, uint32_t text, uint32_t position);
void positions_clear(struct position_writer *w);
