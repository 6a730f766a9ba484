/*
 * cpu.c - what this processor can do, and what names of processors mean.
 */
#include <string.h>
#include "vm/base/str.h"
#include "vm/native.h"
#include "vm/native/abi.h"

/*
 * The C library asks the processor when a process starts and remembers. Asking again is slow where
 * a hypervisor answers: an instruction takes microseconds, all of them a tenth of a small program.
 */
#if defined __x86_64__ && __has_include(<sys/platform/x86.h>)
#include <sys/platform/x86.h>

/* The header's own function shifts a signed 1 by 31. */
static bool
is_active(unsigned int number)
{
	const struct cpuid_feature *leaf = __x86_get_cpuid_feature_leaf(number / 128);

	return leaf->active_array[number % 128 / 32] >> (number % 32) & 1;
}

uint64_t
vm_cpu_features(void)
{
	uint64_t found = 0;

	/* Active: the processor has it and the system saves its registers. */
	const struct {
		uint64_t feature;
		bool is_active;
	} rows[] = {
		{ CPU_BIT(CX16),      is_active(x86_cpu_CMPXCHG16B) },
		{ CPU_BIT(SAHF),      is_active(x86_cpu_LAHF64_SAHF64) },
		{ CPU_BIT(POPCNT),    is_active(x86_cpu_POPCNT) },
		{ CPU_BIT(SSE3),      is_active(x86_cpu_SSE3) },
		{ CPU_BIT(SSSE3),     is_active(x86_cpu_SSSE3) },
		{ CPU_BIT(SSE41),     is_active(x86_cpu_SSE4_1) },
		{ CPU_BIT(SSE42),     is_active(x86_cpu_SSE4_2) },
		{ CPU_BIT(AVX),       is_active(x86_cpu_AVX) },
		{ CPU_BIT(AVX2),      is_active(x86_cpu_AVX2) },
		{ CPU_BIT(BMI),       is_active(x86_cpu_BMI1) },
		{ CPU_BIT(BMI2),      is_active(x86_cpu_BMI2) },
		{ CPU_BIT(F16C),      is_active(x86_cpu_F16C) },
		{ CPU_BIT(FMA),       is_active(x86_cpu_FMA) },
		{ CPU_BIT(LZCNT),     is_active(x86_cpu_LZCNT) },
		{ CPU_BIT(MOVBE),     is_active(x86_cpu_MOVBE) },
		{ CPU_BIT(AVX512F),   is_active(x86_cpu_AVX512F) },
		{ CPU_BIT(AVX512BW),  is_active(x86_cpu_AVX512BW) },
		{ CPU_BIT(AVX512CD),  is_active(x86_cpu_AVX512CD) },
		{ CPU_BIT(AVX512DQ),  is_active(x86_cpu_AVX512DQ) },
		{ CPU_BIT(AVX512VL),  is_active(x86_cpu_AVX512VL) },
	};

	_Static_assert(sizeof(rows) / sizeof(rows[0]) == CPU_COUNT, "a row for each of cpu.def");
	for (size_t i = 0; i < CPU_COUNT; i++)
		found |= rows[i].is_active ? rows[i].feature : 0;
	return found;
}
#else
uint64_t
vm_cpu_features(void)
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
