/*
 * api_upload.c - modules coming in: upload, put by digest, validate.
 *
 * The digest is computed while the bytes arrive, so a module that is known is answered without
 * decoding it again. A new one is decoded and validated on a helper, then handed to the store;
 * only when the store says that it is durable the client hears 201. What comes in the text format
 * is made binary on a helper first: the binary is the module, and its digest the one that counts.
 */
#include <stdlib.h>
#include <string.h>
#include "daemon/api.h"
#include "daemon/compile.h"
#include "daemon/errmap.h"
#include "daemon/modinfo.h"
#include "daemon/multipart.h"
#include "daemon/programs.h"
#include "rpc/writer.h"

enum upload_kind { UPLOAD_POST, UPLOAD_PUT, UPLOAD_VALIDATE };

#define MULTIPART_EXTRA_BYTES 65536 /* what a form may have around the module */

struct upload {
	struct letter letter;
	struct job job;
	struct request *request;
	enum upload_kind kind;

	/* while the body arrives */
	struct multipart *form; /* NULL: the body is the module */
	bool is_text;           /* the body is a module in the text format */
	bool has_module_part;
	struct digest_state body_state;   /* of all bytes, for Content-Digest */
	struct digest_state module_state; /* of the module's part of a form */
	bool has_content_digest;
	struct digest content_digest;
	struct digest path_digest; /* UPLOAD_PUT */
	bool has_tag;
	struct rpc_ref tag;
	struct store_condition tag_if;

	/* once it is there */
	char *bytes;
	size_t len;
	struct digest digest;
	struct program *program; /* when valid */
	char *info;              /* JSON object */
	size_t info_len;
	vm_features features;
	enum rpc_code code; /* RPC_OK, or problem says why not */
	struct rpc_problem problem;
};

static void
upload_free(void *state)
{
	struct upload *upload = state;

	free(upload->form);
	free(upload->bytes);
	free(upload->info);
	program_unref(upload->program);
	free(upload);
}

/* --- the body arrives --------------------------------------------------------------------- */

static bool
on_part_begin(void *env, const struct multipart_part *part)
{
	struct upload *upload = env;

	if (strcmp(part->name, "module") != 0 || upload->has_module_part)
		return false;
	upload->has_module_part = true;
	return true;
}

static bool
on_part_data(void *env, const char *data, size_t len)
{
	struct upload *upload = env;

	digest_update(&upload->module_state, data, len);
	return request_append(upload->request, data, len);
}

static bool
on_part_end(void *env)
{
	(void)env;
	return true;
}

static bool
form_status(struct upload *upload, enum multipart_status status)
{
	if (status == MULTIPART_OK)
		return true;
	request_fail(upload->request, RPC_BAD_MULTIPART, "%s",
	             status == MULTIPART_STOPPED ? "the form has to have one part, named module"
	                                         : multipart_status_detail(status));
	return false;
}

static void
on_data(struct request *r, const char *data, size_t len)
{
	struct upload *upload = r->state;

	digest_update(&upload->body_state, data, len);
	if (upload->form == NULL)
		(void)request_append(r, data, len);
	else
		(void)form_status(upload, multipart_feed(upload->form, data, len));
}

static bool
begin_form(struct upload *upload)
{
	struct multipart_handler handler = { on_part_begin, on_part_data, on_part_end, upload };
	char boundary[MULTIPART_BOUNDARY_MAX + 1];

	if (!multipart_boundary(request_header(upload->request, "Content-Type"), boundary)) {
		request_fail(upload->request, RPC_BAD_MULTIPART,
		             "the Content-Type has no acceptable boundary");
		return false;
	}
	upload->form = malloc(sizeof *upload->form);
	if (upload->form == NULL) {
		request_fail(upload->request, RPC_OUT_OF_MEMORY, "no memory to read the form");
		return false;
	}
	multipart_init(upload->form, boundary, &handler);
	digest_init(&upload->module_state);
	return true;
}

