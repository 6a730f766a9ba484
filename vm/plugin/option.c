/*
 * option.c - options of plug-ins from their text form.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vm/plugin/set.h"

enum vm_status
plugin_refuse(struct vm_error *err, const struct vm_plugins_setting *setting, const char *format,
              ...)
{
	bool has_origin = setting != NULL && setting->origin != NULL;
	char text[VM_ERROR_MESSAGE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return vm_error_set(err, VM_E_ARGUMENT, VM_NO_OFFSET, "%s%s%s",
	                    has_origin ? setting->origin : "", has_origin ? ": " : "", text);
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n';
}

static bool
parse_bool(const char *text, uint64_t *out)
{
	static const struct {
		const char *text;
		uint64_t value;
	} words[] = { { "true", 1 },  { "yes", 1 }, { "on", 1 },  { "1", 1 },
		      { "false", 0 }, { "no", 0 },  { "off", 0 }, { "0", 0 } };

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strcmp(text, words[i].text) == 0) {
			*out = words[i].value;
			return true;
		}
	}
	return false;
}

/* Decimal digits; *end is what follows. */
static bool
parse_digits(const char *text, uint64_t *out, const char **end)
{
	uint64_t value = 0;

	if (*text < '0' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9'; text++) {
		uint64_t digit = (uint64_t)(*text - '0');
		if (value > (UINT64_MAX - digit) / 10)
			return false;
		value = value * 10 + digit;
	}
	*out = value;
	*end = text;
	return true;
}

static bool
parse_size(const char *text, uint64_t *out)
{
	static const struct {
		const char *unit;
		unsigned shift;
	} units[] = { { "", 0 }, { "B", 0 }, { "KiB", 10 }, { "MiB", 20 }, { "GiB", 30 } };
	const char *unit;
	uint64_t number;

	if (!parse_digits(text, &number, &unit))
		return false;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (strcmp(unit, units[i].unit) != 0)
			continue;
		if (number > UINT64_MAX >> units[i].shift)
			return false;
		*out = number << units[i].shift;
		return true;
	}
	return false;
}

/* What a text of the type looks like, for messages. */
static const char *
form_of(enum vm_plugin_option_type type)
{
	switch (type) {
	case VM_PLUGIN_BOOL:
		return "true or false";
	case VM_PLUGIN_UINT:
		return "a decimal number";
	case VM_PLUGIN_SIZE:
		return "a number of bytes such as 512, 64KiB or 1GiB";
	case VM_PLUGIN_TEXT:
	case VM_PLUGIN_LIST:
		break;
	}
	return "text";
}

static bool
parse(enum vm_plugin_option_type type, const char *text, uint64_t *out)
{
	const char *end;

	switch (type) {
	case VM_PLUGIN_BOOL:
		return parse_bool(text, out);
	case VM_PLUGIN_UINT:
		return parse_digits(text, out, &end) && *end == '\0';
	case VM_PLUGIN_SIZE:
		return parse_size(text, out);
	case VM_PLUGIN_TEXT:
	case VM_PLUGIN_LIST:
		break;
	}
	*out = 0;
	return true;
}

/* Append the words of text, each ended by NUL. */
static bool
add_words(char **list, size_t *len, uint64_t *count, const char *text)
{
	char *grown = realloc(*list, *len + strlen(text) + 2);

	if (grown == NULL)
		return false;
	*list = grown;
	while (*text != '\0') {
		if (is_blank(*text)) {
			text++;
			continue;
		}
		for (; *text != '\0' && !is_blank(*text); text++)
			grown[(*len)++] = *text;
		grown[(*len)++] = '\0';
		++*count;
	}
	grown[*len] = '\0';
	return true;
}

static enum vm_status
out_of_memory(struct vm_error *err)
{
	return vm_error_set(err, VM_E_NOMEM, VM_NO_OFFSET, "out of memory");
}

static bool
names_option(const struct vm_plugins_setting *setting, const struct vm_plugin *plugin,
             const struct vm_plugin_option *option)
{
	return strcmp(setting->plugin, plugin->name) == 0 &&
	       strcmp(setting->option, option->name) == 0;
}

static enum vm_status
list_new(const struct vm_plugin *plugin, const struct vm_plugin_option *option,
         const struct vm_plugins_setting *settings, size_t setting_count,
         struct vm_plugin_value *out, struct vm_error *err)
{
	char *list = NULL;
	size_t len = 0;
	bool is_set = false;

	for (size_t i = 0; i < setting_count; i++) {
		if (!names_option(&settings[i], plugin, option))
			continue;
		is_set = true;
		if (!add_words(&list, &len, &out->number, settings[i].value))
			goto no_memory;
	}
	if (!is_set && !add_words(&list, &len, &out->number, option->standard))
		goto no_memory;
	out->text = list;
	return VM_OK;
no_memory:
	free(list);
	return out_of_memory(err);
}

static enum vm_status
value_new(const struct vm_plugin *plugin, const struct vm_plugin_option *option,
          const struct vm_plugins_setting *settings, size_t setting_count,
          struct vm_plugin_value *out, struct vm_error *err)
{
	const struct vm_plugins_setting *last = NULL;
	const char *text = option->standard;

	if (option->type == VM_PLUGIN_LIST)
		return list_new(plugin, option, settings, setting_count, out, err);
	for (size_t i = 0; i < setting_count; i++) {
		if (names_option(&settings[i], plugin, option)) {
			last = &settings[i];
			text = last->value;
		}
	}
	if (!parse(option->type, text, &out->number))
		return plugin_refuse(err, last,
		                     "option %s of plug-in %s has to be %s, not \"%.80s\"",
		                     option->name, plugin->name, form_of(option->type), text);
	out->text = strdup(text);
	return out->text != NULL ? VM_OK : out_of_memory(err);
}

static bool
has_option(const struct vm_plugin *plugin, const char *name)
{
	for (uint32_t i = 0; i < plugin->option_count; i++) {
		if (strcmp(plugin->options[i].name, name) == 0)
			return true;
	}
	return false;
}

enum vm_status
plugin_values_new(const struct vm_plugin *plugin, const struct vm_plugins_setting *settings,
                  size_t setting_count, struct vm_plugin_value **out, struct vm_error *err)
{
	struct vm_plugin_value *values = calloc(plugin->option_count + 1, sizeof *values);
	enum vm_status st = VM_OK;

	if (values == NULL)
		return out_of_memory(err);
	for (size_t i = 0; i < setting_count && st == VM_OK; i++) {
		if (strcmp(settings[i].plugin, plugin->name) == 0 &&
		    !has_option(plugin, settings[i].option))
			st = plugin_refuse(err, &settings[i], "plug-in %s has no option %.80s",
			                   plugin->name, settings[i].option);
	}
	for (uint32_t i = 0; i < plugin->option_count && st == VM_OK; i++)
		st = value_new(plugin, &plugin->options[i], settings, setting_count, &values[i],
		               err);
	if (st == VM_OK) {
		*out = values;
		values = NULL;
	}
	plugin_values_free(plugin, values);
	return st;
}

void
plugin_values_free(const struct vm_plugin *plugin, struct vm_plugin_value *values)
{
	if (values == NULL)
		return;
	for (uint32_t i = 0; i < plugin->option_count; i++)
		free((char *)(uintptr_t)values[i].text);
	free(values);
}
