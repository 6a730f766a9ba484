/* sort.c - quicksort of pseudo-random integers: compares, swaps, recursion. */
#include "kernel.h"

#define COUNT 2000

static uint32_t items[COUNT];

static void
insertion_sort(uint32_t *from, uint32_t *end)
{
	for (uint32_t *p = from + 1; p < end; p++) {
		uint32_t item = *p, *q = p;

		for (; q > from && q[-1] > item; q--)
			*q = q[-1];
		*q = item;
	}
}

static void
quicksort(uint32_t *from, uint32_t *end)
{
	while (end - from > 12) {
		uint32_t pivot = from[(end - from) / 2];
		uint32_t *low = from, *high = end - 1;

		while (low <= high) {
			while (*low < pivot)
				low++;
			while (*high > pivot)
				high--;
			if (low <= high) {
				uint32_t item = *low;

				*low++ = *high;
				*high-- = item;
			}
		}
		quicksort(from, high + 1);
		from = low;
	}
	insertion_sort(from, end);
}

uint32_t
run(uint32_t n)
{
	uint32_t seed = 7, sum = 0;

	for (uint32_t round = 0; round < n; round++) {
		for (int i = 0; i < COUNT; i++)
			items[i] = random_next(&seed);
		quicksort(items, items + COUNT);
		for (int i = 0; i < COUNT; i += 97)
			sum = mix(sum, items[i]);
	}
	return sum;
}
