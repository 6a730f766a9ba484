/*
 * The key of the cache: where it comes from, and which files are refused.
 */
#include "daemon/mackey.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "tests/support/unit.h"

static char directory[] = "/tmp/wasmedged-key-XXXXXX";

static void
make_directory(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	unsetenv("CREDENTIALS_DIRECTORY");
}

static void
remove_directory(void)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", directory);
	ck_assert_int_eq(system(command), 0);
}

static const char *
in_directory(const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", directory, name);
	return path;
}

static void
write_key(const char *path, char byte, size_t len, mode_t mode)
{
	char bytes[64];
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	memset(bytes, byte, sizeof bytes);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, bytes, len), (ssize_t)len);
	ck_assert_int_eq(fchmod(fd, mode), 0);
	close(fd);
}

START_TEST(a_key_is_made_once)
{
	uint8_t first[VM_MAC_KEY_BYTES], second[VM_MAC_KEY_BYTES];
	char message[MACKEY_MESSAGE_MAX];
	struct stat st;

	ck_assert_msg(mackey_load("", directory, first, message), "%s", message);
	ck_assert_int_eq(stat(in_directory("cache.key"), &st), 0);
	ck_assert_uint_eq(st.st_mode & 0777, 0600);
	ck_assert(mackey_load("", directory, second, message));
	ck_assert_mem_eq(first, second, sizeof first);
}
END_TEST

START_TEST(a_damaged_key_of_our_own_is_made_anew)
{
	uint8_t key[VM_MAC_KEY_BYTES];
	char message[MACKEY_MESSAGE_MAX];
	struct stat st;

	write_key(in_directory("cache.key"), 'k', 5, 0600);
	ck_assert_msg(mackey_load("", directory, key, message), "%s", message);
	ck_assert_int_eq(stat(in_directory("cache.key"), &st), 0);
	ck_assert_int_eq(st.st_size, VM_MAC_KEY_BYTES);
}
END_TEST

START_TEST(a_credential_comes_first)
{
	uint8_t key[VM_MAC_KEY_BYTES];
	char message[MACKEY_MESSAGE_MAX];

	write_key(in_directory("cache-key"), 'c', VM_MAC_KEY_BYTES, 0400);
	setenv("CREDENTIALS_DIRECTORY", directory, 1);
	ck_assert(mackey_load("", "/nonexistent", key, message));
	ck_assert_uint_eq(key[0], 'c');
	write_key(in_directory("mine"), 'm', VM_MAC_KEY_BYTES, 0600);
	ck_assert(mackey_load(in_directory("mine"), "/nonexistent", key, message));
	ck_assert_uint_eq(key[0], 'm');
}
END_TEST

START_TEST(a_file_that_was_asked_for_has_to_be_right)
{
	static const struct {
		size_t len;
		mode_t mode;
		const char *says;
	} cases[] = {
		{ 31, 0600, "32 bytes" },
		{ 33, 0600, "32 bytes" },
		{ 0, 0600, "32 bytes" },
		{ 32, 0640, "only its owner" },
		{ 32, 0604, "only its owner" },
	};
	uint8_t key[VM_MAC_KEY_BYTES];
	char message[MACKEY_MESSAGE_MAX];

	ck_assert(!mackey_load(in_directory("missing"), directory, key, message));
	ck_assert_ptr_nonnull(strstr(message, "missing"));
	ck_assert(!mackey_load(directory, directory, key, message));
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		write_key(in_directory("key"), 'k', cases[i].len, cases[i].mode);
		ck_assert(!mackey_load(in_directory("key"), directory, key, message));
		ck_assert_msg(strstr(message, cases[i].says) != NULL, "%s", message);
	}
}
END_TEST

START_TEST(where_none_can_be_made_it_says_so)
{
	uint8_t key[VM_MAC_KEY_BYTES];
	char message[MACKEY_MESSAGE_MAX];

	ck_assert(!mackey_load("", "/nonexistent", key, message));
	ck_assert_ptr_nonnull(strstr(message, "/nonexistent"));
}
END_TEST

Suite *
unit_suite(void)
{
	Suite *suite = suite_create("mackey");
	TCase *tcase = tcase_create("mackey");

	tcase_add_checked_fixture(tcase, make_directory, remove_directory);
	tcase_add_test(tcase, a_key_is_made_once);
	tcase_add_test(tcase, a_damaged_key_of_our_own_is_made_anew);
	tcase_add_test(tcase, a_credential_comes_first);
	tcase_add_test(tcase, a_file_that_was_asked_for_has_to_be_right);
	tcase_add_test(tcase, where_none_can_be_made_it_says_so);
	suite_add_tcase(suite, tcase);
	return suite;
}
