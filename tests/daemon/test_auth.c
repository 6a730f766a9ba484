/*
 * Who a client is and what it may do: tokens, scopes, peers, rationed guesses.
 */
#include "daemon/auth.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "rpc/digest.h"
#include "tests/support/unit.h"

static const char *
hash_of(const char *secret, char hex[65])
{
	struct digest digest;

	digest_of(secret, strlen(secret), &digest);
	digest_hex(&digest, hex);
	return hex;
}

/* A table of one or two lines; %A and %B in the text stand for the hashes. */
static struct auth_table *
table_of(const char *text, struct auth_error *err)
{
	char full[4096] = "", a[65], b[65];
	struct auth_table *table = NULL;

	hash_of("secret-a", a);
	hash_of("secret-b", b);
	for (; *text != '\0'; text++) {
		const char *put = text[0] != '%' ? NULL : text[1] == 'A' ? a : b;
		size_t used = strlen(full);

		snprintf(full + used, sizeof full - used, "%.*s", put != NULL ? 64 : 1,
			 put != NULL ? put : text);
		text += put != NULL;
	}
	if (!auth_table_parse("tokens", full, strlen(full), &table, err))
		return NULL;
	return table;
}

static struct auth_table *
table_ok(const char *text)
{
	struct auth_error err = { "" };
	struct auth_table *table = table_of(text, &err);

	ck_assert_msg(table != NULL, "%s", err.message);
	return table;
}

static const struct refused_case {
	const char *text;
	const char *message;
} refused_cases[] = {
	{ "ci", "tokens:1: expected \"id sha256 scopes" },
	{ "\n#x\nci %A", "tokens:3: expected \"id sha256 scopes" },
	{ "ci %A * - - more", "found more fields" },
	{ "c/i %A *", "tokens:1: id: expected" },
	{ "ci 12 *", "token ci: expected the SHA-256 of its secret" },
	{ "ci %Aff *", "token ci: expected the SHA-256 of its secret" },
	{ "ci %A modules", "unknown scope \"modules\"" },
	{ "ci %A modules:read,", "unknown scope \"\"" },
	{ "ci %A invoke:", "expected a pattern" },
	{ "ci %A Admin", "unknown scope \"Admin\"" },
	{ "ci %A * time=5", "limit \"time=5\"" },
	{ "ci %A * time=0", "limit \"time=0\"" },
	{ "ci %A * cpu=5", "limit \"cpu=5\"" },
	{ "ci %A * fuel", "limit \"fuel\"" },
	{ "ci %A * - tomorrow", "expiry \"tomorrow\"" },
	{ "ci %A * - 2027-13-01", "expiry \"2027-13-01\"" },
	{ "ci %A * - 2027-01-01T00:00:00", "expiry" },
	{ "ci %A *\nci %B *", "tokens:2: token ci stands in the file already" },
	{ "ci %A *\ncd %A *", "token cd has the same secret as ci" },
};

START_TEST(a_faulty_token_file_is_refused)
{
	const struct refused_case *c = &refused_cases[_i];
	struct auth_error err = { "" };
	struct auth_table *table = table_of(c->text, &err);

	ck_assert_msg(table == NULL, "accepted: %s", c->text);
	ck_assert_msg(strstr(err.message, c->message) != NULL, "got \"%s\", want \"%s\"",
		      err.message, c->message);
}
END_TEST

#define NOON_2030 INT64_C(1893499200)

static const struct header_case {
	const char *name;
	const char *header;
	int64_t now_s;
	enum auth_result want;
	const char *id;
} header_cases[] = {
	{ "absent", NULL, 0, AUTH_MISSING, NULL },
	{ "right", "Bearer secret-a", NOON_2030 - 1, AUTH_OK, "ci" },
	{ "scheme in any case", "bEARER  secret-b", NOON_2030, AUTH_OK, "ops" },
	{ "expired", "Bearer secret-a", NOON_2030, AUTH_EXPIRED, NULL },
	{ "wrong", "Bearer secret-c", 0, AUTH_UNKNOWN, NULL },
	{ "prefix of a right one", "Bearer secret", 0, AUTH_UNKNOWN, NULL },
	{ "no token", "Bearer ", 0, AUTH_MALFORMED, NULL },
	{ "other scheme", "Basic c2VjcmV0", 0, AUTH_MALFORMED, NULL },
	{ "two tokens", "Bearer secret-a secret-b", 0, AUTH_MALFORMED, NULL },
	{ "blank after it", "Bearer secret-a ", 0, AUTH_MALFORMED, NULL },
	{ "no blank", "Bearersecret-a", 0, AUTH_MALFORMED, NULL },
	{ "empty", "", 0, AUTH_MALFORMED, NULL },
};

