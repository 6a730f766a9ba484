/* search.c - finds words in a text: Horspool's search, and a plain one. */
#include "kernel.h"

#define TEXT_LEN 8192u
#define WORD_LEN 6u

static uint8_t text[TEXT_LEN];
static uint8_t skip[256];

static void
make_text(void)
{
	uint32_t seed = 5;

	for (uint32_t i = 0; i < TEXT_LEN; i++)
		text[i] = (uint8_t)('a' + random_next(&seed) % 4);
}

static bool
matches(const uint8_t *at, const uint8_t *word)
{
	for (uint32_t i = 0; i < WORD_LEN; i++)
		if (at[i] != word[i])
			return false;
	return true;
}

static uint32_t
count_plain(const uint8_t *word)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i + WORD_LEN <= TEXT_LEN; i++)
		count += matches(text + i, word);
	return count;
}

static uint32_t
count_horspool(const uint8_t *word)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < 256; i++)
		skip[i] = WORD_LEN;
	for (uint32_t i = 0; i + 1 < WORD_LEN; i++)
		skip[word[i]] = (uint8_t)(WORD_LEN - 1 - i);
	for (uint32_t i = 0; i + WORD_LEN <= TEXT_LEN; i += skip[text[i + WORD_LEN - 1]])
		count += matches(text + i, word);
	return count;
}

uint32_t
run(uint32_t n)
{
	uint32_t sum = 0;

	make_text();
	for (uint32_t i = 0; i < n; i++) {
		const uint8_t *word = text + i * 37 % (TEXT_LEN - WORD_LEN);

		sum = mix(sum, count_plain(word) * 1000 + count_horspool(word));
	}
	return sum;
}
