/* list.c - a linked list in shuffled order, walked and turned round: dependent loads. */
#include "kernel.h"

#define COUNT 4096u

struct node {
	struct node *next;
	uint32_t value;
};

static struct node nodes[COUNT];

static struct node *
make_list(void)
{
	for (uint32_t i = 0; i < COUNT; i++) {
		nodes[i].value = i * 2654435761u;
		/* an odd multiplier modulo a power of two visits every node once */
		nodes[i * 1597u % COUNT].next = &nodes[(i + 1) * 1597u % COUNT];
	}
	nodes[(COUNT - 1) * 1597u % COUNT].next = NULL;
	return &nodes[0];
}

static struct node *
reverse(struct node *list)
{
	struct node *turned = NULL;

	while (list != NULL) {
		struct node *next = list->next;

		list->next = turned;
		turned = list;
		list = next;
	}
	return turned;
}

uint32_t
run(uint32_t n)
{
	struct node *list = make_list();
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++) {
		for (const struct node *p = list; p != NULL; p = p->next)
			sum = sum * 31 + p->value;
		list = reverse(list);
	}
	return sum;
}
