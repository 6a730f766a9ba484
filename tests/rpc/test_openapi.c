#include "rpc/openapi.h"

#include <stdio.h>
#include <stdlib.h>
#include "rpc/answer.h"
#include "rpc/base64.h"
#include "rpc/invoke.h"
#include "rpc/run.h"
#include "rpc/tag.h"
#include "tests/support/unit.h"

/* The whole document, parsed; strictly, so that a member named twice is found. */
static json_t *
document(void)
{
	struct rpc_problem problem;
	struct rpc_writer w;
	json_t *json = NULL;

	rpc_writer_init(&w);
	rpc_openapi_write(&w, "1.2.3");
	ck_assert(rpc_writer_ok(&w));
	enum rpc_code code = rpc_json_parse(w.data, w.len, SIZE_MAX, &json, &problem);
	ck_assert_msg(code == RPC_OK, "%s %s", problem.detail, problem.items[0].pointer);
	rpc_writer_clear(&w);
	return json;
}

static const char *
text_of(const json_t *json, const char *key)
{
	return json_string_value(json_object_get(json, key));
}

/* The value that a "#/a/b" reference means. */
static const json_t *
resolve(const json_t *doc, const char *ref)
{
	char key[64];

	if (strncmp(ref, "#/", 2) != 0)
		return NULL;
	for (const char *p = ref + 1; *p == '/';) {
		size_t len = strcspn(p + 1, "/");
		snprintf(key, sizeof key, "%.*s", (int)len, p + 1);
		doc = json_object_get(doc, key);
		p += 1 + len;
	}
	return doc;
}

/* Visit everything below json; counts the references. */
static size_t
check_refs(const json_t *doc, json_t *json)
{
	size_t count = 0;
	const char *key;
	size_t index;
	json_t *value;

	if (json_is_array(json)) {
		json_array_foreach (json, index, value)
			count += check_refs(doc, value);
	}
	json_object_foreach (json, key, value) {
		if (strcmp(key, "$ref") == 0) {
			ck_assert_msg(json_is_object(resolve(doc, json_string_value(value))),
			              "%s leads nowhere", json_string_value(value));
			count++;
		}
		count += check_refs(doc, value);
	}
	return count;
}

START_TEST(every_reference_resolves)
{
	json_t *doc = document();

	ck_assert_str_eq(text_of(doc, "openapi"), "3.1.0");
	ck_assert_str_eq(text_of(json_object_get(doc, "info"), "version"), "1.2.3");
	ck_assert_uint_gt(check_refs(doc, doc), 50);
	json_decref(doc);
}
END_TEST

static void
note_refs(json_t *json, json_t *used)
{
	const char *key;
	size_t index;
	json_t *value;

	if (json_is_array(json)) {
		json_array_foreach (json, index, value)
			note_refs(value, used);
	}
	json_object_foreach (json, key, value) {
		if (strcmp(key, "$ref") == 0)
			json_object_set_new(used, strrchr(json_string_value(value), '/') + 1,
			                    json_true());
		note_refs(value, used);
	}
}

START_TEST(every_schema_is_used)
{
	json_t *doc = document();
	json_t *used = json_object();
	json_t *value;
	const char *name;

	note_refs(doc, used);
	json_object_foreach (json_object_get(json_object_get(doc, "components"), "schemas"), name,
	                     value)
		ck_assert_msg(json_object_get(used, name) != NULL, "nobody uses %s", name);
	json_decref(used);
	json_decref(doc);
}
END_TEST

/* Names in braces of a path key are the path parameters of its operations. */
static void
check_path_params(const char *path, const json_t *operation)
{
	json_t *parameters = json_object_get(operation, "parameters");
	size_t wanted = 0;
	size_t found = 0;
	size_t index;
	json_t *parameter;

	for (const char *p = strchr(path, '{'); p != NULL; p = strchr(p + 1, '{')) {
		wanted++;
		json_array_foreach (parameters, index, parameter) {
			const char *name = text_of(parameter, "name");
			found += strcmp(text_of(parameter, "in"), "path") == 0 &&
			         strncmp(p + 1, name, strlen(name)) == 0 &&
			         p[1 + strlen(name)] == '}';
		}
	}
	ck_assert_msg(found == wanted, "%s: %zu of %zu parameters are described", path, found,
	              wanted);
}

