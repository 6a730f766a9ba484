/*
 * confine.h - taking away from this process what it has no need of.
 *
 * For the process that compiles: an optimiser is a large program that reads what strangers wrote.
 *
 * Threads: before there is more than one
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct confine_limits {
	uint64_t memory_bytes; /* of address space */
	uint64_t file_bytes;   /* of what is written */
	uint64_t cpu_s;        /* processor time */
};

/*
 * Limits, a low priority for processor and disk, no core file, no descriptors but the first
 * three, death with the parent. What the system does not permit is left out: the daemon watches
 * time itself, and the rest is for good measure.
 */
void confine_resources(const struct confine_limits *limits);

/*
 * From now on system calls that start programs, reach other processes or the network, or change
 * files fail with EPERM; threads, memory and reading files are left. False: this kernel or
 * machine has no filter for it.
 */
bool confine_calls(void);