static bool
begin_type(struct upload *upload)
{
	/* A form only for uploads; what is put by digest is bytes. */
	static const char *const types[] = { "application/wasm", "text/wat",
		                             "multipart/form-data" };
	static const size_t counts[] = { [UPLOAD_POST] = 3,
		                         [UPLOAD_PUT] = 1,
		                         [UPLOAD_VALIDATE] = 2 };
	int type = api_content_type(upload->request, types, counts[upload->kind], false);

	upload->is_text = type == 1;
	return type == 0 || type == 1 || (type == 2 && begin_form(upload));
}

static bool
begin_content_digest(struct upload *upload)
{
	struct rpc_problem problem;

	if (rpc_content_digest_parse(request_header(upload->request, "Content-Digest"),
	                             &upload->has_content_digest, upload->content_digest.bytes,
	                             &problem) == RPC_OK)
		return true;
	request_problem(upload->request, &problem);
	return false;
}

/* The tag to be set with the module, and what has to hold for it. */
static bool
begin_tag(struct upload *upload)
{
	struct request *r = upload->request;
	const char *text = rpc_query_text(&r->query, "tag", NULL);
	const char *none_match = request_header(r, "If-None-Match");
	struct rpc_problem problem;

	if (text == NULL)
		return true;
	if (rpc_ref_parse_tag(text, strlen(text), &upload->tag, &problem) != RPC_OK) {
		request_problem(r, &problem);
		return false;
	}
	upload->has_tag = true;
	if (none_match == NULL)
		return true;
	if (rpc_etag_find(none_match, NULL, true) != RPC_ETAG_ANY) {
		rpc_problem_in(&problem, RPC_BAD_HEADER, "If-None-Match",
		               "an upload knows only If-None-Match: *");
		request_problem(r, &problem);
		return false;
	}
	upload->tag_if.match = STORE_MATCH_ABSENT;
	return true;
}

static bool
begin_room(struct upload *upload)
{
	struct request *r = upload->request;

	if (!r->facts.has_length && !r->facts.is_chunked) {
		request_fail(r, RPC_LENGTH_REQUIRED,
		             "send Content-Length, or Transfer-Encoding: chunked");
		return false;
	}
	if (upload->kind == UPLOAD_VALIDATE ||
	    store_has_room(api_daemon(r)->store, r->facts.length))
		return true;
	request_fail(r, RPC_DISK_FULL, "the disk has no room for %llu bytes more",
	             (unsigned long long)r->facts.length);
	return false;
}

static bool
begin_path_digest(struct upload *upload)
{
	struct rpc_str text = rpc_match_param(&upload->request->match, "digest");
	struct rpc_problem problem;

	if (upload->kind != UPLOAD_PUT || rpc_digest_parse(text.data, text.len,
	                                                   upload->path_digest.bytes,
	                                                   &problem) == RPC_OK)
		return true;
	request_problem(upload->request, &problem);
	return false;
}

static void
upload_begin(struct request *r, enum upload_kind kind)
{
	uint64_t limit = api_daemon(r)->config->limits_module_bytes;
	struct upload *upload = calloc(1, sizeof *upload);

	if (upload == NULL) {
		request_fail(r, RPC_OUT_OF_MEMORY, "no memory for the upload");
		return;
	}
	r->state = upload;
	r->state_free = upload_free;
	r->on_data = on_data;
	upload->request = r;
	upload->kind = kind;
	digest_init(&upload->body_state);
	if (!begin_path_digest(upload) || !begin_type(upload) || !begin_content_digest(upload) ||
	    !begin_tag(upload) || !begin_room(upload))
		return;
	(void)request_expect_body(r, upload->form == NULL ? limit : limit + MULTIPART_EXTRA_BYTES);
}

void
module_upload_begin(struct request *request)
{
	upload_begin(request, UPLOAD_POST);
}

void
module_put_begin(struct request *request)
{
	upload_begin(request, UPLOAD_PUT);
}

void
module_validate_begin(struct request *request)
{
	upload_begin(request, UPLOAD_VALIDATE);
}

/* --- native code -------------------------------------------------------------------------- */

/*
 * Have it compiled, unless the upload says that it need not be. Where every call counts its
 * instructions the plain variant would be of no use.
 */
