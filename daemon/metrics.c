#include "daemon/metrics.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PREFIX "wasmedged_"

enum metric_kind { COUNTER, GAUGE, HISTOGRAM };
enum metric_scale { ONE = 1, MICRO = 1000000 };

static const struct metric_row {
	enum metric_kind kind;
	const char *name;
	enum metric_label labels[2];
	uint64_t scale;
	const char *help;
} metric_rows[METRIC_COUNT] = {
#define METRIC(symbol, kind, name, label, label2, scale, help)                                     \
	{ kind, name, { METRIC_LABEL_##label, METRIC_LABEL_##label2 }, scale, help },
#include "daemon/metrics.def"
};

static const char *const label_names[METRIC_LABEL_COUNT] = {
	[METRIC_LABEL_NONE] = "",
#define LABEL(set, text) [METRIC_LABEL_##set] = text,
#include "daemon/metrics.def"
};

static const struct value_row {
	enum metric_label label;
	const char *text;
} value_rows[METRIC_VALUE_COUNT] = {
#define VALUE(set, symbol, text) { METRIC_LABEL_##set, text },
#include "daemon/metrics.def"
};

/* Upper bounds of a histogram's buckets, in us; one more bucket takes the rest. */
static const uint64_t bucket_us[] = {
	50,    100,    250,    500,    1000,    2500,    5000,    10000,    25000,
	50000, 100000, 250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000,
};
#define BUCKETS (sizeof bucket_us / sizeof bucket_us[0])
/* A histogram's words: its buckets, the one above them, the sum in us. */
#define HISTOGRAM_WORDS (BUCKETS + 2)
#define HISTOGRAM_SUM (BUCKETS + 1)

/* HTTP statuses are below this. */
#define STATUS_MAX 600

/* The values of a label: first and count in value_rows, or the routes, or the plug-ins. */
struct label_range {
	unsigned first;
	unsigned count;
};

static struct {
	struct label_range labels[METRIC_LABEL_COUNT];
	size_t offsets[METRIC_COUNT]; /* of a metric's words */
	uint16_t codes[STATUS_MAX];   /* METRIC_code_... by HTTP status */
	_Atomic uint64_t *words;      /* NULL before metrics_init() */
	const char *const *routes;
	const char *const *plugins;
	const char *version;
} registry;

/* ---- where a series is ---- */

static void
find_ranges(size_t route_count, size_t plugin_count)
{
	registry.labels[METRIC_LABEL_NONE] = (struct label_range){ 0, 1 };
	for (unsigned i = 0; i < METRIC_VALUE_COUNT; i++) {
		struct label_range *range = &registry.labels[value_rows[i].label];

		if (range->count++ == 0)
			range->first = i;
	}
	registry.labels[METRIC_LABEL_route] = (struct label_range){ 0, (unsigned)route_count };
	registry.labels[METRIC_LABEL_plugin] = (struct label_range){ 0, (unsigned)plugin_count };
}

static void
find_codes(void)
{
	const struct label_range *range = &registry.labels[METRIC_LABEL_code];

	for (unsigned status = 0; status < STATUS_MAX; status++)
		registry.codes[status] = METRIC_code_OTHER;
	for (unsigned i = range->first; i < range->first + range->count; i++) {
		unsigned long status = strtoul(value_rows[i].text, NULL, 10); /* "other": 0 */

		if (status > 0 && status < STATUS_MAX)
			registry.codes[status] = (uint16_t)i;
	}
}

static size_t
words_of_series(enum metric metric)
{
	return metric_rows[metric].kind == HISTOGRAM ? HISTOGRAM_WORDS : 1;
}

static size_t
series_count(enum metric metric)
{
	const struct metric_row *row = &metric_rows[metric];

	return (size_t)registry.labels[row->labels[0]].count *
	       registry.labels[row->labels[1]].count;
}

bool
metrics_init(const char *const *routes, size_t route_count, const char *const *plugins,
	     size_t plugin_count, const char *version)
{
	size_t total = 0;

	metrics_free();
	find_ranges(route_count, plugin_count);
	find_codes();
	for (unsigned i = 0; i < METRIC_COUNT; i++) {
		registry.offsets[i] = total;
		total += series_count((enum metric)i) * words_of_series((enum metric)i);
	}
	registry.routes = routes;
	registry.plugins = plugins;
	registry.version = version;
	registry.words = calloc(total, sizeof *registry.words);
	return registry.words != NULL;
}

void
metrics_free(void)
{
	free(registry.words);
	memset(&registry, 0, sizeof registry);
}

/* The place of a value in its label's range; count or more when it does not belong to it. */
static unsigned
value_index(enum metric_label label, unsigned value)
{
	return label == METRIC_LABEL_NONE ? 0 : value - registry.labels[label].first;
}

/* First word of a series, or NULL when there is no such series. */
static _Atomic uint64_t *
find_series(enum metric metric, unsigned value, unsigned value2)
{
	if (registry.words == NULL || (unsigned)metric >= METRIC_COUNT)
		return NULL;
	const struct metric_row *row = &metric_rows[metric];
	unsigned index = value_index(row->labels[0], value);
	unsigned index2 = value_index(row->labels[1], value2);
	unsigned count2 = registry.labels[row->labels[1]].count;
	if (index >= registry.labels[row->labels[0]].count || index2 >= count2)
		return NULL;
	size_t series = (size_t)index * count2 + index2;
	return &registry.words[registry.offsets[metric] + series * words_of_series(metric)];
}

/* ---- changing ---- */

static void
word_add(_Atomic uint64_t *word, uint64_t amount)
{
	atomic_fetch_add_explicit(word, amount, memory_order_relaxed);
}

static uint64_t
word_get(const _Atomic uint64_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

void
metric_add(enum metric metric, unsigned value, unsigned value2, uint64_t amount)
{
	_Atomic uint64_t *word = find_series(metric, value, value2);

	if (word != NULL && metric_rows[metric].kind != HISTOGRAM)
		word_add(word, amount);
}

void
metric_change(enum metric metric, unsigned value, unsigned value2, int64_t by)
{
	metric_add(metric, value, value2, (uint64_t)by);
}

void
metric_set(enum metric metric, unsigned value, unsigned value2, int64_t amount)
{
	_Atomic uint64_t *word = find_series(metric, value, value2);

	if (word != NULL && metric_rows[metric].kind != HISTOGRAM)
		atomic_store_explicit(word, (uint64_t)amount, memory_order_relaxed);
}

void
metric_observe_us(enum metric metric, unsigned value, unsigned value2, uint64_t us)
{
	_Atomic uint64_t *words = find_series(metric, value, value2);
	size_t bucket = 0;

	if (words == NULL || metric_rows[metric].kind != HISTOGRAM)
		return;
	while (bucket < BUCKETS && us > bucket_us[bucket])
		bucket++;
	word_add(&words[bucket], 1);
	word_add(&words[HISTOGRAM_SUM], us);
}

int64_t
metric_get(enum metric metric, unsigned value, unsigned value2)
{
	const _Atomic uint64_t *words = find_series(metric, value, value2);
	uint64_t sum = 0;

	if (words == NULL)
		return 0;
	if (metric_rows[metric].kind != HISTOGRAM)
		return (int64_t)word_get(words);
	for (size_t i = 0; i <= BUCKETS; i++)
		sum += word_get(&words[i]);
	return (int64_t)sum;
}

unsigned
metrics_code(int status)
{
	return status >= 0 && status < STATUS_MAX ? registry.codes[status] : METRIC_code_OTHER;
}

/* ---- the process ---- */

static void
collect_usage(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) != 0)
		return;
	int64_t seconds = usage.ru_utime.tv_sec + usage.ru_stime.tv_sec;
	int64_t us = usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
	metric_set(METRIC_PROCESS_CPU, 0, 0, seconds * 1000000 + us);
}

/*
 * Fields of /proc/self/stat are counted from the last ')', since the program's name before it may
 * hold anything: threads are the 18th after it, start the 20th, resident pages the 22nd.
 */
static void
collect_stat(void)
{
	char text[1024];
	FILE *file = fopen("/proc/self/stat", "re");

	if (file == NULL)
		return;
	size_t size = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[size] = '\0';
	const char *fields = strrchr(text, ')');
	long threads, resident_pages;
	unsigned long long start_ticks;
	struct timespec now, boot;
	if (fields == NULL ||
	    sscanf(fields,
		   ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %ld "
		   "%*d %llu %*u %ld",
		   &threads, &start_ticks, &resident_pages) != 3)
		return;
	metric_set(METRIC_PROCESS_THREADS, 0, 0, threads);
	metric_set(METRIC_PROCESS_RESIDENT, 0, 0, (int64_t)resident_pages * sysconf(_SC_PAGESIZE));
	clock_gettime(CLOCK_REALTIME, &now);
	clock_gettime(CLOCK_BOOTTIME, &boot);
	int64_t age_us = (boot.tv_sec * INT64_C(1000000) + boot.tv_nsec / 1000) -
			 (int64_t)(start_ticks * 1000000 / (unsigned long)sysconf(_SC_CLK_TCK));
	metric_set(METRIC_PROCESS_START, 0, 0,
		   now.tv_sec * INT64_C(1000000) + now.tv_nsec / 1000 - age_us);
}

static void
collect_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	int64_t count = -3; /* ".", ".." and the folder itself */

	if (folder == NULL)
		return;
	while (readdir(folder) != NULL)
		count++;
	closedir(folder);
	metric_set(METRIC_PROCESS_FDS, 0, 0, count);
}

