/* simd.c - 128-bit vectors: integer mixing and a float product with shuffles and compares. */
#include "kernel.h"

typedef int32_t i32x4 __attribute__((vector_size(16)));
typedef uint32_t u32x4 __attribute__((vector_size(16)));
typedef float f32x4 __attribute__((vector_size(16)));

#define COUNT 512

static u32x4 words[COUNT];
static f32x4 numbers[COUNT];

static u32x4
mix_words(void)
{
	u32x4 sum = { 1, 2, 3, 4 };

	for (int i = 0; i < COUNT; i++) {
		u32x4 word = words[i] + sum;

		word ^= word << 7;
		word ^= word >> 9;
		sum = __builtin_shufflevector(word, sum, 1, 4, 3, 6) * 5u;
		words[i] = word;
	}
	return sum;
}

static f32x4
mix_numbers(void)
{
	f32x4 sum = { 0, 0, 0, 0 };

	for (int i = 0; i < COUNT; i++) {
		f32x4 number = numbers[i] * 0.75f + sum * 0.125f;
		i32x4 large = number > 2.0f;

		number = (f32x4)(((i32x4)number & ~large) | ((i32x4)(number - 2.0f) & large));
		numbers[i] = number;
		sum += number;
		sum *= 0.5f;
	}
	return sum;
}

uint32_t
run(uint32_t n)
{
	uint32_t sum = 0;

	for (int i = 0; i < COUNT; i++) {
		uint32_t u = (uint32_t)i;

		words[i] = (u32x4){ u, u * 3, u * 5, u * 7 };
		numbers[i] = (f32x4){ (float)i, (float)i * 0.5f, (float)i * 0.25f, 1.0f };
	}
	for (uint32_t i = 0; i < n; i++) {
		u32x4 w = mix_words();
		u32x4 f = (u32x4)mix_numbers();

		sum = mix(sum, w[0] ^ w[1] ^ w[2] ^ w[3] ^ f[0] ^ f[1] ^ f[2] ^ f[3]);
	}
	return sum;
}