static struct compile_status
ask_compiler(struct upload *upload, bool is_new)
{
	struct request *r = upload->request;
	struct daemon *daemon = api_daemon(r);
	const char *effort = rpc_query_text(&r->query, "compile", NULL);
	bool is_metered = daemon->config->limits_fuel != 0;

	if ((effort == NULL && !is_new) || (effort != NULL && strcmp(effort, "none") == 0))
		return compiler_status(daemon->compiler, &upload->digest, is_metered);
	return compiler_ask(daemon->compiler, &upload->digest, is_metered,
	                    api_compile_level(r, "compile"), false);
}

/* --- replies ------------------------------------------------------------------------------ */

static void
reply_stored(struct upload *upload, bool created, const char *info)
{
	struct request *r = upload->request;
	char digest[DIGEST_TEXT_SIZE];
	char tag[RPC_REF_TEXT_MAX];
	struct compile_status status = ask_compiler(upload, created);
	struct rpc_writer w;
	struct reply reply;

	digest_format(&upload->digest, digest);
	if (upload->kind == UPLOAD_PUT && !created) {
		reply_init(&reply, 204);
	} else {
		api_writer_init(r, &w);
		rpc_write_object_begin(&w);
		rpc_member_text(&w, "digest", digest);
		rpc_member_uint(&w, "size", upload->len);
		rpc_member_bool(&w, "created", created);
		if (upload->has_tag) {
			rpc_ref_text(&upload->tag, tag);
			rpc_member_text(&w, "tag", tag);
		}
		modinfo_splice(&w, info);
		rpc_write_key(&w, "compile");
		compile_status_write(&w, &status);
		rpc_write_object_end(&w);
		reply_json(&reply, created ? 201 : 200, &w);
	}
	reply_header(&reply, "ETag", "\"%s\"", digest);
	reply_header(&reply, "Location", "/v1/modules/%s", digest);
	request_reply(r, &reply);
}

/* The store refused: a condition on the tag that does not hold is told apart. */
static bool
is_stored(struct upload *upload, const struct store_reply *reply)
{
	char tag[RPC_REF_TEXT_MAX];

	if (reply->error.status != STORE_E_CONFLICT)
		return store_call_ok(upload->request, reply, RPC_MODULE_NOT_FOUND);
	rpc_ref_text(&upload->tag, tag);
	request_fail(upload->request, RPC_PRECONDITION_FAILED, "the tag %s exists already", tag);
	return false;
}

/* --- known modules ------------------------------------------------------------------------ */

static void
on_tagged(struct request *r, struct store_call *call)
{
	struct upload *upload = r->state;

	if (is_stored(upload, call->reply))
		reply_stored(upload, false, upload->info);
}

/* The module is there: only the tag may have to be moved. */
static void
finish_known(struct upload *upload, const char *info)
{
	struct request *r = upload->request;

	if (!upload->has_tag) {
		reply_stored(upload, false, info);
		return;
	}
	upload->info = strdup(info);
	struct store_call *call = store_call_new(r, on_tagged);
	if (call == NULL)
		return;
	struct store_tag_name name = { upload->tag.ns, upload->tag.name, upload->tag.tag };
	store_call_check(call, store_tag_put(api_daemon(r)->store, &name, &upload->digest,
	                                     &upload->tag_if, auth_principal_id(r->principal),
	                                     store_call_answer, call));
}

/* --- new modules -------------------------------------------------------------------------- */

static void
on_put(struct request *r, struct store_call *call)
{
	struct upload *upload = r->state;

	if (!is_stored(upload, call->reply))
		return;
	programs_keep(api_daemon(r)->programs, upload->program);
	reply_stored(upload, call->reply->created, upload->info);
}

static void
store_new(struct upload *upload)
{
	struct request *r = upload->request;
	struct store_call *call = store_call_new(r, on_put);

	if (call == NULL)
		return;
	struct store_module_put put = {
		.digest = upload->digest,
		.bytes = (const uint8_t *)upload->bytes,
		.size_bytes = upload->len,
		.info = upload->info,
		.features = upload->features,
		.tag_if = upload->tag_if,
		.by = auth_principal_id(r->principal),
	};
	if (upload->has_tag)
		put.tag = (struct store_tag_name){ upload->tag.ns, upload->tag.name,
		                                   upload->tag.tag };
	store_call_check(call,
	                 store_module_put(api_daemon(r)->store, &put, store_call_answer, call));
}

