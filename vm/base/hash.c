#include "vm/base/hash.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

struct sip {
	uint64_t v0, v1, v2, v3;
};

static uint64_t
rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static void
sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotate(s->v1, 13) ^ s->v0;
	s->v0 = rotate(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotate(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotate(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotate(s->v1, 17) ^ s->v2;
	s->v2 = rotate(s->v2, 32);
}

static void
sip_word(struct sip *s, uint64_t word)
{
	s->v3 ^= word;
	sip_round(s);
	s->v0 ^= word;
}

/* A string, ended by a word that holds its last bytes and its length. */
static void
sip_string(struct sip *s, struct vm_str str)
{
	uint64_t word;
	size_t at = 0;

	for (; str.len - at >= 8; at += 8) {
		memcpy(&word, str.data + at, 8);
		sip_word(s, word);
	}
	word = 0;
	if (str.len > at)
		memcpy(&word, str.data + at, str.len - at);
	sip_word(s, word ^ (uint64_t)str.len << 56);
}

uint64_t
hash_strings(const struct hash_key *key, struct vm_str first, struct vm_str second)
{
	struct sip s = {
		key->halves[0] ^ 0x736f6d6570736575,
		key->halves[1] ^ 0x646f72616e646f6d,
		key->halves[0] ^ 0x6c7967656e657261,
		key->halves[1] ^ 0x7465646279746573,
	};

	sip_string(&s, first);
	sip_string(&s, second);
	s.v2 ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

struct hash_key
hash_key_new(void)
{
	struct hash_key key;

	if (getrandom(&key, sizeof key, GRND_NONBLOCK) != sizeof key) {
		/* Early at boot: a guess is still no use to a guest. */
		key.halves[0] = (uintptr_t)&key ^ (uint64_t)time(NULL) << 32;
		key.halves[1] = (uint64_t)clock() * 0x9e3779b97f4a7c15;
	}
	return key;
}
