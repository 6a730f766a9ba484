#include "client/wasmedgectl/list.h"

#include <time.h>

void
list_init(struct list *list, struct ctl *ctl, const struct list_kind *kind)
{
	*list = (struct list){ .ctl = ctl, .now_s = time(NULL), .kind = kind };
	output_table_init(&list->table, kind->columns, kind->column_count);
}

void
list_add(struct list *list, const json_t *item)
{
	FILE *out = list->ctl->out;

	if (list->ctl->format != CTL_PLAIN_NAME) {
		list->kind->add_row(list, item);
		return;
	}
	list->kind->print_name(out, item);
	fputc('\n', out);
}

int
list_print(const struct list *list)
{
	return ctl_table(list->ctl, &list->table);
}

void
list_clear(struct list *list)
{
	output_table_clear(&list->table);
}

static void
add_item(void *context, const json_t *item)
{
	list_add(context, item);
}

int
list_show(struct ctl *ctl, const struct cli_args *args, const struct list_kind *kind,
          const char *path)
{
	struct list list;
	uint64_t limit = 0;
	int code = 0;

	if (cli_has(args, "limit"))
		code = ctl_parse_uint(ctl, "limit", cli_value(args, "limit"), &limit);
	if (code != 0)
		return code;
	list_init(&list, ctl, kind);
	code = ctl_list(ctl, path, limit, add_item, &list);
	if (code == 0)
		code = list_print(&list);
	list_clear(&list);
	return code;
}