/* On a helper: decode, validate, describe and link. */
static void
examine(struct upload *upload)
{
	struct daemon *daemon = api_daemon(upload->request);
	struct vm_module *module = NULL;
	struct vm_error err;
	struct rpc_writer w;

	if (vm_module_load(daemon->engine, (const uint8_t *)upload->bytes, upload->len, &module,
	                   &err) != VM_OK) {
		upload->code = errmap_module(&err, &upload->problem);
		return;
	}
	rpc_writer_init(&w);
	rpc_write_object_begin(&w);
	modinfo_write(&w, module);
	rpc_write_object_end(&w);
	upload->info = rpc_writer_take(&w, &upload->info_len);
	upload->features = vm_module_features(module);
	upload->program = program_link(daemon->programs, module, &upload->digest);
	vm_module_unref(module);
	if (upload->info == NULL || upload->program == NULL)
		upload->code = rpc_problem_set(&upload->problem, RPC_OUT_OF_MEMORY,
		                               "no memory to describe the module");
}

static void
reply_verdict(struct upload *upload)
{
	struct request *r = upload->request;
	const struct rpc_problem *problem = &upload->problem;
	char digest[DIGEST_TEXT_SIZE];
	struct rpc_writer w;

	api_writer_init(r, &w);
	rpc_write_object_begin(&w);
	rpc_member_bool(&w, "valid", upload->code == RPC_OK);
	rpc_member_text(&w, "digest", digest_format(&upload->digest, digest));
	rpc_member_uint(&w, "size", upload->len);
	if (upload->code == RPC_OK) {
		modinfo_splice(&w, upload->info);
	} else {
		rpc_member_text(&w, "code", rpc_problem_kind(problem->code)->slug);
		rpc_member_text(&w, "detail", problem->detail);
		if (problem->item_count > 0 && problem->items[0].offset != RPC_UNSET)
			rpc_member_uint(&w, "offset", problem->items[0].offset);
		if (problem->item_count > 0 && problem->items[0].function != RPC_NO_FUNCTION)
			rpc_member_uint(&w, "function", problem->items[0].function);
		if (problem->item_count > 0 && problem->items[0].line > 0) {
			rpc_member_uint(&w, "line", problem->items[0].line);
			rpc_member_uint(&w, "column", problem->items[0].column);
		}
	}
	rpc_write_object_end(&w);
	api_reply_json(r, 200, &w);
}

static void
on_examined(struct letter *letter)
{
	struct upload *upload = (struct upload *)letter;
	const struct rpc_problem_kind *kind = rpc_problem_kind(upload->code);

	/* What is wrong with a module is a verdict; what is wrong with us is not. */
	if (upload->kind == UPLOAD_VALIDATE && (upload->code == RPC_OK || kind->status == 422))
		reply_verdict(upload);
	else if (upload->code != RPC_OK)
		request_problem(upload->request, &upload->problem);
	else
		store_new(upload);
}

static void
run_examine(struct job *job)
{
	struct upload *upload = (struct upload *)((char *)job - offsetof(struct upload, job));

	examine(upload);
	mailbox_post(&api_daemon(upload->request)->mailbox, &upload->letter, on_examined);
}

static void
submit_job(struct upload *upload, void (*run)(struct job *job))
{
	struct jobpool *helpers = api_daemon(upload->request)->helpers;

	if (!jobpool_submit(helpers, &upload->job, run))
		api_fail_full(upload->request, helpers, "too many modules wait to be validated");
}

static void
submit(struct upload *upload)
{
	submit_job(upload, run_examine);
}

/* --- known or new ------------------------------------------------------------------------- */

static void
on_looked(struct request *r, struct store_call *call)
{
	struct upload *upload = r->state;
	enum store_status status = call->reply->error.status;

	if (status == STORE_OK)
		finish_known(upload, call->reply->modules[0].info);
	else if (status == STORE_E_NOT_FOUND || status == STORE_E_DAMAGED)
		submit(upload); /* bytes that were damaged are written anew */
	else
		(void)store_call_ok(r, call->reply, RPC_MODULE_NOT_FOUND);
}

