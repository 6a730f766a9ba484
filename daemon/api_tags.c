/*
 * api_tags.c - names of modules: list, history, look up, point, remove.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "daemon/api.h"
#include "rpc/tag.h"

#define NAME_TEXT_MAX (3 * STORE_NAME_MAX + 3)

static void
write_tag(struct rpc_writer *w, const struct store_tag *tag)
{
	char digest[DIGEST_TEXT_SIZE];

	rpc_write_object_begin(w);
	rpc_member_text(w, "ns", tag->ns);
	rpc_member_text(w, "name", tag->name);
	rpc_member_text(w, "tag", tag->tag);
	rpc_member_text(w, "digest", digest_format(&tag->digest, digest));
	rpc_member_int(w, "rev", tag->rev);
	rpc_write_key(w, "updated_at");
	rpc_write_time_us(w, tag->updated_us);
	if (tag->updated_by != NULL && tag->updated_by[0] != '\0')
		rpc_member_text(w, "updated_by", tag->updated_by);
	rpc_write_object_end(w);
}

/* --- list --------------------------------------------------------------------------------- */

/* What a list was asked for, kept until the store has answered. */
struct tag_query {
	char prefix[NAME_TEXT_MAX];
	char ns[STORE_NAME_MAX + 1]; /* "" when the prefix does not settle it */
	char name[STORE_NAME_MAX + 1];
	unsigned limit;
};

