/*
 * value.h - WebAssembly values in C.
 *
 * Two forms. struct vm_value carries its type: it is checked at every call and is what most
 * embedders use. union vm_slot is the raw 8-byte form in which arguments and results travel
 * inside the engine and to host functions: nothing is checked, a v128 takes two slots, low half
 * first, and an i32 or f32 leaves the upper half unspecified.
 */
#pragma once

#include "vm/type.h"

union vm_slot {
	int32_t i32;
	uint32_t u32;
	int64_t i64;
	uint64_t u64;
	float f32;
	double f64;
	void *ref;
};

/*
 * A reference is a pointer, NULL the null reference. funcref: a struct vm_func of the same
 * store. externref: whatever the host passed in, never looked at.
 */
struct vm_value {
	vm_valtype type;
	union {
		int32_t i32;
		int64_t i64;
		uint32_t f32_bits; /* bit patterns, so that no copy can quieten a NaN */
		uint64_t f64_bits;
		uint8_t v128[16]; /* byte 0 first, as in memory */
		void *ref;
	} of;
};