/* Bodies of JSON have a schema, problems have the right media type, nothing is empty. */
static void
check_responses(const char *id, json_t *responses)
{
	size_t successes = 0;
	const char *status;
	const char *media;
	json_t *response;
	json_t *content;

	json_object_foreach (responses, status, response) {
		successes += status[0] == '2';
		ck_assert_msg(strlen(text_of(response, "description")) > 2, "%s %s", id, status);
		ck_assert_msg(
		    status[0] < '4' ||
			json_object_get(json_object_get(response, "content"), RPC_PROBLEM_TYPE),
		    "%s %s: no problem", id, status);
		json_object_foreach (json_object_get(response, "content"), media, content)
			ck_assert_msg(strstr(media, "json") == NULL ||
			                  json_object_get(content, "schema"),
			              "%s %s %s: no schema", id, status, media);
	}
	ck_assert_msg(successes > 0, "%s has no reply", id);
}

START_TEST(every_operation_is_complete)
{
	json_t *doc = document();
	size_t count = 0;
	const char *path;
	const char *method;
	json_t *item;
	json_t *operation;

	json_object_foreach (json_object_get(doc, "paths"), path, item) {
		json_object_foreach (item, method, operation) {
			const char *id = text_of(operation, "operationId");
			count++;
			check_path_params(path, operation);
			check_responses(id, json_object_get(operation, "responses"));
			bool has_body = json_object_get(operation, "requestBody") != NULL;
			/* Where all is said in the query a POST needs none. */
			ck_assert_msg(!has_body || strcmp(method, "post") == 0 ||
			                  strcmp(method, "put") == 0,
			              "%s", id);
			ck_assert_msg(json_array_size(json_object_get(operation, "x-examples")) > 0,
			              "%s has no example", id);
		}
	}
	ck_assert_uint_eq(count, RPC_ROUTE_COUNT);
	json_decref(doc);
}
END_TEST

/* --- examples ------------------------------------------------------------------------------ */

/* The body of an example is what its own parser accepts, when it is to succeed. */
static void
check_body(const struct rpc_route *route, json_t *example)
{
	json_t *body = json_object_get(example, "body");
	struct rpc_problem problem = { 0 };
	struct rpc_invoke invoke;
	struct rpc_run run;
	uint8_t digest[RPC_DIGEST_BYTES];
	enum rpc_code code = RPC_OK;

	if (body == NULL)
		return;
	char *text = json_dumps(body, 0);
	if (route->id == RPC_ROUTE_MODULE_INVOKE) {
		code = rpc_invoke_parse(text, strlen(text), SIZE_MAX, &invoke, &problem);
		rpc_invoke_clear(&invoke);
	} else if (route->id == RPC_ROUTE_MODULE_RUN) {
		code = rpc_run_parse(text, strlen(text), SIZE_MAX, &run, &problem);
		rpc_run_clear(&run);
	} else {
		ck_assert_int_eq(route->id, RPC_ROUTE_TAG_PUT);
		code = rpc_tag_parse(text, strlen(text), digest, &problem);
	}
	ck_assert_msg(code == RPC_OK, "%s: %s", text, problem.detail);
	free(text);
}

/* Targets lead to the operation that they stand at, and status is one that it announces. */
static void
check_example(const json_t *operation, json_t *example)
{
	const char *target = text_of(example, "target");
	const char *base64 = text_of(example, "body_base64");
	struct rpc_problem problem = { 0 };
	struct rpc_match match;
	struct rpc_query query;
	uint8_t bytes[1024];
	size_t len;
	char status[16];

	snprintf(status, sizeof status, "%lld",
	         (long long)json_integer_value(json_object_get(example, "status")));
	ck_assert_msg(json_object_get(json_object_get(operation, "responses"), status) != NULL,
	              "%s: status %s is not announced", target, status);
	ck_assert(base64 == NULL || rpc_base64_decode(base64, strlen(base64), bytes, &len, &len));
	if (strcmp(target, "{href}") == 0)
		return;
	enum rpc_code code =
	    rpc_route_match(text_of(example, "method"), target, strlen(target), &match, &problem);
	ck_assert_msg(code == RPC_OK, "%s: %s", target, problem.detail);
	ck_assert_str_eq(match.route->name, text_of(operation, "operationId"));
	code = rpc_query_parse(match.route->id, match.query, &query, &problem);
	ck_assert_msg((code == RPC_OK) == (strcmp(status, "400") != 0), "%s: %s", target,
	              problem.detail);
	rpc_query_clear(&query);
	if (status[0] == '2')
		check_body(match.route, example);
}