static bool
has_prefix(const struct store_tag *tag, const char *prefix)
{
	char text[NAME_TEXT_MAX];

	snprintf(text, sizeof text, "%s/%s:%s", tag->ns, tag->name, tag->tag);
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static void
on_listed(struct request *r, struct store_call *call)
{
	const struct store_reply *found = call->reply;
	const struct tag_query *query = r->state;
	char next[CURSOR_DATA_MAX];
	const char *position = NULL;
	struct rpc_writer w;
	unsigned count = 0;
	size_t i;

	if (!store_call_ok(r, found, RPC_TAG_NOT_FOUND))
		return;
	api_page_begin(r, &w);
	for (i = 0; i < found->tag_count && count < query->limit; i++) {
		if (!has_prefix(&found->tags[i], query->prefix))
			continue;
		write_tag(&w, &found->tags[i]);
		count++;
	}
	if (i > 0 && (i < found->tag_count || found->has_next)) {
		const struct store_tag *last = &found->tags[i - 1];
		snprintf(next, sizeof next, "t %s %s %s", last->ns, last->name, last->tag);
		position = next;
	}
	api_page_end(r, &w, position);
}

/* What of the prefix is a whole namespace, or a whole name. */
static void
split_prefix(struct tag_query *query)
{
	const char *slash = strchr(query->prefix, '/');
	const char *colon = slash == NULL ? NULL : strchr(slash, ':');

	if (slash == NULL || slash - query->prefix > STORE_NAME_MAX)
		return;
	memcpy(query->ns, query->prefix, (size_t)(slash - query->prefix));
	if (colon != NULL && colon - slash - 1 <= STORE_NAME_MAX)
		memcpy(query->name, slash + 1, (size_t)(colon - slash - 1));
}

static void
free_query(void *state)
{
	free(state);
}

void
tag_list(struct request *request)
{
	struct tag_query *query = calloc(1, sizeof *query);
	char position[CURSOR_DATA_MAX + 1];
	char ns[STORE_NAME_MAX + 1], name[STORE_NAME_MAX + 1], tag[STORE_NAME_MAX + 1];
	struct store_tag_name after = { ns, name, tag };
	bool goes_on;

	if (query == NULL) {
		request_fail(request, RPC_OUT_OF_MEMORY, "no memory for the list");
		return;
	}
	request->state = query;
	request->state_free = free_query;
	query->limit = (unsigned)rpc_query_uint(&request->query, "limit", 100);
	snprintf(query->prefix, sizeof query->prefix, "%s",
	         rpc_query_text(&request->query, "prefix", ""));
	split_prefix(query);
	if (!api_cursor_read(request, position))
		return;
	goes_on = sscanf(position, "t %128s %128s %128s", ns, name, tag) == 3;
	struct store_call *call = store_call_new(request, on_listed);
	if (call == NULL)
		return;
	/* With a prefix some of what is found is left out: ask for more than the page. */
	store_call_check(call, store_tag_list(api_daemon(request)->store,
	                                      query->ns[0] == '\0' ? NULL : query->ns,
	                                      query->name[0] == '\0' ? NULL : query->name,
	                                      goes_on ? &after : NULL,
	                                      query->prefix[0] == '\0' ? query->limit
	                                                               : STORE_LIST_MAX,
	                                      store_call_answer, call));
}

/* --- one name ----------------------------------------------------------------------------- */

/* The parts of the path as a tag's name; they live in the request. */
static bool
take_name(struct request *r, struct store_tag_name *out)
{
	struct rpc_str ns = rpc_match_param(&r->match, "ns");
	struct rpc_str name = rpc_match_param(&r->match, "name");
	struct rpc_str tag = rpc_match_param(&r->match, "tag");
	struct rpc_problem problem;
	struct rpc_ref *ref = malloc(sizeof *ref);

	if (ref == NULL) {
		request_fail(r, RPC_OUT_OF_MEMORY, "no memory for the name");
		return false;
	}
	r->state = ref;
	r->state_free = free_query;
	if (rpc_ref_make(ns, name, tag, ref, &problem) != RPC_OK) {
		request_problem(r, &problem);
		return false;
	}
	*out = (struct store_tag_name){ ref->ns, ref->name, tag.data == NULL ? NULL : ref->tag };
	return true;
}

static void
write_name_begin(struct request *r, struct rpc_writer *w, const struct store_reply *found)
{
	const struct rpc_ref *ref = r->state;

	api_writer_init(r, w);
	rpc_write_object_begin(w);
	rpc_member_text(w, "ns", ref->ns);
	rpc_member_text(w, "name", ref->name);
	rpc_write_key(w, "tags");
	rpc_write_array_begin(w);
	for (size_t i = 0; i < found->tag_count; i++)
		write_tag(w, &found->tags[i]);
	rpc_write_array_end(w);
}

static void
write_change(struct rpc_writer *w, const struct store_tag_change *change)
{
	char digest[DIGEST_TEXT_SIZE];

	rpc_write_object_begin(w);
	rpc_member_int(w, "rev", change->rev);
	rpc_member_text(w, "tag", change->tag);
	if (change->has_old)
		rpc_member_text(w, "old", digest_format(&change->old_digest, digest));
	if (change->has_new)
		rpc_member_text(w, "new", digest_format(&change->new_digest, digest));
	rpc_write_key(w, "at");
	rpc_write_time_us(w, change->at_us);
	if (change->by != NULL && change->by[0] != '\0')
		rpc_member_text(w, "by", change->by);
	rpc_write_object_end(w);
}

/* The reply as far as it is written, while the store looks for the history. */
struct name_history {
	struct rpc_ref ref; /* first: write_name_begin reads it */
	struct rpc_writer w;
	size_t tag_count;
};

static void
free_history(void *state)
{
	struct name_history *history = state;

	rpc_writer_clear(&history->w);
	free(history);
}

static void
fail_no_name(struct request *r)
{
	const struct rpc_ref *ref = r->state;

	request_fail(r, RPC_TAG_NOT_FOUND, "%s/%s has no tags", ref->ns, ref->name);
}

static void
on_history(struct request *r, struct store_call *call)
{
	const struct store_reply *found = call->reply;
	struct name_history *history = r->state;

	if (!store_call_ok(r, found, RPC_TAG_NOT_FOUND))
		return;
	if (history->tag_count == 0 && found->change_count == 0) {
		fail_no_name(r);
		return;
	}
	rpc_write_key(&history->w, "history");
	rpc_write_array_begin(&history->w);
	for (size_t i = 0; i < found->change_count; i++)
		write_change(&history->w, &found->changes[i]);
	rpc_write_array_end(&history->w);
	rpc_write_object_end(&history->w);
	api_reply_json(r, 200, &history->w);
}

static void
ask_history(struct request *r, const struct store_reply *found)
{
	struct name_history *history = calloc(1, sizeof *history);

	if (history == NULL) {
		request_fail(r, RPC_OUT_OF_MEMORY, "no memory for the history");
		return;
	}
	write_name_begin(r, &history->w, found);
	history->tag_count = found->tag_count;
	history->ref = *(struct rpc_ref *)r->state;
	r->state_free(r->state);
	r->state = history;
	r->state_free = free_history;
	struct store_call *call = store_call_new(r, on_history);
	if (call == NULL)
		return;
	struct store_tag_name name = { history->ref.ns, history->ref.name, NULL };
	store_call_check(call, store_tag_history(api_daemon(r)->store, &name, 0, STORE_LIST_MAX,
	                                         store_call_answer, call));
}

static void
on_name(struct request *r, struct store_call *call)
{
	const struct store_reply *found = call->reply;
	struct rpc_writer w;

	if (!store_call_ok(r, found, RPC_TAG_NOT_FOUND))
		return;
	if (rpc_query_bool(&r->query, "history", false)) {
		ask_history(r, found);
		return;
	}
	if (found->tag_count == 0) {
		fail_no_name(r);
		return;
	}
	write_name_begin(r, &w, found);
	rpc_write_object_end(&w);
	api_reply_json(r, 200, &w);
}

void
tag_name(struct request *request)
{
	struct store_tag_name name;

	if (!take_name(request, &name))
		return;
	struct store_call *call = store_call_new(request, on_name);
	if (call != NULL)
		store_call_check(call, store_tag_list(api_daemon(request)->store, name.ns,
		                                      name.name, NULL, STORE_LIST_MAX,
		                                      store_call_answer, call));
}

/* --- one tag ------------------------------------------------------------------------------ */

static void
reply_tag(struct request *r, unsigned status, const struct store_tag *tag)
{
	char digest[DIGEST_TEXT_SIZE];
	struct rpc_writer w;
	struct reply reply;

	api_writer_init(r, &w);
	write_tag(&w, tag);
	reply_json(&reply, status, &w);
	reply_header(&reply, "ETag", "\"%s\"", digest_format(&tag->digest, digest));
	if (status == 201)
		reply_header(&reply, "Location", "/v1/tags/%s/%s/%s", tag->ns, tag->name, tag->tag);
	request_reply(r, &reply);
}

static void
on_got(struct request *r, struct store_call *call)
{
	const struct store_reply *found = call->reply;
	struct api_conditions conditions;
	char digest[DIGEST_TEXT_SIZE];
	struct reply reply;

	if (!store_call_ok(r, found, RPC_TAG_NOT_FOUND) ||
	    !api_conditions(r, &found->tags[0].digest, &conditions))
		return;
	if (!conditions.is_unchanged) {
		reply_tag(r, 200, &found->tags[0]);
		return;
	}
	reply_init(&reply, 304);
	reply_header(&reply, "ETag", "\"%s\"", digest_format(&found->tags[0].digest, digest));
	request_reply(r, &reply);
}

void
tag_get(struct request *request)
{
	struct store_tag_name name;

	if (!take_name(request, &name))
		return;
	struct store_call *call = store_call_new(request, on_got);
	if (call != NULL)
		store_call_check(call, store_tag_get(api_daemon(request)->store, &name,
		                                     store_call_answer, call));
}

static void
fail_precondition(struct request *r, const struct store_reply *found)
{
	char digest[DIGEST_TEXT_SIZE];

	if (found != NULL && found->tag_count > 0)
		request_fail(r, RPC_PRECONDITION_FAILED, "the tag points at %s",
		             digest_format(&found->tags[0].digest, digest));
	else
		request_fail(r, RPC_PRECONDITION_FAILED, "the tag does not exist");
}

/*
 * What the request's conditions ask of the store. They are looked at here, against the tag as it
 * is now, and once more by the store, against what was seen here: in between others may write.
 */
static bool
take_condition(struct request *r, const struct store_tag_name *name, struct store_condition *out)
{
	struct api_conditions conditions;
	struct digest now;
	int64_t rev;

	*out = (struct store_condition){ .match = STORE_MATCH_ANY };
	bool exists =
	    store_tag_resolve(api_daemon(r)->store, name, &now, &rev) == STORE_OK;
	if (!api_conditions(r, exists ? &now : NULL, &conditions))
		return false;
	if (!conditions.match_holds || conditions.is_unchanged) {
		request_fail(r, RPC_PRECONDITION_FAILED, "the tag %s",
		             exists ? "points elsewhere, or exists" : "does not exist");
		return false;
	}
	if (request_header(r, "If-Match") != NULL)
		*out = (struct store_condition){ .match = STORE_MATCH_DIGEST, .digest = now };
	else if (request_header(r, "If-None-Match") != NULL && !exists)
		out->match = STORE_MATCH_ABSENT;
	return true;
}

static void
on_put(struct request *r, struct store_call *call)
{
	const struct store_reply *done = call->reply;

	if (done->error.status == STORE_E_CONFLICT)
		fail_precondition(r, done);
	else if (store_call_ok(r, done, RPC_MODULE_NOT_FOUND))
		reply_tag(r, done->created ? 201 : 200, &done->tags[0]);
}

void
tag_put_begin(struct request *request)
{
	static const char *const types[] = { "application/json" };

	if (api_content_type(request, types, 1, true) == 0)
		(void)request_expect_body(request, 4096);
}

void
tag_put(struct request *request)
{
	struct store_condition condition;
	struct store_tag_name name;
	struct rpc_problem problem;
	struct digest digest;

	if (rpc_tag_parse(request->body, request->body_len, digest.bytes, &problem) != RPC_OK) {
		request_problem(request, &problem);
		return;
	}
	if (!take_name(request, &name) || !take_condition(request, &name, &condition))
		return;
	struct store_call *call = store_call_new(request, on_put);
	if (call != NULL)
		store_call_check(call, store_tag_put(api_daemon(request)->store, &name, &digest,
		                                     &condition,
		                                     auth_principal_id(request->principal),
		                                     store_call_answer, call));
}

static void
on_deleted(struct request *r, struct store_call *call)
{
	struct reply reply;

	if (call->reply->error.status == STORE_E_CONFLICT) {
		fail_precondition(r, call->reply);
	} else if (store_call_ok(r, call->reply, RPC_TAG_NOT_FOUND)) {
		reply_init(&reply, 204);
		request_reply(r, &reply);
	}
}

void
tag_delete(struct request *request)
{
	struct store_condition condition;
	struct store_tag_name name;

	if (!take_name(request, &name) || !take_condition(request, &name, &condition))
		return;
	struct store_call *call = store_call_new(request, on_deleted);
	if (call != NULL)
		store_call_check(call, store_tag_delete(api_daemon(request)->store, &name,
		                                        &condition,
		                                        auth_principal_id(request->principal),
		                                        store_call_answer, call));
}
