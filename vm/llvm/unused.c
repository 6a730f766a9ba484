#include "vm/llvm/unused.h"

#include <stdlib.h>
#include <string.h>

/* A function that is assumed not to need its instance, until something is found that does. */
struct candidate {
	LLVMValueRef function;
	bool needs_instance;
};

struct candidates {
	struct candidate *items; /* sorted by address, as LLVM's handles are */
	size_t count;
};

static int
compare(const void *left, const void *right)
{
	const struct candidate *a = left;
	const struct candidate *b = right;

	return a->function < b->function ? -1 : a->function > b->function;
}

static const struct candidate *
find(const struct candidates *all, LLVMValueRef function)
{
	const struct candidate key = { .function = function };

	return bsearch(&key, all->items, all->count, sizeof(key), compare);
}

static bool
candidates_make(struct candidates *all, LLVMModuleRef module)
{
	size_t count = 0;

	for (LLVMValueRef f = LLVMGetFirstFunction(module); f != NULL; f = LLVMGetNextFunction(f))
		count += !LLVMIsDeclaration(f);
	all->count = 0;
	all->items = calloc(count != 0 ? count : 1, sizeof(*all->items));
	if (all->items == NULL)
		return false;
	for (LLVMValueRef f = LLVMGetFirstFunction(module); f != NULL; f = LLVMGetNextFunction(f))
		if (!LLVMIsDeclaration(f))
			all->items[all->count++].function = f;
	qsort(all->items, all->count, sizeof(*all->items), compare);
	return true;
}

/* A call that gives the instance as such, to a function of this module. */
static LLVMValueRef
callee_of(LLVMValueRef user)
{
	LLVMValueRef callee = LLVMIsACallInst(user) != NULL ? LLVMGetCalledValue(user) : NULL;

	return callee != NULL && LLVMIsAFunction(callee) != NULL ? callee : NULL;
}

static bool
needs_instance(const struct candidates *all, LLVMValueRef function)
{
	LLVMValueRef instance = LLVMGetParam(function, 0);

	for (LLVMUseRef use = LLVMGetFirstUse(instance); use != NULL; use = LLVMGetNextUse(use)) {
		LLVMValueRef user = LLVMGetUser(use);
		LLVMValueRef callee = callee_of(user);
		const struct candidate *known = callee != NULL ? find(all, callee) : NULL;

		if (known == NULL || known->needs_instance || LLVMGetOperand(user, 0) != instance)
			return true;
	}
	return false;
}

static void
attribute_drop(LLVMValueRef function, const char *name)
{
	unsigned int kind = LLVMGetEnumAttributeKindForName(name, strlen(name));

	LLVMRemoveEnumAttributeAtIndex(function, 1, kind);
}

/* Whoever calls it may give anything. */
static void
instance_drop(const struct emit *e, LLVMValueRef function)
{
	attribute_drop(function, "dereferenceable");
	attribute_drop(function, "nonnull");
	attribute_drop(function, "noundef");
	for (LLVMUseRef use = LLVMGetFirstUse(function); use != NULL; use = LLVMGetNextUse(use)) {
		LLVMValueRef user = LLVMGetUser(use);

		if (callee_of(user) == function)
			LLVMSetOperand(user, 0, LLVMGetPoison(e->t.ptr));
	}
}

void
unused_instances_drop(const struct emit *e)
{
	struct candidates all;
	bool has_changed = true;

	if (!candidates_make(&all, e->llvm))
		return; /* instances that nobody needs do no harm */
	while (has_changed) {
		has_changed = false;
		for (size_t i = 0; i < all.count; i++) {
			struct candidate *c = &all.items[i];

			if (!c->needs_instance && needs_instance(&all, c->function))
				c->needs_instance = has_changed = true;
		}
	}
	for (size_t i = 0; i < all.count; i++)
		if (!all.items[i].needs_instance)
			instance_drop(e, all.items[i].function);
	free(all.items);
}
