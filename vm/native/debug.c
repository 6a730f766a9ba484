#include "vm/native/debug.h"

#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "vm/native/native.h"

/* --- what gdb looks for, by these names ------------------------------------------------------ */

struct debug_object {
	struct debug_object *next, *previous;
	const void *symfile_addr;
	uint64_t symfile_size;
};

enum { JIT_NOACTION, JIT_REGISTER, JIT_UNREGISTER };

struct jit_descriptor {
	uint32_t version;
	uint32_t action_flag;
	struct debug_object *relevant_entry;
	struct debug_object *first_entry;
};

extern struct jit_descriptor __jit_debug_descriptor;
void __jit_debug_register_code(void);

struct jit_descriptor __jit_debug_descriptor = { 1, JIT_NOACTION, NULL, NULL };

/* gdb has a breakpoint here. */
__attribute__((noinline)) void
__jit_debug_register_code(void)
{
	__asm__ volatile("" ::: "memory");
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_uint wanted;

void
vm_native_set_debug(unsigned int flags)
{
	atomic_store_explicit(&wanted, flags, memory_order_relaxed);
}

/* --- names ---------------------------------------------------------------------------------- */

enum { NAME_MAX_BYTES = 120 };

/* A function's name, or "wasm-function[7]"; one word, as profilers read lines. */
static void
name_make(const struct vm_module *module, uint32_t function, char out[NAME_MAX_BYTES])
{
	struct vm_str name = vm_module_function_name(module, function);
	size_t len = name.len < NAME_MAX_BYTES - 1 ? name.len : NAME_MAX_BYTES - 1;

	if (len == 0) {
		(void)snprintf(out, NAME_MAX_BYTES, "wasm-function[%u]", function);
		return;
	}
	for (size_t i = 0; i < len; i++)
		out[i] = (unsigned char)name.data[i] <= ' ' ? '_' : name.data[i];
	out[len] = '\0';
}

/* --- perf ----------------------------------------------------------------------------------- */

/* perf reads /tmp/perf-PID.map, if it belongs to the process's user. */
static FILE *
perf_open(void)
{
	char path[64];
	struct stat status;

	(void)snprintf(path, sizeof(path), "/tmp/perf-%d.map", (int)getpid());
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return NULL;
	FILE *file = NULL;
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_uid == geteuid())
		file = fdopen(fd, "a");
	if (file == NULL)
		(void)close(fd);
	return file;
}

static void
perf_add(const struct native_module *native)
{
	const struct artifact *a = &native->artifact;
	uintptr_t text = (uintptr_t)native->base + a->header.parts[ARTIFACT_TEXT].offset;
	FILE *file = perf_open();

	if (file == NULL)
		return;
	for (uint32_t i = 0; i < a->header.func_count; i++) {
		char name[NAME_MAX_BYTES];

		name_make(native->module, native->module->func_import_count + i, name);
		(void)fprintf(file, "%jx %x %s\n", (uintmax_t)(text + a->functions[i].offset),
		              a->functions[i].size_bytes, name);
	}
	(void)fclose(file);
}

/* --- gdb ------------------------------------------------------------------------------------ */

/* An ELF file of no contents but names: text (elsewhere), symbols, and two tables of strings. */
enum { S_NULL, S_TEXT, S_SYMBOLS, S_NAMES, S_SECTION_NAMES, S_COUNT };

static const char section_names[] = "\0.text\0.symtab\0.strtab\0.shstrtab";
static const uint32_t section_name_at[S_COUNT] = { 0, 1, 7, 15, 23 };

static void
sections_fill(const struct native_module *native, Elf64_Shdr *s, uint64_t symbols_at,
              uint64_t names_at, uint64_t names_bytes, uint64_t section_names_at)
{
	const struct artifact *a = &native->artifact;

	for (int i = 0; i < S_COUNT; i++)
		s[i].sh_name = section_name_at[i];
	s[S_TEXT].sh_type = SHT_NOBITS;
	s[S_TEXT].sh_flags = SHF_ALLOC | SHF_EXECINSTR;
	s[S_TEXT].sh_addr = (uintptr_t)native->base + a->header.parts[ARTIFACT_TEXT].offset;
	s[S_TEXT].sh_size = a->header.parts[ARTIFACT_TEXT].size_bytes;
	s[S_SYMBOLS].sh_type = SHT_SYMTAB;
	s[S_SYMBOLS].sh_offset = symbols_at;
	s[S_SYMBOLS].sh_size = ((uint64_t)a->header.func_count + 1) * sizeof(Elf64_Sym);
	s[S_SYMBOLS].sh_link = S_NAMES;
	s[S_SYMBOLS].sh_info = 1;
	s[S_SYMBOLS].sh_entsize = sizeof(Elf64_Sym);
	s[S_NAMES].sh_type = SHT_STRTAB;
	s[S_NAMES].sh_offset = names_at;
	s[S_NAMES].sh_size = names_bytes;
	s[S_SECTION_NAMES].sh_type = SHT_STRTAB;
	s[S_SECTION_NAMES].sh_offset = section_names_at;
	s[S_SECTION_NAMES].sh_size = sizeof(section_names);
}

