#include "client/wasmedgectl/verbs.h"

#include <stdint.h>
#include "client/cli/complete.h"
#include "rpc/guestvalue.h"

#define OPTION(name, letter, value, complete, flags, help)                                         \
	{ name, letter, value, complete, flags, help },
#define END { 0 } }                                                                                \
	;

/* The options of each verb: an array that ends in an empty row. */
#define VERB(symbol, name, usage, complete, words_min, words_max, flags, help)                     \
	static const struct cli_option options_of_##symbol[] = {
#include "client/wasmedgectl/verbs.def"

#define OPTIONS_OF_ALL
#define OPTION(name, letter, value, complete, flags, help)                                         \
	{ name, letter, value, complete, flags, help },
#define END { 0 }
static const struct cli_option options_of_all[] = {
#include "client/wasmedgectl/verbs.def"
};
#undef OPTIONS_OF_ALL

#define VERB(symbol, name, usage, complete, words_min, words_max, flags, help)                     \
	{ name,         usage, complete, words_min, words_max, flags, help, options_of_##symbol,   \
	  verb_##symbol },
static const struct cli_verb verbs[] = {
#include "client/wasmedgectl/verbs.def"
};

const struct cli_program verbs_program = {
	.name = "wasmedgectl",
	.summary =
	    "Keep WebAssembly modules in a wasmedged daemon, call their functions and run them "
	    "as programs.",
	.options = options_of_all,
	.verbs = verbs,
	.verb_count = sizeof(verbs) / sizeof(verbs[0]),
};