START_TEST(a_header_is_judged)
{
	const struct header_case *c = &header_cases[_i];
	struct auth_table *table = table_ok("ci %A modules:read - 2030-01-01T12:00:00Z # x\n"
					    "  ops %B * time=5s,fuel=7 -\n");
	struct auth_principal *principal = NULL;

	enum auth_result result = auth_check_header(table, c->header, c->now_s, &principal);
	ck_assert_msg(result == c->want, "%s: got %d, want %d", c->name, result, c->want);
	auth_table_free(table); /* the principal lives on */
	if (c->id != NULL)
		ck_assert_str_eq(auth_principal_id(principal), c->id);
	else
		ck_assert_ptr_null(principal);
	auth_principal_unref(principal);
}
END_TEST

START_TEST(an_overlong_token_is_not_even_hashed)
{
	struct auth_table *table = table_ok("");
	struct auth_principal *principal = NULL;
	char *header = malloc(100000);

	memset(header, 'x', 99999);
	memcpy(header, "Bearer ", 7);
	header[99999] = '\0';
	ck_assert_int_eq(auth_check_header(table, header, 0, &principal), AUTH_MALFORMED);
	ck_assert_int_eq(auth_check_header(table, "Bearer x", 0, &principal), AUTH_UNKNOWN);
	free(header);
	auth_table_free(table);
}
END_TEST

static const struct scope_case {
	const char *scopes;
	bool read, write, admin;
	const char *reference;
	bool invoke;
} scope_cases[] = {
	{ "modules:read", true, false, false, "a/b:1", false },
	{ "modules:write", false, true, false, NULL, false },
	{ "invoke", false, false, false, "a/b:1", true },
	{ "invoke", false, false, false, NULL, true },
	{ "invoke:demo/*", false, false, false, "demo/app:1", true },
	{ "invoke:demo/*", false, false, false, "demos/app:1", false },
	{ "invoke:demo/*", false, false, false, NULL, true },
	{ "plugins:demo/*", false, false, false, NULL, false },
	{ "kv:read:demo*,kv:write", false, false, false, NULL, false },
	{ "invoke:demo/app:1", false, false, false, "demo/app:1", true },
	{ "invoke:demo/app:1", false, false, false, "demo/app:12", false },
	{ "invoke:*/app:*", false, false, false, "demo/app:1", true },
	{ "invoke:*/app:*", false, false, false, "app/app2:app:", false },
	{ "invoke:*/app:*", false, false, false, "x/app2/app:", true },
	{ "invoke:*/app:*", false, false, false, "app/ap:1", false },
	{ "invoke:a,invoke:b", false, false, false, "b", true },
	{ "invoke:a,modules:read", true, false, false, "c", false },
	{ "admin", false, false, true, "a/b", false },
	{ "*", true, true, true, "a/b", true },
};

START_TEST(scopes_permit_what_they_say_and_no_more)
{
	const struct scope_case *c = &scope_cases[_i];
	char text[256];
	struct auth_principal *principal = NULL;

	snprintf(text, sizeof text, "ci %%A %s", c->scopes);
	struct auth_table *table = table_ok(text);
	ck_assert_int_eq(auth_check_header(table, "Bearer secret-a", 0, &principal), AUTH_OK);
	ck_assert_int_eq(auth_permits(principal, AUTH_MODULES_READ, NULL), c->read);
	ck_assert_int_eq(auth_permits(principal, AUTH_MODULES_WRITE, NULL), c->write);
	ck_assert_int_eq(auth_permits(principal, AUTH_ADMIN, NULL), c->admin);
	ck_assert_msg(auth_permits(principal, AUTH_INVOKE, c->reference) == c->invoke, "%s on %s",
		      c->scopes, c->reference != NULL ? c->reference : "anything");
	auth_principal_unref(principal);
	auth_table_free(table);
}
END_TEST

