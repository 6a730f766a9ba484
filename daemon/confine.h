/*
 * confine.h - taking away from this process what it has no need of.
 *
 * For the process that compiles, as an optimiser is a large program that reads what strangers
 * wrote; and for those of plug-ins, which do so with libraries of others, for many requests in a
 * row.
 *
 * Threads: before there is more than one
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct confine_limits {
	uint64_t memory_bytes; /* of address space */
	uint64_t file_bytes;   /* of what is written */
	uint64_t cpu_s;        /* processor time; 0: any */
	unsigned descriptors_kept; /* those from this number on are closed */
	unsigned descriptors_max;  /* 0: any */
	bool is_background;        /* others come first */
};

/*
 * Limits, perhaps a low priority for processor and disk, no core file, no descriptors but the
 * first ones, death with the parent. What the system does not permit is left out: the daemon
 * watches time itself, and the rest is for good measure.
 */
void confine_resources(const struct confine_limits *limits);

/*
 * From now on system calls that start programs, reach other processes or the network, or change
 * files fail with EPERM; threads, memory and reading files are left. False: this kernel or
 * machine has no filter for it.
 */
bool confine_calls(void);

/*
 * The same the other way round, for who runs longer and for many: what is not named fails with
 * EPERM. Left are threads, memory, time, opening files to read, and reading and writing what is
 * open already. No signal reaches another process, none is started.
 */
bool confine_calls_strictly(void);

/*
 * From now on only the files and folders of a list that ends in NULL, and what is below them, can
 * be opened, to be read; and no process outside can be traced, or looked at through /proc. Those
 * that are not there are passed over. False: this kernel has no Landlock.
 */
bool confine_files(const char *const *paths);