START_TEST(every_example_can_be_sent)
{
	json_t *doc = document();
	bool seen[200] = { false };
	size_t count = 0;
	const char *path;
	const char *method;
	json_t *item;
	json_t *operation;
	json_t *example;
	size_t index;

	json_object_foreach (json_object_get(doc, "paths"), path, item) {
		json_object_foreach (item, method, operation) {
			json_array_foreach (json_object_get(operation, "x-examples"), index,
			                    example) {
				json_int_t order =
				    json_integer_value(json_object_get(example, "x-order"));
				ck_assert(order > 0 && order < 200 && !seen[order]);
				seen[order] = true;
				count++;
				check_example(operation, example);
			}
		}
	}
	for (size_t i = 1; i <= count; i++)
		ck_assert_msg(seen[i], "no example has order %zu", i);
	json_decref(doc);
}
END_TEST

/* --- what tables say twice ------------------------------------------------------------------- */

START_TEST(states_are_the_same_everywhere)
{
	json_t *doc = document();
	const json_t *schema = resolve(doc, "#/components/schemas/State");
	const json_t *words = json_object_get(schema, "enum");
	char joined[200] = "";
	size_t count;
	const struct rpc_query_param *params = rpc_query_params(&count);

	ck_assert_uint_eq(json_array_size(words), RPC_LOST + 1);
	for (int state = RPC_QUEUED; state <= RPC_LOST; state++) {
		const char *text = rpc_state_text((enum rpc_state)state);
		ck_assert_str_eq(json_string_value(json_array_get(words, (size_t)state)), text);
		strcat(strcat(joined, state > 0 ? "|" : ""), text);
	}
	for (size_t i = 0; i < count; i++)
		if (params[i].route == RPC_ROUTE_INVOCATION_LIST &&
		    strcmp(params[i].name, "state") == 0)
			ck_assert_str_eq(params[i].words, joined);
	json_decref(doc);
}
END_TEST

START_TEST(lanes_are_the_same_everywhere)
{
	json_t *doc = document();
	const json_t *words = json_object_get(resolve(doc, "#/components/schemas/Lanes"), "enum");

	ck_assert_uint_eq(json_array_size(words), RPC_F64X2 + 1);
	for (size_t i = 0; rpc_lanes_texts[i] != NULL; i++)
		ck_assert_str_eq(json_string_value(json_array_get(words, i)), rpc_lanes_texts[i]);
	json_decref(doc);
}
END_TEST

START_TEST(schemas_can_be_had_alone)
{
	struct rpc_writer w;

	rpc_writer_init(&w);
	ck_assert(rpc_schema_write(&w, "InvokeRequest"));
	rpc_writer_reset(&w);
	ck_assert(rpc_schema_write(&w, "Limits"));
	json_t *limits = json_loadb(w.data, w.len, 0, NULL);
	ck_assert_int_eq(
	    json_integer_value(json_object_get(
		json_object_get(json_object_get(limits, "properties"), "time_ms"), "maximum")),
	    86400000);
	json_decref(limits);
	ck_assert(!rpc_schema_write(&w, "Nothing"));
	rpc_writer_clear(&w);
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("openapi");
	TCase *tcase = tcase_create("openapi");

	tcase_add_test(tcase, every_reference_resolves);
	tcase_add_test(tcase, every_schema_is_used);
	tcase_add_test(tcase, every_operation_is_complete);
	tcase_add_test(tcase, every_example_can_be_sent);
	tcase_add_test(tcase, states_are_the_same_everywhere);
	tcase_add_test(tcase, lanes_are_the_same_everywhere);
	tcase_add_test(tcase, schemas_can_be_had_alone);
	suite_add_tcase(suite, tcase);
	return suite;
}
