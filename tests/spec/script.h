/*
 * script.h - runs one command file.
 *
 * The state of a run is one store, a linker with the host module spectest and what was registered,
 * script names, and the current module. Nothing outlives the run.
 */
#pragma once

#include <stdint.h>
#include "tests/support/tier.h"
#include "vm/vm.h"

/* What came out; shared between the process that runs and the one that waits for it. */
struct tally {
	uint32_t total;     /* commands of the file, those of threads too */
	uint32_t passed, failed, skipped;
	uint32_t unsupported; /* of the skipped: modules that no tier here runs */
	uint32_t no_threads;  /* of the skipped: commands about threads of the host */
	uint32_t late;      /* malformed modules that only validation refused */
	uint32_t early;     /* invalid modules that the decoder refused */
	uint32_t line;      /* of the command being run */
};

struct script_options {
	vm_features features;
	struct tier tier;   /* that runs the modules */
	bool validate_only; /* decode and validate; commands that run something do not count */
	bool verbose;       /* print failures, and why something was skipped */
};

/*
 * Run the commands of a file, counting in *tally. False when it cannot be read as a command file;
 * then message says why.
 */
bool script_run(const char *path, const struct script_options *options, struct tally *tally,
                char *message, size_t size);
