#include "plugins/process/request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* What a text costs besides its bytes: its pointers here and in the call of the system. */
#define TEXT_OVERHEAD_BYTES 64

void
request_init(struct request *request)
{
	*request = (struct request){ .input_fd = -1, .timeout_ms = REQUEST_TIMEOUT_MS };
}

static void
words_free(struct request_words *words)
{
	for (size_t i = 0; i < words->count; i++)
		free(words->word[i]);
	free(words->word);
}

void
request_free(struct request *request)
{
	free(request->name);
	words_free(&request->args);
	words_free(&request->env);
	if (request->input_fd >= 0)
		(void)close(request->input_fd);
	request_init(request);
}

void
request_reset(struct request *request, const struct vm_plugin_call *call)
{
	vm_plugin_give(call, request->charged_bytes);
	request_free(request);
}

static enum vm_status
out_of_memory(const struct vm_plugin_call *call, struct vm_error *err)
{
	return vm_plugin_fail(call->host, err, VM_E_NOMEM, "out of memory");
}

static enum vm_status
charge(struct request *request, const struct vm_plugin_call *call, uint64_t size_bytes,
       struct vm_error *err)
{
	if (!vm_plugin_take(call, size_bytes))
		return vm_plugin_trap(call, err, VM_TRAP_MEMORY_LIMIT,
		                      "what a command is given: %llu more bytes are too many",
		                      (unsigned long long)size_bytes);
	request->charged_bytes += size_bytes;
	return VM_OK;
}

/* The bytes in front of the first NUL. data is NULL when they are not all in the memory. */
static struct vm_str
text_at(const struct vm_plugin_call *call, uint32_t address, uint32_t len)
{
	const char *text = vm_plugin_memory(call, address, len);

	return (struct vm_str){ text, text != NULL ? strnlen(text, len) : 0 };
}

/* A copy of "left" + middle + "right", charged. */
static enum vm_status
copy_texts(struct request *request, const struct vm_plugin_call *call, struct vm_str left,
           struct vm_str middle, struct vm_str right, char **out, struct vm_error *err)
{
	const struct vm_str parts[] = { left, middle, right };
	const size_t len = left.len + middle.len + right.len;
	enum vm_status st = charge(request, call, (uint64_t)len + TEXT_OVERHEAD_BYTES, err);

	if (st != VM_OK)
		return st;
	char *copy = malloc(len + 1);
	if (copy == NULL)
		return out_of_memory(call, err);
	char *end = copy;
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		if (parts[i].len > 0)
			memcpy(end, parts[i].data, parts[i].len);
		end += parts[i].len;
	}
	*end = '\0';
	*out = copy;
	return VM_OK;
}

/* Takes the word over, also when it fails. */
static enum vm_status
words_add(struct request_words *words, const struct vm_plugin_call *call, char *word,
          struct vm_error *err)
{
	char **grown = realloc(words->word, (words->count + 2) * sizeof *grown);

	if (grown == NULL) {
		free(word);
		return out_of_memory(call, err);
	}
	grown[words->count++] = word;
	grown[words->count] = NULL;
	words->word = grown;
	return VM_OK;
}

enum vm_status
request_set_name(struct request *request, const struct vm_plugin_call *call, uint32_t address,
                 uint32_t len, struct vm_error *err)
{
	const struct vm_str text = text_at(call, address, len);
	char *name;

	if (text.data == NULL)
		return vm_plugin_trap_memory(call, err, "name of a command", address, len);
	enum vm_status st =
	    copy_texts(request, call, text, VM_STR(""), VM_STR(""), &name, err);
	if (st != VM_OK)
		return st;
	free(request->name);
	request->name = name;
	return VM_OK;
}

enum vm_status
request_add_arg(struct request *request, const struct vm_plugin_call *call, uint32_t address,
                uint32_t len, struct vm_error *err)
{
	const struct vm_str text = text_at(call, address, len);
	char *word;

	if (text.data == NULL)
		return vm_plugin_trap_memory(call, err, "argument of a command", address, len);
	enum vm_status st =
	    copy_texts(request, call, text, VM_STR(""), VM_STR(""), &word, err);
	return st == VM_OK ? words_add(&request->args, call, word, err) : st;
}

enum vm_status
request_add_env(struct request *request, const struct vm_plugin_call *call,
                const union vm_slot *slots, struct vm_error *err)
{
	const struct vm_str name = text_at(call, slots[0].u32, slots[1].u32);
	const struct vm_str value = text_at(call, slots[2].u32, slots[3].u32);
	char *word;

	if (name.data == NULL)
		return vm_plugin_trap_memory(call, err, "name of a variable", slots[0].u32,
		                             slots[1].u32);
	if (value.data == NULL)
		return vm_plugin_trap_memory(call, err, "value of a variable", slots[2].u32,
		                             slots[3].u32);
	enum vm_status st = copy_texts(request, call, name, VM_STR("="), value, &word, err);
	return st == VM_OK ? words_add(&request->env, call, word, err) : st;
}

enum vm_status
request_add_input(struct request *request, const struct vm_plugin_call *call, uint32_t address,
                  uint32_t len, struct vm_error *err)
{
	const char *data = vm_plugin_memory(call, address, len);

	if (data == NULL)
		return vm_plugin_trap_memory(call, err, "input of a command", address, len);
	enum vm_status st = charge(request, call, len, err);
	if (st != VM_OK)
		return st;
	if (request->input_fd < 0)
		request->input_fd = memfd_create("wasmedge_process input", MFD_CLOEXEC);
	for (size_t done = 0; done < len && request->input_fd >= 0;) {
		ssize_t n = write(request->input_fd, data + done, len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return vm_plugin_fail(call->host, err, VM_E_IO, "input of a command: %s",
			                      strerror(n < 0 ? errno : ENOSPC));
		done += (size_t)n;
	}
	return request->input_fd >= 0 ? VM_OK
	                              : vm_plugin_fail(call->host, err, VM_E_IO,
	                                               "input of a command: %s", strerror(errno));
}