START_TEST(a_pattern_of_many_stars_is_matched_quickly)
{
	char text[300] = "ci %A invoke:";
	char reference[3001];
	struct auth_principal *principal = NULL;

	for (int i = 0; i < 60; i++)
		strcat(text, "*a");
	strcat(text, "*b");
	memset(reference, 'a', 3000);
	reference[3000] = '\0';
	struct auth_table *table = table_ok(text);
	ck_assert_int_eq(auth_check_header(table, "Bearer secret-a", 0, &principal), AUTH_OK);
	ck_assert(!auth_permits(principal, AUTH_INVOKE, reference));
	auth_principal_unref(principal);
	auth_table_free(table);
}
END_TEST

START_TEST(limits_are_read_with_their_units)
{
	struct auth_table *table =
	    table_ok("ci %A * time=5s,memory_pages=64,fuel=1000,output_bytes=64KiB 2100-01-01");
	struct auth_principal *principal = NULL;

	ck_assert_uint_eq(auth_table_count(table), 1);
	ck_assert_int_eq(auth_check_header(table, "Bearer secret-a", NOON_2030, &principal),
			 AUTH_OK);
	const struct auth_limits *limits = auth_principal_limits(principal);
	ck_assert_uint_eq(limits->time_ms, 5000);
	ck_assert_uint_eq(limits->memory_pages, 64);
	ck_assert_uint_eq(limits->fuel, 1000);
	ck_assert_uint_eq(limits->output_bytes, 65536);
	auth_principal_unref(principal);
	auth_table_free(table);
}
END_TEST

START_TEST(a_new_token_works_when_its_line_is_in_the_file)
{
	struct auth_error err = { "" };
	struct auth_table *table = NULL;
	struct auth_principal *principal = NULL;
	char *text = NULL, header[200] = "Bearer ";
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ck_assert_msg(auth_new_token("ci-1", "modules:write,invoke:demo/*", out, &err), "%s",
		      err.message);
	fclose(out);
	const char *secret = strchr(text, '\n') + 1;
	strncat(header, secret, strcspn(secret, "\n"));
	char *line = strstr(text, "ci-1");
	ck_assert_ptr_nonnull(line);
	ck_assert(auth_table_parse("t", line, strlen(line), &table, &err));
	ck_assert_int_eq(auth_check_header(table, header, 0, &principal), AUTH_OK);
	ck_assert_str_eq(auth_principal_id(principal), "ci-1");
	auth_principal_unref(principal);
	auth_table_free(table);
	free(text);
}
END_TEST

static const char *const bad_new_tokens[][2] = {
	{ "a b", "*" }, { "a", "nonsense" }, { "", "*" }, { "a", "* - 2020-01-01 x" },
	{ "a#", "*" },  { "a", "*\nb" },     { "a", "" },
};

START_TEST(a_faulty_new_token_is_refused_and_prints_nothing)
{
	struct auth_error err = { "" };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	ck_assert(!auth_new_token(bad_new_tokens[_i][0], bad_new_tokens[_i][1], out, &err));
	fclose(out);
	ck_assert_uint_eq(size, 0);
	ck_assert_str_ne(err.message, "");
	free(text);
}
END_TEST

