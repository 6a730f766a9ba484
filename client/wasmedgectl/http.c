#include "client/wasmedgectl/http.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>
#include "client/wasmedgectl/interrupt.h"
#include "config.h"

#define FIELD_BYTES_MAX 16384
#define USER_AGENT "wasmedgectl/" PACKAGE_VERSION

struct http {
	CURL *easy;
	CURLM *multi;
	char *base; /* "http://host:port" without a slash at the end */
	char *unix_path;
	char *authorization; /* header line, or NULL */
	FILE *trace;
	char error[CURL_ERROR_SIZE];
};

/* One request under way. */
struct transfer {
	struct http *http;
	const struct http_request *request;
	struct http_response *response;
	size_t capacity;
	uint64_t left; /* of a body from a file */
	uint64_t sent;
	enum http_result result; /* why a callback stopped it; HTTP_OK when none did */
};

static const char unix_scheme[] = "unix:";

static bool
begins_with(const char *text, const char *beginning)
{
	return strncasecmp(text, beginning, strlen(beginning)) == 0;
}

static bool
is_plain(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text <= ' ' || *text == 0x7f)
			return false;
	return true;
}

bool
http_host_is_valid(const char *host)
{
	if (begins_with(host, unix_scheme)) {
		const char *path = host + strlen(unix_scheme);
		return path[0] == '/' && strlen(path) < sizeof(((struct sockaddr_un *)0)->sun_path);
	}
	const char *rest = begins_with(host, "http://")    ? host + 7
	                   : begins_with(host, "https://") ? host + 8
	                                                   : NULL;
	size_t len = rest != NULL ? strcspn(rest, "/") : 0;

	/* A path is not ours to add to, and a password does not belong on a command line. */
	return len > 0 && strspn(rest + len, "/") == strlen(rest + len) &&
	       strpbrk(rest, "@?#") == NULL && is_plain(rest);
}

static bool
set_addresses(struct http *http, const char *host, const char *token)
{
	if (begins_with(host, unix_scheme)) {
		http->unix_path = strdup(host + strlen(unix_scheme));
		http->base = strdup("http://localhost");
		if (http->unix_path == NULL)
			return false;
	} else {
		http->base = strdup(host);
	}
	if (http->base == NULL)
		return false;
	for (size_t len = strlen(http->base); len > 0 && http->base[len - 1] == '/';)
		http->base[--len] = '\0';
	return token == NULL ||
	       asprintf(&http->authorization, "Authorization: Bearer %s", token) > 0;
}

struct http *
http_new(const char *host, const char *token, FILE *trace, char message[HTTP_MESSAGE_BYTES])
{
	if (!http_host_is_valid(host)) {
		snprintf(message, HTTP_MESSAGE_BYTES,
		         "\"%.128s\" is not a host; expected unix:/path, http://name:port or "
		         "https://name:port",
		         host);
		return NULL;
	}
	if (token != NULL && (token[0] == '\0' || !is_plain(token))) {
		snprintf(message, HTTP_MESSAGE_BYTES,
		         "the token is empty or has blanks or control characters in it");
		return NULL;
	}
	struct http *http = calloc(1, sizeof(*http));
	if (http != NULL) {
		http->trace = trace;
		if (set_addresses(http, host, token) &&
		    curl_global_init(CURL_GLOBAL_DEFAULT) == 0) {
			http->easy = curl_easy_init();
			http->multi = curl_multi_init();
		}
		if (http->easy != NULL && http->multi != NULL)
			return http;
	}
	snprintf(message, HTTP_MESSAGE_BYTES, "out of memory");
	http_free(http);
	return NULL;
}

void
http_free(struct http *http)
{
	if (http == NULL)
		return;
	curl_easy_cleanup(http->easy);
	curl_multi_cleanup(http->multi);
	free(http->base);
	free(http->unix_path);
	free(http->authorization);
	free(http);
	curl_global_cleanup();
}

bool
http_sink_file(void *context, const char *bytes, size_t len)
{
	return fwrite(bytes, 1, len, context) == len;
}

static bool
append_body(struct transfer *t, const char *bytes, size_t len)
{
	struct http_response *response = t->response;
	size_t max = response->status >= 400 ? HTTP_ERROR_BODY_MAX : HTTP_BODY_MAX;

	if (len > max - response->body_len) {
		t->result = HTTP_TOO_LARGE;
		snprintf(response->message, sizeof(response->message),
		         "the reply has more than %zu bytes", max);
		return false;
	}
	if (response->body_len + len + 1 > t->capacity) {
		size_t capacity = t->capacity < 4096 ? 4096 : t->capacity;

		while (capacity < response->body_len + len + 1)
			capacity *= 2;
		char *grown = realloc(response->body, capacity);
		if (grown == NULL) {
			t->result = HTTP_NO_MEMORY;
			return false;
		}
		response->body = grown;
		t->capacity = capacity;
	}
	memcpy(response->body + response->body_len, bytes, len);
	response->body_len += len;
	response->body[response->body_len] = '\0';
	return true;
}

