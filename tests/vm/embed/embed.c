/*
 * embed.c - how a C program uses the VM: load a module, give it a host function, call it under a
 * deadline and a limit on its memory, and see what went wrong when something did.
 *
 *     cc embed.c $(pkg-config --cflags --libs wasmedged) -o embed
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vm/vm.h>

/*
 * The guest, as an array so that the example is one file; vm_module_load takes any bytes.
 *
 * (module
 *   (import "env" "print" (func $print (param i32 i32)))
 *   (memory (export "memory") 1)
 *   (data (i32.const 0) "hello from the guest")
 *   (func (export "greet") (result i32)
 *     i32.const 0  i32.const 20  call $print  i32.const 42)
 *   (func (export "divide") (param i32 i32) (result i32)
 *     local.get 0  local.get 1  i32.div_s)
 *   (func (export "peek") (param i32) (result i32)  local.get 0  i32.load8_u)
 *   (func (export "spin") (loop br 0)))
 */
static const uint8_t guest[] = {
	0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x18, 0x05, 0x60, 0x02, 0x7f, 0x7f,
	0x00, 0x60, 0x00, 0x01, 0x7f, 0x60, 0x02, 0x7f, 0x7f, 0x01, 0x7f, 0x60, 0x01, 0x7f, 0x01,
	0x7f, 0x60, 0x00, 0x00, 0x02, 0x0d, 0x01, 0x03, 0x65, 0x6e, 0x76, 0x05, 0x70, 0x72, 0x69,
	0x6e, 0x74, 0x00, 0x00, 0x03, 0x05, 0x04, 0x01, 0x02, 0x03, 0x04, 0x05, 0x03, 0x01, 0x00,
	0x01, 0x07, 0x29, 0x05, 0x06, 0x6d, 0x65, 0x6d, 0x6f, 0x72, 0x79, 0x02, 0x00, 0x05, 0x67,
	0x72, 0x65, 0x65, 0x74, 0x00, 0x01, 0x06, 0x64, 0x69, 0x76, 0x69, 0x64, 0x65, 0x00, 0x02,
	0x04, 0x70, 0x65, 0x65, 0x6b, 0x00, 0x03, 0x04, 0x73, 0x70, 0x69, 0x6e, 0x00, 0x04, 0x0a,
	0x24, 0x04, 0x0a, 0x00, 0x41, 0x00, 0x41, 0x14, 0x10, 0x00, 0x41, 0x2a, 0x0b, 0x07, 0x00,
	0x20, 0x00, 0x20, 0x01, 0x6d, 0x0b, 0x07, 0x00, 0x20, 0x00, 0x2d, 0x00, 0x00, 0x0b, 0x07,
	0x00, 0x03, 0x40, 0x0c, 0x00, 0x0b, 0x0b, 0x0b, 0x1a, 0x01, 0x00, 0x41, 0x00, 0x0b, 0x14,
	0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x66, 0x72, 0x6f, 0x6d, 0x20, 0x74, 0x68, 0x65, 0x20,
	0x67, 0x75, 0x65, 0x73, 0x74,
};

/* A host function: it sees the guest's memory only through vm_memory_range. */
static enum vm_status
print(void *env, struct vm_caller *caller, union vm_slot *slots, struct vm_error *err)
{
	struct vm_extern memory;

	if (vm_instance_export(caller->instance, VM_STR("memory"), &memory, err) != VM_OK ||
	    memory.kind != VM_EXTERN_MEMORY)
		return vm_error_trap(err, VM_TRAP_HOST, "print: the module exports no memory");
	const char *text = vm_memory_range(memory.of.memory, slots[0].u32, slots[1].u32);
	if (text == NULL)
		return vm_error_trap(err, VM_TRAP_HOST, "print: %u bytes at %u are not in memory",
		                     slots[1].u32, slots[0].u32);
	(void)printf("print: %.*s\n", (int)slots[1].u32, text);
	++*(int *)env;
	return VM_OK;
}

/* Call an export with i32 arguments and tell how it ended. */
static void
call(struct vm_instance *instance, const char *name, const int32_t *numbers, size_t count)
{
	struct vm_value args[2], result = { .type = VM_I32 };
	struct vm_extern func;
	struct vm_error err;

	struct vm_str wanted = { name, strlen(name) };
	if (vm_instance_export(instance, wanted, &func, &err) != VM_OK ||
	    func.kind != VM_EXTERN_FUNC) {
		(void)printf("%s: no such function\n", name);
		return;
	}
	for (size_t i = 0; i < count; i++)
		args[i] = (struct vm_value){ .type = VM_I32, .of.i32 = numbers[i] };
	size_t results = vm_func_type(func.of.func).result_count;
	enum vm_status st = vm_func_call(func.of.func, args, count, &result, results, &err);
	if (st == VM_OK)
		(void)printf("%s: %d\n", name, result.of.i32);
	else
		(void)printf("%s: %s: %s\n", name,
		             st == VM_TRAP ? vm_trap_name(err.trap) : vm_status_text(st),
		             err.message);
}

/* A fresh store for one caller: its memory is limited, and nothing of it stays behind. */
static enum vm_status
serve(struct vm_engine *engine, struct vm_program *program, struct vm_error *err)
{
	static const int32_t good[] = { 84, 2 }, bad[] = { 1, 0 }, outside[] = { 65536 };
	struct vm_store_config config;
	struct vm_instance *instance;
	struct vm_store *store;
	struct timespec now;
	enum vm_status st;

	vm_store_config_init(&config);
	config.memory_bytes_max = 1 << 20;
	st = vm_store_new(engine, &config, &store, err);
	if (st != VM_OK)
		return st;
	st = vm_program_instantiate(program, store, &instance, err);
	if (st != VM_OK)
		goto done;
	call(instance, "greet", NULL, 0);
	call(instance, "divide", good, 2);
	call(instance, "divide", bad, 2);
	call(instance, "divide", good, 1);
	call(instance, "peek", outside, 1);

	/* 20 ms from now; another thread may end it sooner with vm_store_stop. */
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	uint64_t deadline = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + 20000000u;
	st = vm_store_set_deadline(store, deadline, err);
	if (st == VM_OK)
		call(instance, "spin", NULL, 0);
done:
	vm_store_free(store);
	return st;
}

int
main(void)
{
	static const vm_valtype two_i32[] = { VM_I32, VM_I32 };
	const struct vm_functype print_type = { .params = two_i32, .param_count = 2 };
	struct vm_engine *engine = NULL;
	struct vm_module *module = NULL;
	struct vm_linker *linker = NULL;
	struct vm_program *program = NULL;
	struct vm_error err;
	int printed = 0;

	enum vm_status st = vm_engine_new(NULL, &engine, &err);
	if (st == VM_OK)
		st = vm_module_load(engine, guest, sizeof(guest), &module, &err);
	if (st == VM_OK)
		st = vm_linker_new(engine, &linker, &err);
	if (st == VM_OK)
		st = vm_linker_define_func(linker, VM_STR("env"), VM_STR("print"), &print_type,
		                           print, &printed, &err);
	if (st == VM_OK) /* linked once, instantiated any number of times, by any thread */
		st = vm_program_new(linker, module, &program, &err);
	for (int i = 0; st == VM_OK && i < 2; i++)
		st = serve(engine, program, &err);
	if (st != VM_OK)
		(void)fprintf(stderr, "embed: %s\n", err.message);

	vm_program_unref(program);
	vm_linker_free(linker);
	vm_module_unref(module);
	vm_engine_unref(engine);
	return st == VM_OK && printed == 2 ? EXIT_SUCCESS : EXIT_FAILURE;
}