void
metrics_collect_process(void)
{
	collect_usage();
	collect_stat();
	collect_fds();
}

/* ---- the report ---- */

/* A number kept in 1/scale: whole, or with six digits after the point. */
static void
print_number(FILE *out, int64_t number, uint64_t scale)
{
	uint64_t size = number < 0 ? -(uint64_t)number : (uint64_t)number;

	if (number < 0)
		fputc('-', out);
	if (scale == ONE)
		fprintf(out, "%" PRIu64, size);
	else
		fprintf(out, "%" PRIu64 ".%06" PRIu64, size / scale, size % scale);
}

static const char *
value_text(enum metric_label label, unsigned index)
{
	if (label == METRIC_LABEL_route)
		return registry.routes[index];
	if (label == METRIC_LABEL_plugin)
		return registry.plugins[index];
	return value_rows[registry.labels[label].first + index].text;
}

/* name{label="value",label2="value2",le="bound"}, parts left out where there are none. */
static void
print_series_name(FILE *out, const struct metric_row *row, const char *suffix,
		  const unsigned index[2], const char *bound)
{
	char before = '{';

	fprintf(out, PREFIX "%s%s", row->name, suffix);
	for (unsigned i = 0; i < 2; i++) {
		if (row->labels[i] == METRIC_LABEL_NONE)
			continue;
		fprintf(out, "%c%s=\"%s\"", before, label_names[row->labels[i]],
			value_text(row->labels[i], index[i]));
		before = ',';
	}
	if (bound != NULL) {
		fprintf(out, "%cle=\"%s\"", before, bound);
		before = ',';
	}
	fputs(before == ',' ? "} " : " ", out);
}