static size_t
on_body(char *bytes, size_t size, size_t count, void *context)
{
	struct transfer *t = context;
	size_t len = size * count;

	curl_easy_getinfo(t->http->easy, CURLINFO_RESPONSE_CODE, &t->response->status);
	if (t->request->sink != NULL && t->response->status >= 200 && t->response->status < 300) {
		if (t->request->sink(t->request->sink_context, bytes, len))
			return len;
		t->result = HTTP_STOPPED;
		return 0;
	}
	return append_body(t, bytes, len) ? len : 0;
}

static void
drop_fields(struct http_response *response)
{
	for (size_t i = 0; i < response->field_count; i++)
		free(response->fields[i]);
	response->field_count = 0;
}

static size_t
on_field(char *bytes, size_t size, size_t count, void *context)
{
	struct transfer *t = context;
	struct http_response *response = t->response;
	size_t len = size * count;
	size_t kept = len;

	/* A status line begins a reply; those before it were interim ones (100 Continue). */
	if (len >= 5 && memcmp(bytes, "HTTP/", 5) == 0) {
		drop_fields(response);
		return len;
	}
	while (kept > 0 && (bytes[kept - 1] == '\r' || bytes[kept - 1] == '\n'))
		kept--;
	if (kept == 0)
		return len;
	if (response->field_count == HTTP_REPLY_FIELDS_MAX || kept > FIELD_BYTES_MAX) {
		t->result = HTTP_TOO_LARGE;
		snprintf(response->message, sizeof(response->message),
		         "the header of the reply is too large");
		return 0;
	}
	char *field = strndup(bytes, kept);
	if (field == NULL) {
		t->result = HTTP_NO_MEMORY;
		return 0;
	}
	response->fields[response->field_count++] = field;
	return len;
}

static size_t
on_upload(char *bytes, size_t size, size_t count, void *context)
{
	struct transfer *t = context;
	size_t room = size * count;

	if (!t->request->chunked && room > t->left)
		room = (size_t)t->left;
	size_t len = fread(bytes, 1, room, t->request->body_file);
	if (len < room && ferror(t->request->body_file)) {
		snprintf(t->response->message, sizeof(t->response->message),
		         "cannot read the file: %s", strerror(errno));
		t->result = HTTP_BROKEN;
		return CURL_READFUNC_ABORT;
	}
	t->left -= t->request->chunked ? 0 : len;
	t->sent += len;
	if (t->request->progress != NULL)
		t->request->progress(t->request->progress_context, t->sent,
		                     t->request->chunked ? 0 : t->request->body_len);
	return len;
}

/* Appends to a list of header lines; on failure the list is freed and *list NULL. */
static bool
add_line(struct curl_slist **list, const char *line)
{
	struct curl_slist *grown = curl_slist_append(*list, line);

	if (grown == NULL) {
		curl_slist_free_all(*list);
		*list = NULL;
		return false;
	}
	*list = grown;
	return true;
}

static bool
add_named(struct curl_slist **list, const char *name, const char *value)
{
	char line[512];

	if (value == NULL)
		return true;
	snprintf(line, sizeof(line), "%s: %s", name, value);
	return add_line(list, line);
}

static bool
make_lines(const struct http *http, const struct http_request *request, struct curl_slist **list)
{
	*list = NULL;
	if (!add_named(list, "Accept", request->accept) ||
	    !add_named(list, "Content-Type", request->content_type) ||
	    (http->authorization != NULL && !add_line(list, http->authorization)))
		return false;
	if (request->chunked && !add_line(list, "Transfer-Encoding: chunked"))
		return false;
	for (size_t i = 0; i < HTTP_FIELDS_MAX && request->fields[i] != NULL; i++)
		if (!add_line(list, request->fields[i]))
			return false;
	return true;
}

static void
set_body(CURL *easy, struct transfer *t)
{
	const struct http_request *request = t->request;

	if (request->body_file != NULL) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
		                 request->chunked ? (curl_off_t)-1 : (curl_off_t)request->body_len);
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_upload);
		curl_easy_setopt(easy, CURLOPT_READDATA, t);
	} else if (request->content_type != NULL) {
		curl_easy_setopt(easy, CURLOPT_POST, 1L);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
		                 request->body != NULL ? request->body : "");
	}
}

static void
set_options(struct http *http, struct transfer *t, const char *url, struct curl_slist *lines)
{
	CURL *easy = http->easy;
	const char *method = t->request->method != NULL ? t->request->method : "GET";

	curl_easy_reset(easy);
	http->error[0] = '\0';
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, http->error);
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, USER_AGENT);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)t->request->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
	if (http->unix_path != NULL)
		curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, http->unix_path);
	set_body(easy, t);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, lines);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_field);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
}

static enum http_result
result_of(CURLcode code)
{
	/* Grouped by what a user can do about it; most of curl's codes cannot happen here. */
	if (code == CURLE_OK)
		return HTTP_OK;
	if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
	    code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION)
		return HTTP_UNREACHABLE;
	if (code == CURLE_OPERATION_TIMEDOUT)
		return HTTP_TIMEOUT;
	return code == CURLE_OUT_OF_MEMORY ? HTTP_NO_MEMORY : HTTP_BROKEN;
}