START_TEST(a_token_file_that_others_may_change_is_refused)
{
	char path[] = "/tmp/wasmedged-test-auth-XXXXXX", hash[65];
	struct auth_error err = { "" };
	struct auth_table *table = NULL;
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	dprintf(fd, "ci %s *\n", hash_of("x", hash));
	ck_assert_msg(auth_table_load(path, &table, &err), "%s", err.message);
	ck_assert_uint_eq(auth_table_count(table), 1);
	auth_table_free(table);
	fchmod(fd, 0640);
	ck_assert(auth_table_load(path, &table, &err));
	auth_table_free(table);
	fchmod(fd, 0644);
	ck_assert(!auth_table_load(path, &table, &err));
	ck_assert_ptr_nonnull(strstr(err.message, "mode 0644"));
	fchmod(fd, 0620);
	ck_assert(!auth_table_load(path, &table, &err));
	close(fd);
	unlink(path);
	ck_assert(!auth_table_load(path, &table, &err));
	ck_assert_ptr_nonnull(strstr(err.message, "No such file"));
	ck_assert(!auth_table_load("/tmp", &table, &err));
	ck_assert(auth_table_load("", &table, &err));
	ck_assert_uint_eq(auth_table_count(table), 0);
	auth_table_free(table);
}
END_TEST

/* ---- peers ---- */

static struct auth_principal *
peer_with(const char *user, const char *group)
{
	const struct config_list users = { user != NULL, &user };
	const struct config_list groups = { group != NULL, &group };
	struct auth_error err = { "" };
	struct auth_peers *peers = NULL;
	int fds[2];

	ck_assert_msg(auth_peers_new(&users, &groups, &peers, &err), "%s", err.message);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	struct auth_principal *principal = auth_peers_check(peers, fds[0]);
	close(fds[0]);
	close(fds[1]);
	auth_peers_free(peers);
	return principal;
}

START_TEST(the_kernel_says_who_is_at_the_unix_socket)
{
	char own[16], own_group[16], id[24];

	snprintf(own, sizeof own, "%u", (unsigned)geteuid());
	snprintf(own_group, sizeof own_group, "%u", (unsigned)getegid());
	snprintf(id, sizeof id, "uid:%s", own);
	struct auth_principal *principal = peer_with(NULL, NULL);
	ck_assert_ptr_nonnull(principal);
	ck_assert_str_eq(auth_principal_id(principal), id);
	ck_assert(auth_permits(principal, AUTH_ADMIN, NULL));
	auth_principal_unref(principal);
	auth_principal_unref((principal = peer_with(own, NULL)));
	ck_assert_ptr_nonnull(principal);
	auth_principal_unref((principal = peer_with(NULL, own_group)));
	ck_assert_ptr_nonnull(principal);
	ck_assert_ptr_null(peer_with("65533", NULL));
	ck_assert_ptr_null(peer_with(NULL, "65533"));
	auth_principal_unref((principal = peer_with("65533", own_group)));
	ck_assert_ptr_nonnull(principal);
}
END_TEST

START_TEST(unknown_users_and_groups_are_refused)
{
	const char *name = "no-such-name";
	const struct config_list some = { 1, &name }, none = { 0, NULL };
	struct auth_error err = { "" };
	struct auth_peers *peers = NULL;

	ck_assert(!auth_peers_new(&some, &none, &peers, &err));
	ck_assert_ptr_nonnull(strstr(err.message, "unix_users: no user \"no-such-name\""));
	ck_assert(!auth_peers_new(&none, &some, &peers, &err));
	ck_assert_ptr_nonnull(strstr(err.message, "no group"));
	name = "root";
	ck_assert(auth_peers_new(&some, &some, &peers, &err));
	auth_peers_free(peers);
	name = "4294967295";
	ck_assert(!auth_peers_new(&some, &none, &peers, &err));
}
END_TEST

START_TEST(what_is_no_unix_socket_has_no_peer)
{
	const struct config_list none = { 0, NULL };
	struct auth_error err;
	struct auth_peers *peers = NULL;

	ck_assert(auth_peers_new(&none, &none, &peers, &err));
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	ck_assert_ptr_null(auth_peers_check(peers, fd));
	ck_assert_ptr_null(auth_peers_check(peers, -1));
	close(fd);
	auth_peers_free(peers);
	struct auth_principal *anonymous = auth_anonymous();
	ck_assert_str_eq(auth_principal_id(anonymous), "anonymous");
	ck_assert(auth_permits(anonymous, AUTH_INVOKE, "a/b"));
	auth_principal_unref(anonymous);
}
END_TEST

/* ---- failures ---- */

#define SECOND_US UINT64_C(1000000)

