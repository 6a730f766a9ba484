#include "rpc/query.h"

#include <inttypes.h>
#include <stdlib.h>
#include "rpc/number.h"
#include "rpc/utf8.h"

static const struct rpc_query_param params[] = {
#define QUERY(id, name, type, min, max, words, meaning)                                            \
	{ RPC_ROUTE_##id, name, RPC_QUERY_##type, min, max, words, meaning },
#include "rpc/routes.def"
};

enum { PARAM_COUNT = sizeof params / sizeof params[0] };

/* What every route has besides its rows. */
static const struct rpc_query_param pretty = {
	RPC_ROUTE_COUNT, "pretty", RPC_QUERY_BOOL, 0, 0, "", "Break lines in JSON answers",
};

const struct rpc_query_param *
rpc_query_params(size_t *out_count)
{
	*out_count = PARAM_COUNT;
	return params;
}

static const struct rpc_query_param *
find_param(enum rpc_route_id route, struct rpc_str name)
{
	if (rpc_str_is(name, pretty.name))
		return &pretty;
	for (size_t i = 0; i < PARAM_COUNT; i++)
		if (params[i].route == route &&
		    (params[i].type == RPC_QUERY_OPEN || rpc_str_is(name, params[i].name)))
			return &params[i];
	return NULL;
}

/* --- values -------------------------------------------------------------------------------- */

static enum rpc_code
check_text(struct rpc_query_entry *entry, struct rpc_problem *problem)
{
	const struct rpc_query_param *param = entry->param;

	if (entry->text.len < param->min || entry->text.len > param->max)
		return rpc_problem_in(problem, RPC_BAD_QUERY, param->name,
		                      "%s: expected %" PRIu64 " to %" PRIu64 " bytes, found %zu",
		                      param->name, param->min, param->max, entry->text.len);
	if (memchr(entry->text.data, '\0', entry->text.len) != NULL)
		return rpc_problem_in(problem, RPC_BAD_QUERY, param->name,
		                      "%s: has a NUL character", param->name);
	if (!rpc_utf8_valid(entry->text.data, entry->text.len))
		return rpc_problem_in(problem, RPC_BAD_QUERY, param->name, "%s: is not UTF-8",
		                      param->name);
	return RPC_OK;
}

static enum rpc_code
check_uint(struct rpc_query_entry *entry, struct rpc_problem *problem)
{
	const struct rpc_query_param *param = entry->param;
	bool is_decimal = entry->text.len > 0;
	uint64_t value;

	for (size_t i = 0; i < entry->text.len; i++)
		is_decimal &= entry->text.data[i] >= '0' && entry->text.data[i] <= '9';
	if (!is_decimal ||
	    rpc_int_read(entry->text.data, entry->text.len, 64, &value) != RPC_NUMBER_OK ||
	    value < param->min || value > param->max)
		return rpc_problem_in(problem, RPC_BAD_QUERY, param->name,
		                      "%s: expected a number from %" PRIu64 " to %" PRIu64
		                      ", found \"%.40s\"",
		                      param->name, param->min, param->max, entry->text.data);
	entry->number = value;
	return RPC_OK;
}

static enum rpc_code
check_bool(struct rpc_query_entry *entry, struct rpc_problem *problem)
{
	bool is_true = entry->text.len == 0 || rpc_str_is(entry->text, "true");

	if (!is_true && !rpc_str_is(entry->text, "false"))
		return rpc_problem_in(problem, RPC_BAD_QUERY, entry->param->name,
		                      "%s: expected true or false, found \"%.40s\"",
		                      entry->param->name, entry->text.data);
	entry->number = is_true;
	return RPC_OK;
}

static enum rpc_code
check_choice(struct rpc_query_entry *entry, struct rpc_problem *problem)
{
	const char *word = entry->param->words;

	for (uint64_t index = 0;; index++) {
		size_t len = strcspn(word, "|");
		if (len == entry->text.len && memcmp(word, entry->text.data, len) == 0) {
			entry->number = index;
			return RPC_OK;
		}
		if (word[len] == '\0')
			break;
		word += len + 1;
	}
	return rpc_problem_in(problem, RPC_BAD_QUERY, entry->param->name,
	                      "%s: expected %s, found \"%.40s\"", entry->param->name,
	                      entry->param->words, entry->text.data);
}

static enum rpc_code
check_ref(struct rpc_query_entry *entry, struct rpc_problem *problem)
{
	struct rpc_problem why;
	struct rpc_ref ref;

	if (rpc_ref_parse_tag(entry->text.data, entry->text.len, &ref, &why) != RPC_OK)
		return rpc_problem_in(problem, RPC_BAD_QUERY, entry->param->name, "%s: %s",
		                      entry->param->name, why.detail);
	return RPC_OK;
}

static enum rpc_code
check_entry(struct rpc_query_entry *entry, struct rpc_problem *problem)
{
	switch (entry->param->type) {
	case RPC_QUERY_TEXT:
	case RPC_QUERY_TEXTS:
	case RPC_QUERY_OPEN:
		return check_text(entry, problem);
	case RPC_QUERY_UINT:
		return check_uint(entry, problem);
	case RPC_QUERY_BOOL:
		return check_bool(entry, problem);
	case RPC_QUERY_CHOICE:
		return check_choice(entry, problem);
	case RPC_QUERY_REF:
		return check_ref(entry, problem);
	}
	return rpc_problem_set(problem, RPC_INTERNAL, "parameter of unknown type");
}

/* --- parsing ------------------------------------------------------------------------------- */

static enum rpc_code
fail_unknown(enum rpc_route_id route, struct rpc_str name, struct rpc_problem *problem)
{
	char shown[64];

	rpc_text_copy(shown, sizeof shown, name.data, name.len);
	return rpc_problem_in(problem, RPC_BAD_QUERY, shown, "%s: %s has no such query parameter",
	                      shown, rpc_route(route)->path);
}

static bool
is_repeated(const struct rpc_query *query, const struct rpc_query_param *param)
{
	if (param->type == RPC_QUERY_TEXTS || param->type == RPC_QUERY_OPEN)
		return false;
	for (size_t i = 0; i < query->count; i++)
		if (query->entries[i].param == param)
			return true;
	return false;
}

/* Decode text to *next, NUL behind it, and move *next on. */
static bool
decode_to(struct rpc_str text, char **next, struct rpc_str *out)
{
	size_t len;

	if (!rpc_percent_decode(text.data, text.len, true, *next, &len))
		return false;
	*out = (struct rpc_str){ *next, len };
	(*next)[len] = '\0';
	*next += len + 1;
	return true;
}

/* One "name=value" or "name". */
static enum rpc_code
add_entry(enum rpc_route_id route, struct rpc_str pair, struct rpc_query *query, char **next,
          struct rpc_problem *problem)
{
	const char *equals = memchr(pair.data, '=', pair.len);
	size_t name_len = equals != NULL ? (size_t)(equals - pair.data) : pair.len;
	size_t value_len = equals != NULL ? pair.len - name_len - 1 : 0;
	struct rpc_str value = { pair.data + pair.len - value_len, value_len };
	struct rpc_query_entry entry = { 0 };
	struct rpc_str name;

	if (!decode_to((struct rpc_str){ pair.data, name_len }, next, &name) ||
	    !decode_to(value, next, &entry.text))
		return rpc_problem_set(
		    problem, RPC_BAD_QUERY,
		    "the query has a '%%' without two hexadecimal digits behind it");
	entry.name = name;
	entry.param = find_param(route, name);
	if (entry.param == NULL)
		return fail_unknown(route, name, problem);
	if (is_repeated(query, entry.param))
		return rpc_problem_in(problem, RPC_BAD_QUERY, entry.param->name, "%s: given twice",
		                      entry.param->name);
	enum rpc_code code = check_entry(&entry, problem);
	if (code == RPC_OK)
		query->entries[query->count++] = entry;
	return code;
}

static size_t
count_pairs(struct rpc_str query)
{
	size_t count = 1;

	for (size_t i = 0; i < query.len; i++)
		count += query.data[i] == '&';
	return count;
}

enum rpc_code
rpc_query_parse(enum rpc_route_id route, struct rpc_str query, struct rpc_query *out,
                struct rpc_problem *problem)
{
	struct rpc_query result = { 0 };
	enum rpc_code code = RPC_OK;

	*out = result;
	if (query.len == 0)
		return RPC_OK;
	size_t pairs = count_pairs(query);
	if (pairs > RPC_QUERY_ENTRIES_MAX)
		return rpc_problem_set(problem, RPC_BAD_QUERY,
		                       "the query has %zu parameters, the limit is %d", pairs,
		                       RPC_QUERY_ENTRIES_MAX);
	result.entries = calloc(pairs, sizeof *result.entries);
	/* Each pair needs at most two NULs more than its text has characters. */
	result.text = malloc(query.len + 2 * pairs);
	if (result.entries == NULL || result.text == NULL) {
		code = rpc_problem_set(problem, RPC_OUT_OF_MEMORY, "no memory for the query");
		goto done;
	}
	char *next = result.text;
	for (size_t i = 0; i <= query.len && code == RPC_OK;) {
		const char *start = query.data + i;
		const char *amp = i < query.len ? memchr(start, '&', query.len - i) : NULL;
		size_t len = amp != NULL ? (size_t)(amp - start) : query.len - i;
		if (len > 0) /* "a&&b" and "a&" are harmless */
			code = add_entry(route, (struct rpc_str){ start, len }, &result, &next,
			                 problem);
		i += len + 1;
	}
	if (code == RPC_OK) {
		*out = result;
		result = (struct rpc_query){ 0 };
	}
done:
	rpc_query_clear(&result);
	return code;
}

void
rpc_query_clear(struct rpc_query *query)
{
	free(query->entries);
	free(query->text);
	*query = (struct rpc_query){ 0 };
}

const struct rpc_query_entry *
rpc_query_find(const struct rpc_query *query, const char *name)
{
	for (size_t i = 0; i < query->count; i++)
		if (strcmp(query->entries[i].param->name, name) == 0)
			return &query->entries[i];
	return NULL;
}

const char *
rpc_query_text(const struct rpc_query *query, const char *name, const char *fallback)
{
	const struct rpc_query_entry *entry = rpc_query_find(query, name);

	return entry != NULL ? entry->text.data : fallback;
}

uint64_t
rpc_query_uint(const struct rpc_query *query, const char *name, uint64_t fallback)
{
	const struct rpc_query_entry *entry = rpc_query_find(query, name);

	return entry != NULL ? entry->number : fallback;
}

bool
rpc_query_bool(const struct rpc_query *query, const char *name, bool fallback)
{
	return rpc_query_uint(query, name, fallback) != 0;
}