/* Upper bound in seconds without trailing zeros: "0.00005". */
static const char *
bound_text(size_t bucket, char text[32])
{
	if (bucket == BUCKETS)
		return "+Inf";
	snprintf(text, 32, "%" PRIu64 ".%06" PRIu64, bucket_us[bucket] / MICRO,
		 bucket_us[bucket] % MICRO);
	size_t end = strlen(text);
	while (text[end - 1] == '0')
		end--;
	text[text[end - 1] == '.' ? end - 1 : end] = '\0';
	return text;
}

static void
print_histogram(FILE *out, const struct metric_row *row, const unsigned index[2],
		const _Atomic uint64_t *words)
{
	uint64_t count = 0;
	char bound[32];

	for (size_t i = 0; i <= BUCKETS; i++) {
		count += word_get(&words[i]);
		print_series_name(out, row, "_bucket", index, bound_text(i, bound));
		fprintf(out, "%" PRIu64 "\n", count);
	}
	print_series_name(out, row, "_sum", index, NULL);
	print_number(out, (int64_t)word_get(&words[HISTOGRAM_SUM]), row->scale);
	fputc('\n', out);
	print_series_name(out, row, "_count", index, NULL);
	fprintf(out, "%" PRIu64 "\n", count);
}

/* A histogram of a route nobody asked for would only be noise; so would one code of a route. */
static bool
is_left_out(const struct metric_row *row, const unsigned index[2], int64_t count)
{
	bool sparse = row->labels[1] != METRIC_LABEL_NONE || row->labels[0] == METRIC_LABEL_route;

	if (row->labels[0] == METRIC_LABEL_route && registry.routes[index[0]] == NULL)
		return true;
	return sparse && count == 0;
}

static void
print_series(FILE *out, enum metric metric, const unsigned index[2])
{
	const struct metric_row *row = &metric_rows[metric];
	unsigned value = registry.labels[row->labels[0]].first + index[0];
	unsigned value2 = registry.labels[row->labels[1]].first + index[1];
	int64_t number = metric_get(metric, value, value2);

	if (is_left_out(row, index, number))
		return;
	if (row->kind == HISTOGRAM) {
		print_histogram(out, row, index, find_series(metric, value, value2));
		return;
	}
	print_series_name(out, row, "", index, NULL);
	print_number(out, number, row->scale);
	fputc('\n', out);
}

static void
print_metric(FILE *out, enum metric metric)
{
	static const char *const types[] = {
		[COUNTER] = "counter", [GAUGE] = "gauge", [HISTOGRAM] = "histogram"
	};
	const struct metric_row *row = &metric_rows[metric];
	unsigned index[2];

	fprintf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", row->name, row->help,
		row->name, types[row->kind]);
	for (index[0] = 0; index[0] < registry.labels[row->labels[0]].count; index[0]++)
		for (index[1] = 0; index[1] < registry.labels[row->labels[1]].count; index[1]++)
			print_series(out, metric, index);
}

static void
print_report(FILE *out)
{
	for (unsigned i = 0; i < METRIC_COUNT; i++)
		print_metric(out, (enum metric)i);
	fprintf(out,
		"# HELP " PREFIX "build_info Always 1; the version is in the label.\n"
		"# TYPE " PREFIX "build_info gauge\n" PREFIX "build_info{version=\"%s\"} 1\n",
		registry.version);
}

bool
metrics_format(char **out_text, size_t *out_size)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return false;
	if (registry.words != NULL)
		print_report(out);
	bool ok = !ferror(out);
	if (fclose(out) != 0 || !ok) {
		free(text);
		return false;
	}
	*out_text = text;
	*out_size = size;
	return true;
}
