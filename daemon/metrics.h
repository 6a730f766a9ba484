/*
 * metrics.h - counters, gauges and histograms of metrics.def, in Prometheus' text format.
 *
 *	metric_add(METRIC_HTTP_REQUESTS, route, metrics_code(status), 1);
 *	metric_observe_us(METRIC_INVOCATION_TIME, METRIC_phase_EXECUTE, 0, us);
 *
 * A series is one 64-bit word (a histogram a dozen and a half) changed by relaxed atomic
 * instructions: a few nanoseconds, no lock, no allocation. The registry is the process's: there
 * is one. Label values out of range are dropped, so that a mistake cannot write elsewhere.
 *
 * Threads: metrics_init() first, then everything from any thread
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vm/common.h"

enum metric {
#define METRIC(symbol, kind, name, label, label2, scale, help) METRIC_##symbol,
#include "daemon/metrics.def"
	METRIC_COUNT
};

enum metric_label {
	METRIC_LABEL_NONE,
#define LABEL(set, text) METRIC_LABEL_##set,
#include "daemon/metrics.def"
	METRIC_LABEL_COUNT
};

/* METRIC_outcome_TRAPPED and so on, numbered over all sets; metric_add() and others take them. */
enum metric_value {
#define VALUE(set, symbol, text) METRIC_##set##_##symbol,
#include "daemon/metrics.def"
	METRIC_VALUE_COUNT
};

/*
 * Make all series, at zero. routes are the values of the label `route`, numbered from 0, plugins
 * those of the label `plugin`; both must outlive the process's use of metrics. Any may be NULL to
 * leave its number unused. version is for wasmedged_build_info. False: out of memory. Before it
 * has been called the other functions do nothing.
 */
VM_MUST_CHECK bool metrics_init(const char *const *routes, size_t route_count,
				const char *const *plugins, size_t plugin_count,
				const char *version);
void metrics_free(void);

/* The value for an HTTP status. */
unsigned metrics_code(int status);

/*
 * value and value2 pick the series: a constant METRIC_<set>_..., a route's number for `route`, a
 * plug-in's for `plugin`, anything for NONE.
 */
void metric_add(enum metric metric, unsigned value, unsigned value2, uint64_t amount);
/* Gauges; and counters that are kept elsewhere and copied here before a report. */
void metric_set(enum metric metric, unsigned value, unsigned value2, int64_t amount);
/* Gauges up and down. */
void metric_change(enum metric metric, unsigned value, unsigned value2, int64_t by);
void metric_observe_us(enum metric metric, unsigned value, unsigned value2, uint64_t us);
/* What a series stands at (a histogram: how many observations), for tests and /v1/activity. */
int64_t metric_get(enum metric metric, unsigned value, unsigned value2);

/* Fill the process_* rows from the kernel. */
void metrics_collect_process(void);

/*
 * The report, text/plain; version=0.0.4. *out_text is malloc()ed, *out_size without its NUL. Series
 * of a route, or with two labels, are left out while they are zero. False: out of memory.
 */
VM_MUST_CHECK bool metrics_format(char **out_text, size_t *out_size);
