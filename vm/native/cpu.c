/*
 * cpu.c - what this processor can do, and what names of processors mean.
 */
#include <string.h>
#include "vm/base/str.h"
#include "vm/native.h"
#include "vm/native/abi.h"

#if defined __x86_64__
#include <cpuid.h>

/* A register of cpuid's answer. */
enum { EAX, EBX, ECX, EDX };

static uint32_t
cpuid_bits(uint32_t leaf, int reg)
{
	uint32_t r[4] = { 0 };

	if (!__get_cpuid_count(leaf, 0, &r[EAX], &r[EBX], &r[ECX], &r[EDX]))
		return 0;
	return r[reg];
}

/* Which registers the system saves: bit 1 SSE, 2 AVX, 5 to 7 AVX-512; 0 when it does not say. */
static uint32_t
saved_registers(void)
{
	uint32_t low = 0, high = 0;

	if (cpuid_bits(1, ECX) & bit_OSXSAVE)
		__asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
	return low;
}

static uint64_t
detect(void)
{
	enum { AVX_SAVED = 0x06, AVX512_SAVED = 0xe6 };
	static const struct {
		uint64_t feature;
		uint32_t leaf;
		int reg;
		uint32_t mask;
		uint32_t saved;
	} rows[] = {
		{ CPU_BIT(CX16),     1,          ECX, bit_CMPXCHG16B, 0 },
		{ CPU_BIT(SAHF),     0x80000001, ECX, bit_LAHF_LM,    0 },
		{ CPU_BIT(POPCNT),   1,          ECX, bit_POPCNT,     0 },
		{ CPU_BIT(SSE3),     1,          ECX, bit_SSE3,       0 },
		{ CPU_BIT(SSSE3),    1,          ECX, bit_SSSE3,      0 },
		{ CPU_BIT(SSE41),    1,          ECX, bit_SSE4_1,     0 },
		{ CPU_BIT(SSE42),    1,          ECX, bit_SSE4_2,     0 },
		{ CPU_BIT(AVX),      1,          ECX, bit_AVX,        AVX_SAVED },
		{ CPU_BIT(AVX2),     7,          EBX, bit_AVX2,       AVX_SAVED },
		{ CPU_BIT(BMI),      7,          EBX, bit_BMI,        0 },
		{ CPU_BIT(BMI2),     7,          EBX, bit_BMI2,       0 },
		{ CPU_BIT(F16C),     1,          ECX, bit_F16C,       AVX_SAVED },
		{ CPU_BIT(FMA),      1,          ECX, bit_FMA,        AVX_SAVED },
		{ CPU_BIT(LZCNT),    0x80000001, ECX, bit_ABM,        0 },
		{ CPU_BIT(MOVBE),    1,          ECX, bit_MOVBE,      0 },
		{ CPU_BIT(AVX512F),  7,          EBX, bit_AVX512F,    AVX512_SAVED },
		{ CPU_BIT(AVX512BW), 7,          EBX, bit_AVX512BW,   AVX512_SAVED },
		{ CPU_BIT(AVX512CD), 7,          EBX, bit_AVX512CD,   AVX512_SAVED },
		{ CPU_BIT(AVX512DQ), 7,          EBX, bit_AVX512DQ,   AVX512_SAVED },
		{ CPU_BIT(AVX512VL), 7,          EBX, bit_AVX512VL,   AVX512_SAVED },
	};
	uint32_t saved = saved_registers();
	uint64_t found = 0;

	_Static_assert(sizeof(rows) / sizeof(rows[0]) == CPU_COUNT, "a row for each of cpu.def");
	for (size_t i = 0; i < CPU_COUNT; i++) {
		if (cpuid_bits(rows[i].leaf, rows[i].reg) & rows[i].mask &&
		    (saved & rows[i].saved) == rows[i].saved)
			found |= rows[i].feature;
	}
	return found;
}
#else
static uint64_t
detect(void)
{
	return 0;
}
#endif

/* Features of a level of x86-64, and those below. */
static uint64_t
level_features(int level)
{
	uint64_t features = 0;

#define CPU(symbol, name, first)                                                                   \
	if ((first) != 0 && (first) <= level)                                                      \
		features |= CPU_BIT(symbol);
#include "vm/def/cpu.def"
#undef CPU
	return features;
}

uint64_t
vm_cpu_features(void)
{
	/* Threads that come at once find the same. */
	static atomic_ullong known;
	static atomic_bool is_known;

	if (!atomic_load_explicit(&is_known, memory_order_acquire)) {
		atomic_store_explicit(&known, detect(), memory_order_relaxed);
		atomic_store_explicit(&is_known, true, memory_order_release);
	}
	return atomic_load_explicit(&known, memory_order_relaxed);
}

bool
vm_cpu_find(struct vm_str name, uint64_t *out_features)
{
	static const char *const levels[] = { "baseline", "x86-64-v2", "x86-64-v3", "x86-64-v4" };

	if (str_equal(name, VM_STR("host"))) {
		*out_features = vm_cpu_features();
		return true;
	}
	for (int i = 0; i < 4; i++) {
		struct vm_str level = { levels[i], strlen(levels[i]) };

		if (str_equal(name, level)) {
			*out_features = level_features(i + 1);
			return true;
		}
	}
	return false;
}