static void
look_up(struct upload *upload)
{
	struct request *r = upload->request;
	struct store_call *call = store_call_new(r, on_looked);

	if (call != NULL)
		store_call_check(call, store_module_get(api_daemon(r)->store, &upload->digest,
		                                        false, store_call_answer, call));
}

/* The module is in binary form, with its digest. */
static void
proceed(struct upload *upload)
{
	if (upload->kind == UPLOAD_VALIDATE)
		submit(upload);
	else
		look_up(upload);
}

/* --- text --------------------------------------------------------------------------------- */

static void
on_parsed(struct letter *letter)
{
	struct upload *upload = (struct upload *)letter;

	if (upload->code == RPC_OK)
		proceed(upload);
	else
		on_examined(letter); /* a verdict, or a problem */
}

/* On a helper: the binary takes the place of the text. */
static void
parse_text(struct upload *upload)
{
	struct vm_engine *engine = api_daemon(upload->request)->engine;
	struct vm_error err;
	uint8_t *binary;
	size_t len;

	if (vm_text_parse(engine, upload->bytes, upload->len, VM_TEXT_NAMES, &binary, &len, &err) !=
	    VM_OK) {
		upload->code = errmap_text(&err, upload->bytes, upload->len, &upload->problem);
		return;
	}
	free(upload->bytes);
	upload->bytes = malloc(len);
	upload->len = len;
	if (upload->bytes != NULL)
		memcpy(upload->bytes, binary, len);
	else
		upload->code = rpc_problem_set(&upload->problem, RPC_OUT_OF_MEMORY,
		                               "no memory for the module");
	digest_of(binary, len, &upload->digest);
	vm_text_free(engine, binary);
}

static void
run_parse_text(struct job *job)
{
	struct upload *upload = (struct upload *)((char *)job - offsetof(struct upload, job));

	parse_text(upload);
	mailbox_post(&api_daemon(upload->request)->mailbox, &upload->letter, on_parsed);
}

/* --- the body is there -------------------------------------------------------------------- */

/* Digests of what has arrived, against what was promised. */
static bool
check_digests(struct upload *upload)
{
	struct request *r = upload->request;
	struct digest body;
	char text[DIGEST_TEXT_SIZE];

	digest_finish(&upload->body_state, &body);
	if (upload->form == NULL)
		upload->digest = body;
	else
		digest_finish(&upload->module_state, &upload->digest);
	if (upload->has_content_digest && !digest_equal(&body, &upload->content_digest)) {
		request_fail(r, RPC_BODY_DIGEST, "the body that arrived has the digest %s",
		             digest_format(&body, text));
		return false;
	}
	if (upload->kind == UPLOAD_PUT && !digest_equal(&upload->digest, &upload->path_digest)) {
		request_fail(r, RPC_DIGEST_MISMATCH, "the body has the digest %s",
		             digest_format(&upload->digest, text));
		return false;
	}
	return true;
}

static void
upload_finish(struct request *r)
{
	struct upload *upload = r->state;

	if (upload->form != NULL) {
		if (!form_status(upload, multipart_finish(upload->form)))
			return;
		if (!upload->has_module_part) {
			request_fail(r, RPC_BAD_MULTIPART, "the form has no part named module");
			return;
		}
	}
	if (!check_digests(upload))
		return;
	if (r->body_len == 0 && upload->kind != UPLOAD_VALIDATE) {
		request_fail(r, RPC_EMPTY_MODULE, "the body has no bytes");
		return;
	}
	upload->len = r->body_len;
	upload->bytes = request_take_body(r);
	if (upload->bytes == NULL)
		request_fail(r, RPC_OUT_OF_MEMORY, "no memory for the module");
	else if (upload->is_text)
		submit_job(upload, run_parse_text);
	else
		proceed(upload);
}

void
module_upload(struct request *request)
{
	upload_finish(request);
}

void
module_put(struct request *request)
{
	upload_finish(request);
}

void
module_validate(struct request *request)
{
	upload_finish(request);
}