/* The symbols, and behind them their names; returns the bytes of the names. */
static uint64_t
symbols_fill(const struct native_module *native, Elf64_Sym *symbols, char *names)
{
	const struct artifact *a = &native->artifact;
	uint64_t used = 1;

	for (uint32_t i = 0; i < a->header.func_count; i++) {
		name_make(native->module, native->module->func_import_count + i, names + used);
		symbols[i + 1] = (Elf64_Sym){
			.st_name = (uint32_t)used,
			.st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC),
			.st_shndx = S_TEXT,
			.st_value = a->functions[i].offset,
			.st_size = a->functions[i].size_bytes,
		};
		used += strlen(names + used) + 1;
	}
	return used;
}

static struct debug_object *
object_make(const struct native_module *native)
{
	uint64_t count = (uint64_t)native->artifact.header.func_count + 1;
	uint64_t sections_at = sizeof(Elf64_Ehdr);
	uint64_t symbols_at = sections_at + S_COUNT * sizeof(Elf64_Shdr);
	uint64_t section_names_at = symbols_at + count * sizeof(Elf64_Sym);
	uint64_t names_at = section_names_at + sizeof(section_names);
	uint64_t size_bytes = names_at + count * NAME_MAX_BYTES;
	struct debug_object *object = calloc(1, sizeof(*object) + size_bytes);

	if (object == NULL)
		return NULL;
	char *elf = (char *)(object + 1);
	*(Elf64_Ehdr *)(void *)elf = (Elf64_Ehdr){
		.e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
		             EV_CURRENT },
		.e_type = ET_REL,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_shoff = sections_at,
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_shentsize = sizeof(Elf64_Shdr),
		.e_shnum = S_COUNT,
		.e_shstrndx = S_SECTION_NAMES,
	};
	memcpy(elf + section_names_at, section_names, sizeof(section_names));
	uint64_t names_bytes = symbols_fill(native, (Elf64_Sym *)(void *)(elf + symbols_at),
	                                    elf + names_at);
	sections_fill(native, (Elf64_Shdr *)(void *)(elf + sections_at), symbols_at, names_at,
	              names_bytes, section_names_at);
	object->symfile_addr = elf;
	object->symfile_size = names_at + names_bytes;
	return object;
}

static void
tell_gdb(struct debug_object *object, uint32_t action)
{
	__jit_debug_descriptor.relevant_entry = object;
	__jit_debug_descriptor.action_flag = action;
	__jit_debug_register_code();
	__jit_debug_descriptor.action_flag = JIT_NOACTION;
	__jit_debug_descriptor.relevant_entry = NULL;
}

static void
gdb_add(struct native_module *native)
{
	struct debug_object *object = object_make(native);

	if (object == NULL)
		return;
	object->next = __jit_debug_descriptor.first_entry;
	if (object->next != NULL)
		object->next->previous = object;
	__jit_debug_descriptor.first_entry = object;
	native->debug = object;
	tell_gdb(object, JIT_REGISTER);
}

static void
gdb_remove(struct native_module *native)
{
	struct debug_object *object = native->debug;

	if (object->previous != NULL)
		object->previous->next = object->next;
	else
		__jit_debug_descriptor.first_entry = object->next;
	if (object->next != NULL)
		object->next->previous = object->previous;
	tell_gdb(object, JIT_UNREGISTER);
	free(object);
	native->debug = NULL;
}

void
debug_add(struct native_module *native)
{
	unsigned int flags = atomic_load_explicit(&wanted, memory_order_relaxed);

	if (flags == 0)
		return;
	(void)pthread_mutex_lock(&lock);
	if (flags & VM_NATIVE_PERF_MAP)
		perf_add(native);
	if (flags & VM_NATIVE_GDB)
		gdb_add(native);
	(void)pthread_mutex_unlock(&lock);
}

void
debug_remove(struct native_module *native)
{
	if (native->debug == NULL)
		return;
	(void)pthread_mutex_lock(&lock);
	gdb_remove(native);
	(void)pthread_mutex_unlock(&lock);
}