static struct sockaddr_in6
v6_address(const char *text)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6 };

	ck_assert_int_eq(inet_pton(AF_INET6, text, &address.sin6_addr), 1);
	return address;
}

static unsigned
wait_of(struct auth_limiter *limiter, const struct sockaddr_in6 *address, uint64_t now_us)
{
	return auth_limiter_wait_s(limiter, (const struct sockaddr *)address, now_us);
}

START_TEST(guesses_of_one_address_are_rationed)
{
	struct auth_limiter *limiter = auth_limiter_new(6);
	struct sockaddr_in6 a = v6_address("2001:db8::1"), same = v6_address("2001:db8::2:1"),
			    other = v6_address("2001:db8:0:1::1");
	uint64_t now_us = 1000 * SECOND_US;

	for (int i = 0; i < 6; i++) {
		ck_assert_uint_eq(wait_of(limiter, &a, now_us), 0);
		auth_limiter_failed(limiter, (const struct sockaddr *)&a, now_us);
	}
	ck_assert_uint_ge(wait_of(limiter, &a, now_us), 10);
	ck_assert_uint_le(wait_of(limiter, &a, now_us), 11);
	ck_assert_uint_gt(wait_of(limiter, &same, now_us), 0);
	ck_assert_uint_eq(wait_of(limiter, &other, now_us), 0);
	ck_assert_uint_gt(wait_of(limiter, &a, now_us + 9 * SECOND_US), 0);
	ck_assert_uint_eq(wait_of(limiter, &a, now_us + 11 * SECOND_US), 0);
	auth_limiter_failed(limiter, (const struct sockaddr *)&a, now_us + 11 * SECOND_US);
	ck_assert_uint_gt(wait_of(limiter, &a, now_us + 11 * SECOND_US), 0);
	ck_assert_uint_eq(auth_limiter_wait_s(limiter, NULL, now_us), 0);
	auth_limiter_free(limiter);
}
END_TEST

START_TEST(many_addresses_cannot_fill_the_table)
{
	struct auth_limiter *limiter = auth_limiter_new(1);
	struct sockaddr_in address = { .sin_family = AF_INET };

	for (uint32_t i = 0; i < 200000; i++) {
		address.sin_addr.s_addr = htonl(0x0a000000 + i);
		auth_limiter_failed(limiter, (const struct sockaddr *)&address, 1 + i);
	}
	ck_assert_uint_gt(auth_limiter_wait_s(limiter, (const struct sockaddr *)&address, 200001),
			  0);
	auth_limiter_set_rate(limiter, 100);
	ck_assert_uint_eq(auth_limiter_wait_s(limiter, (const struct sockaddr *)&address, 200001),
			  0);
	auth_limiter_free(limiter);
}
END_TEST

#define LOOP(test, cases) tcase_add_loop_test(tcase, test, 0, sizeof(cases) / sizeof((cases)[0]))

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("daemon/auth");
	TCase *tcase = tcase_create("auth");

	LOOP(a_faulty_token_file_is_refused, refused_cases);
	LOOP(a_header_is_judged, header_cases);
	tcase_add_test(tcase, an_overlong_token_is_not_even_hashed);
	LOOP(scopes_permit_what_they_say_and_no_more, scope_cases);
	tcase_add_test(tcase, a_pattern_of_many_stars_is_matched_quickly);
	tcase_add_test(tcase, limits_are_read_with_their_units);
	tcase_add_test(tcase, a_new_token_works_when_its_line_is_in_the_file);
	LOOP(a_faulty_new_token_is_refused_and_prints_nothing, bad_new_tokens);
	tcase_add_test(tcase, a_token_file_that_others_may_change_is_refused);
	tcase_add_test(tcase, the_kernel_says_who_is_at_the_unix_socket);
	tcase_add_test(tcase, unknown_users_and_groups_are_refused);
	tcase_add_test(tcase, what_is_no_unix_socket_has_no_peer);
	tcase_add_test(tcase, guesses_of_one_address_are_rationed);
	tcase_add_test(tcase, many_addresses_cannot_fill_the_table);
	suite_add_tcase(suite, tcase);
	return suite;
}