/* Run the one transfer of the multi handle to its end. */
static enum http_result
drive(struct http *http)
{
	struct curl_waitfd signal_fd = { .fd = interrupt_fd(), .events = CURL_WAIT_POLLIN };
	unsigned fd_count = signal_fd.fd >= 0 ? 1 : 0;
	int running = 1;

	for (;;) {
		if (interrupt_pending())
			return HTTP_INTERRUPTED;
		if (curl_multi_perform(http->multi, &running) != CURLM_OK)
			return HTTP_BROKEN;
		if (running == 0)
			break;
		if (curl_multi_poll(http->multi, &signal_fd, fd_count, 1000, NULL) != CURLM_OK)
			return HTTP_BROKEN;
	}
	int left;
	CURLMsg *done = curl_multi_info_read(http->multi, &left);
	return done != NULL && done->msg == CURLMSG_DONE ? result_of(done->data.result)
	                                                 : HTTP_BROKEN;
}

/* A connect that timed out is no deadline of the user's. */
static enum http_result
refine_timeout(struct http *http, const struct http_request *request, enum http_result result)
{
	curl_off_t connected_us = 0;

	if (result != HTTP_TIMEOUT)
		return result;
	curl_easy_getinfo(http->easy, CURLINFO_CONNECT_TIME_T, &connected_us);
	bool ours = request->timeout_ms != 0 &&
	            (connected_us > 0 || request->timeout_ms <= HTTP_CONNECT_MS);
	return ours ? HTTP_TIMEOUT : HTTP_UNREACHABLE;
}

static void
say_why(struct transfer *t, enum http_result result)
{
	struct http_response *response = t->response;

	if (response->message[0] != '\0')
		return;
	switch (result) {
	case HTTP_TIMEOUT:
		snprintf(response->message, sizeof(response->message), "no reply within %u ms",
		         t->request->timeout_ms);
		break;
	case HTTP_INTERRUPTED:
		snprintf(response->message, sizeof(response->message), "interrupted");
		break;
	case HTTP_NO_MEMORY:
		snprintf(response->message, sizeof(response->message), "out of memory");
		break;
	case HTTP_UNREACHABLE:
	case HTTP_BROKEN:
		snprintf(response->message, sizeof(response->message), "%s",
		         t->http->error[0] != '\0' ? t->http->error : "the connection failed");
		break;
	case HTTP_OK:
	case HTTP_TOO_LARGE:
	case HTTP_STOPPED:
		break;
	}
}

enum http_result
http_perform(struct http *http, const struct http_request *request,
             struct http_response *out_response)
{
	struct transfer t = { .http = http, .request = request, .response = out_response };
	enum http_result result = HTTP_NO_MEMORY;
	struct curl_slist *lines = NULL;
	char *url = NULL;

	*out_response = (struct http_response){ .body = calloc(1, 1) };
	t.capacity = 1;
	t.left = request->body_len;
	if (out_response->body == NULL || asprintf(&url, "%s%s", http->base, request->path) < 0) {
		url = NULL;
		goto done;
	}
	if (!make_lines(http, request, &lines))
		goto done;
	if (http->trace != NULL)
		fprintf(http->trace, "> %s %s\n", request->method != NULL ? request->method : "GET",
		        url);
	set_options(http, &t, url, lines);
	if (curl_multi_add_handle(http->multi, http->easy) != CURLM_OK)
		goto done;
	result = refine_timeout(http, request, drive(http));
	if (t.result != HTTP_OK)
		result = t.result;
	curl_easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &out_response->status);
	curl_multi_remove_handle(http->multi, http->easy);
	/* An early refusal ends an upload: the reply is whole, only our sending is not. */
	if (result == HTTP_BROKEN && out_response->status >= 400 && out_response->body_len > 0)
		result = HTTP_OK;
	if (http->trace != NULL)
		fprintf(http->trace, "< %ld, %zu bytes\n", out_response->status,
		        out_response->body_len);
done:
	say_why(&t, result);
	curl_slist_free_all(lines);
	free(url);
	return result;
}

void
http_response_clear(struct http_response *response)
{
	drop_fields(response);
	free(response->body);
	*response = (struct http_response){ 0 };
}

const char *
http_response_field(const struct http_response *response, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < response->field_count; i++) {
		const char *field = response->fields[i];

		if (strncasecmp(field, name, len) == 0 && field[len] == ':')
			return field + len + 1 + strspn(field + len + 1, " \t");
	}
	return NULL;
}

bool
http_response_is(const struct http_response *response, const char *media_type)
{
	const char *value = http_response_field(response, "Content-Type");
	size_t len = strlen(media_type);

	return value != NULL && strncasecmp(value, media_type, len) == 0 &&
	       (value[len] == '\0' || value[len] == ';' || value[len] == ' ');
}
