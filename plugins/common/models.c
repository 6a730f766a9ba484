#include "plugins/common/models.h"

#include <stdlib.h>
#include <string.h>
#include "plugins/common/digest.h"

/* What is charged for a model whatever its size: sessions have much besides. */
#define ENTRY_BYTES (64u << 10)
#define THREADS_MAX 64u

struct nn_entry {
	struct nn_entry *next;
	struct nn_model *model;
	uint32_t users; /* and one more while it is in the list */
	uint64_t memory;
	size_t tenant_len;
	char *key; /* the tenant, then the key with its NUL */
};

static enum vm_status
no_memory(const struct vm_plugin_host *host, struct vm_error *err)
{
	return vm_plugin_fail(host, err, VM_E_NOMEM, "out of memory");
}

enum vm_status
nn_models_init(struct nn_models *models, const struct vm_plugin_host *host,
               const struct nn_backend *backend, const struct nn_library *library,
               const struct vm_plugin_value *values, struct vm_error *err)
{
	uint64_t threads = values[NN_OPTION_THREADS].number;

	if (threads < 1 || threads > THREADS_MAX)
		return vm_plugin_fail(host, err, VM_E_ARGUMENT, "threads has to be 1 to %u",
		                      THREADS_MAX);
	*models = (struct nn_models){ .host = host, .backend = backend, .library = *library };
	enum vm_status st =
	    nn_library_init(&models->library, host, values[NN_OPTION_LIBRARY].text, err);
	if (st != VM_OK)
		return st;
	models->memory_max = values[NN_OPTION_MEMORY_MAX].number;
	models->threads = (int)threads;
	pthread_mutex_init(&models->lock, NULL);
	return VM_OK;
}

enum vm_status
nn_models_check(void *plugin, struct vm_error *err)
{
	struct nn_models *models = plugin;

	return nn_library_open(&models->library, models->host, err);
}

/* --- entries: all with the lock held ---------------------------------------------------------- */

static void
entry_free(struct nn_models *models, struct nn_entry *entry)
{
	if (entry->model != NULL)
		models->backend->free(entry->model);
	free(entry->key);
	free(entry);
}

/* Freed entries are chained, to be freed without the lock: that may take a while. */
static void
entry_unref(struct nn_entry *entry, struct nn_entry **freed)
{
	if (--entry->users == 0) {
		entry->next = *freed;
		*freed = entry;
	}
}

static void
free_all(struct nn_models *models, struct nn_entry *freed)
{
	while (freed != NULL) {
		struct nn_entry *next = freed->next;
		entry_free(models, freed);
		freed = next;
	}
}

static bool
is_of(const struct nn_entry *entry, struct vm_str tenant, const char *key)
{
	return entry->tenant_len == tenant.len &&
	       (tenant.len == 0 || memcmp(entry->key, tenant.data, tenant.len) == 0) &&
	       strcmp(entry->key + tenant.len, key) == 0;
}

static void
entry_remove(struct nn_models *models, struct nn_entry **link, struct nn_entry **freed)
{
	struct nn_entry *entry = *link;

	*link = entry->next;
	models->memory -= entry->memory;
	entry_unref(entry, freed);
}

static struct nn_entry **
entry_find(struct nn_models *models, struct vm_str tenant, const char *key)
{
	struct nn_entry **link = &models->entries;

	while (*link != NULL && !is_of(*link, tenant, key))
		link = &(*link)->next;
	return link;
}

static void
entry_first(struct nn_models *models, struct nn_entry **link)
{
	struct nn_entry *entry = *link;

	*link = entry->next;
	entry->next = models->entries;
	models->entries = entry;
}

/* Let the least recently used leave until there is room; the first one stays. */
static void
make_room(struct nn_models *models, struct nn_entry **freed)
{
	while (models->memory > models->memory_max && models->entries->next != NULL) {
		struct nn_entry **link = &models->entries;
		while ((*link)->next != NULL)
			link = &(*link)->next;
		entry_remove(models, link, freed);
	}
}

/* --- entries, from outside -------------------------------------------------------------------- */

/* The entry, with a user more; NULL when it is not loaded. */
static struct nn_entry *
take(struct nn_models *models, struct vm_str tenant, const char *key)
{
	pthread_mutex_lock(&models->lock);
	struct nn_entry **link = entry_find(models, tenant, key);
	struct nn_entry *entry = *link;
	if (entry != NULL) {
		entry_first(models, link);
		entry->users++;
	}
	pthread_mutex_unlock(&models->lock);
	return entry;
}

static void
give(struct nn_models *models, struct nn_entry *entry)
{
	struct nn_entry *freed = NULL;

	pthread_mutex_lock(&models->lock);
	entry_unref(entry, &freed);
	pthread_mutex_unlock(&models->lock);
	free_all(models, freed);
}

/* Enter it, with one user. What was there under the key meanwhile leaves. */
static void
enter(struct nn_models *models, struct vm_str tenant, const char *key, struct nn_entry *entry)
{
	struct nn_entry *freed = NULL;

	entry->users = 2;
	pthread_mutex_lock(&models->lock);
	struct nn_entry **link = entry_find(models, tenant, key);
	if (*link != NULL)
		entry_remove(models, link, &freed);
	entry->next = models->entries;
	models->entries = entry;
	models->memory += entry->memory;
	make_room(models, &freed);
	pthread_mutex_unlock(&models->lock);
	free_all(models, freed);
}

void
nn_models_clear(struct nn_models *models)
{
	struct nn_entry *freed = NULL;

	while (models->entries != NULL)
		entry_remove(models, &models->entries, &freed);
	free_all(models, freed);
	pthread_mutex_destroy(&models->lock);
	nn_library_clear(&models->library);
}

/* --- load ----------------------------------------------------------------------------------- */

static enum vm_status
describe_model(const struct vm_plugin_host *host, const struct nn_model *model,
               struct vm_plugin_reply *reply, struct vm_error *err)
{
	json_t *json = json_object();

	if (json_object_set_new(json, "inputs", nn_list_json(&model->inputs)) != 0 ||
	    json_object_set_new(json, "outputs", nn_list_json(&model->outputs)) != 0 ||
	    json_object_set_new(json, "size_bytes", json_integer((json_int_t)model->size_bytes)) !=
	        0) {
		json_decref(json);
		return no_memory(host, err);
	}
	return nn_reply_set(host, reply, json) ? VM_OK : no_memory(host, err);
}

/* Names travel as JSON, which is UTF-8, and say what is meant. */
static bool
names_are_good(const struct nn_list *list)
{
	for (uint32_t i = 0; i < list->count; i++) {
		const char *name = list->items[i].name;
		json_t *text = json_string(name);
		if (text == NULL || strlen(name) > NN_NAME_MAX ||
		    nn_list_find(list, name) != (int32_t)i) {
			json_decref(text);
			return false;
		}
		json_decref(text);
	}
	return true;
}

static const char *
find_format(const struct nn_backend *backend, const char *format)
{
	if (format == NULL)
		return backend->formats[0];
	for (const char *const *known = backend->formats; *known != NULL; known++) {
		if (strcmp(*known, format) == 0)
			return *known;
	}
	return NULL;
}

static enum vm_status
check_source(const struct nn_models *models, const struct nn_request *request,
             const struct vm_plugin_request *asked, struct nn_source *out, struct vm_error *err)
{
	static const char algorithm[] = "sha256:";
	char digest[NN_DIGEST_TEXT_MAX];
	uint32_t buffers = request->path != NULL ? 0 : 1;

	out->format = find_format(models->backend, request->format);
	if (out->format == NULL)
		return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
		                      "%s has no models of the format \"%.40s\"",
		                      models->backend->title,
		                      request->format);
	if (asked->buffer_count != buffers)
		return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
		                      "load takes %u buffers %s a \"path\", got %u", buffers,
		                      buffers == 0 ? "with" : "without", asked->buffer_count);
	out->path = request->path;
	out->tags = request->tags;
	out->tag_count = request->tag_count;
	out->bytes = buffers == 1 ? asked->buffers[0] : VM_STR("");
	if (buffers == 1 && strncmp(request->model, algorithm, sizeof algorithm - 1) == 0) {
		nn_digest_text(out->bytes, digest);
		if (strcmp(digest, request->model) != 0)
			return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
			                      "the bytes have the digest %s, not %.80s", digest,
			                      request->model);
	}
	return VM_OK;
}

static enum vm_status
load_entry(struct nn_models *models, const struct nn_source *source, struct nn_entry *entry,
           struct vm_error *err)
{
	enum vm_status st = nn_library_open(&models->library, models->host, err);

	if (st == VM_OK)
		st = models->backend->load(models, source, &entry->model, err);
	if (st != VM_OK)
		return st;
	if (!names_are_good(&entry->model->inputs) || !names_are_good(&entry->model->outputs))
		return vm_plugin_fail(models->host, err, VM_E_DATA,
		                      "names of the model's inputs or outputs are not UTF-8, too "
		                      "long, or "
		                      "there twice");
	entry->memory = entry->model->size_bytes + ENTRY_BYTES;
	if (entry->memory > models->memory_max)
		return vm_plugin_fail(models->host, err, VM_E_LIMIT,
		                      "the model takes %llu bytes, memory_max is %llu",
		                      (unsigned long long)entry->memory,
		                      (unsigned long long)models->memory_max);
	return VM_OK;
}

static struct nn_entry *
entry_new(struct vm_str tenant, const char *key)
{
	struct nn_entry *entry = calloc(1, sizeof *entry);

	if (entry == NULL)
		return NULL;
	entry->key = malloc(tenant.len + strlen(key) + 1);
	if (entry->key == NULL) {
		free(entry);
		return NULL;
	}
	if (tenant.len > 0)
		memcpy(entry->key, tenant.data, tenant.len);
	strcpy(entry->key + tenant.len, key);
	entry->tenant_len = tenant.len;
	return entry;
}

static enum vm_status
load(struct nn_models *models, const struct nn_request *request,
     const struct vm_plugin_request *asked, struct vm_plugin_reply *reply, struct vm_error *err)
{
	struct nn_entry *entry = take(models, asked->tenant, request->model);
	struct nn_source source;
	enum vm_status st;

	if (entry == NULL) {
		st = check_source(models, request, asked, &source, err);
		if (st != VM_OK)
			return st;
		entry = entry_new(asked->tenant, request->model);
		if (entry == NULL)
			return no_memory(models->host, err);
		st = load_entry(models, &source, entry, err);
		if (st != VM_OK) {
			entry_free(models, entry);
			return st;
		}
		enter(models, asked->tenant, request->model, entry);
	}
	st = describe_model(models->host, entry->model, reply, err);
	give(models, entry);
	return st;
}

/* --- infer ---------------------------------------------------------------------------------- */

/* What the model says about a tensor of that name, in *out without the name. */
static bool
lookup(const struct nn_models *models, struct nn_model *model, const struct nn_list *list,
       const char *name, struct nn_tensor *out)
{
	int32_t index = nn_list_find(list, name);

	if (index >= 0) {
		*out = list->items[index];
		return true;
	}
	return models->backend->describe != NULL && models->backend->describe(model, name, out);
}

static enum vm_status
check_input(const struct nn_models *models, struct nn_model *model, const struct nn_tensor *input,
            struct vm_str data, struct vm_error *err)
{
	char given[NN_SHAPE_TEXT_MAX];
	char wanted[NN_SHAPE_TEXT_MAX];
	struct nn_tensor known;

	if (!lookup(models, model, &model->inputs, input->name, &known))
		return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
		                      "the model has no input %.120s", input->name);
	nn_shape_text(&input->shape, given, sizeof given);
	if (input->type != known.type)
		return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
		                      "input %.80s is %s, expected %s", input->name,
		                      nn_datatype_word(input->type), nn_datatype_word(known.type));
	if (!nn_shape_fits(&input->shape, &known.shape))
		return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
		                      "input %.80s has the shape %.80s, expected %.80s",
		                      input->name,
		                      given, nn_shape_text(&known.shape, wanted, sizeof wanted));
	if (!nn_tensor_holds(input, data.data, data.len))
		return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
		                      "input %.80s has %zu bytes, which is not what %s of shape "
		                      "%.80s has",
		                      input->name, data.len, nn_datatype_word(input->type), given);
	return VM_OK;
}

static enum vm_status
check_inputs(const struct nn_models *models, struct nn_model *model,
             const struct nn_request *request, const struct vm_plugin_request *asked,
             struct vm_error *err)
{
	const struct nn_list *inputs = &request->inputs;

	if (asked->buffer_count != inputs->count)
		return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
		                      "\"inputs\" has %u entries, but there are %u buffers",
		                      inputs->count,
		                      asked->buffer_count);
	for (uint32_t i = 0; i < inputs->count; i++) {
		if (nn_list_find(inputs, inputs->items[i].name) != (int32_t)i)
			return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
			                      "input %.80s is given twice", inputs->items[i].name);
		enum vm_status st = check_input(models, model, &inputs->items[i], asked->buffers[i],
		                                err);
		if (st != VM_OK)
			return st;
	}
	for (uint32_t i = 0; models->backend->inputs_are_all_needed &&
	     i < model->inputs.count; i++) {
		if (nn_list_find(inputs, model->inputs.items[i].name) < 0)
			return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
			                      "input %.80s is missing",
			                      model->inputs.items[i].name);
	}
	return VM_OK;
}

/* The outputs that were asked for; all of the description when none were named. */
static enum vm_status
check_outputs(const struct nn_models *models, struct nn_model *model, struct nn_list *outputs,
              struct vm_error *err)
{
	bool is_all = outputs->count == 0;
	struct nn_tensor known;

	for (uint32_t i = 0; is_all && i < model->outputs.count; i++) {
		const struct nn_tensor *output = &model->outputs.items[i];
		if (!nn_list_add(outputs, output->name, output->type, &output->shape))
			return no_memory(models->host, err);
	}
	for (uint32_t i = 0; i < outputs->count; i++) {
		if (!lookup(models, model, &model->outputs, outputs->items[i].name, &known))
			return vm_plugin_fail(models->host, err, VM_E_ARGUMENT,
			                      "the model has no output %.120s",
			                      outputs->items[i].name);
	}
	return VM_OK;
}

static enum vm_status
infer(struct nn_models *models, struct nn_model *model, struct nn_request *request,
      const struct vm_plugin_request *asked, struct vm_plugin_reply *reply, struct vm_error *err)
{
	const struct nn_inference inference = { &request->inputs, asked->buffers,
		                                &request->outputs };
	enum vm_status st = check_inputs(models, model, request, asked, err);

	if (st == VM_OK)
		st = check_outputs(models, model, &request->outputs, err);
	if (st == VM_OK)
		st = models->backend->infer(models, model, &inference, reply, err);
	if (st != VM_OK)
		return st;
	json_t *json = json_object();
	if (json_object_set_new(json, "outputs", nn_list_json(&request->outputs)) != 0) {
		json_decref(json);
		return no_memory(models->host, err);
	}
	return nn_reply_set(models->host, reply, json) ? VM_OK : no_memory(models->host, err);
}

/* --- describe ------------------------------------------------------------------------------- */

static enum vm_status
describe(struct nn_models *models, struct nn_model *model, struct nn_request *request,
         const struct vm_plugin_request *asked, struct vm_plugin_reply *reply,
         struct vm_error *err)
{
	json_t *array = json_array();
	json_t *json = json_object();

	(void)asked;
	for (uint32_t i = 0; i < request->outputs.count; i++) {
		struct nn_tensor known;
		char *name = request->outputs.items[i].name;
		bool is_there = lookup(models, model, &model->inputs, name, &known) ||
		                lookup(models, model, &model->outputs, name, &known);
		known.name = name;
		if (json_array_append_new(array, is_there ? nn_tensor_json(&known) : json_null()) !=
		    0) {
			json_decref(array);
			array = NULL;
		}
	}
	if (json_object_set_new(json, "tensors", array) != 0) {
		json_decref(json);
		return no_memory(models->host, err);
	}
	return nn_reply_set(models->host, reply, json) ? VM_OK : no_memory(models->host, err);
}

/* --- operations ----------------------------------------------------------------------------- */

static enum vm_status
operate(const struct vm_plugin_host *host, void *plugin, enum nn_verb verb,
        const struct vm_plugin_request *asked, struct vm_plugin_reply *reply,
        struct vm_error *err)
{
	struct nn_models *models = plugin;
	struct nn_request request;
	struct nn_entry *entry = NULL;
	enum vm_status st = nn_request_read(host, verb, asked->json, &request, err);

	if (st == VM_OK && verb != NN_LOAD) {
		entry = take(models, asked->tenant, request.model);
		if (entry == NULL)
			st = vm_plugin_fail(host, err, VM_E_NOT_FOUND, "model %.80s is not loaded",
			                    request.model);
	}
	if (st == VM_OK) {
		switch (verb) {
		case NN_LOAD:
			st = load(models, &request, asked, reply, err);
			break;
		case NN_INFER:
			st = infer(models, entry->model, &request, asked, reply, err);
			break;
		case NN_DESCRIBE:
			st = describe(models, entry->model, &request, asked, reply, err);
			break;
		case NN_UNLOAD:
			st = nn_reply_set(host, reply, json_object()) ? VM_OK
			                                              : no_memory(host, err);
			break;
		}
	}
	if (entry != NULL && verb == NN_UNLOAD) {
		struct nn_entry *freed = NULL;
		pthread_mutex_lock(&models->lock);
		struct nn_entry **link = entry_find(models, asked->tenant, request.model);
		if (*link != NULL)
			entry_remove(models, link, &freed);
		pthread_mutex_unlock(&models->lock);
		free_all(models, freed);
	}
	if (entry != NULL)
		give(models, entry);
	nn_request_clear(&request);
	return st;
}

#define OPERATION(name, verb)                                                                  \
	static enum vm_status operation_##name(                                                \
	    const struct vm_plugin_host *host, void *plugin,                                   \
	    const struct vm_plugin_request *request, struct vm_plugin_reply *reply,            \
	    struct vm_error *err)                                                              \
	{                                                                                      \
		return operate(host, plugin, verb, request, reply, err);                       \
	}
OPERATION(load, NN_LOAD)
OPERATION(infer, NN_INFER)
OPERATION(describe, NN_DESCRIBE)
OPERATION(unload, NN_UNLOAD)
#undef OPERATION

#define MODEL "\"model\":{\"type\":\"string\",\"minLength\":1,\"maxLength\":256}"
#define SHAPE                                                                                  \
	"\"shape\":{\"type\":[\"array\",\"null\"],\"items\":{\"type\":\"integer\"," \
	"\"minimum\":-1}}"
#define TENSORS                                                                                \
	"{\"type\":\"array\",\"maxItems\":64,\"items\":{\"type\":\"object\",\"required\":"     \
	"[\"name\",\"datatype\",\"shape\"],\"additionalProperties\":false,\"properties\":"     \
	"{\"name\":{\"type\":\"string\"},\"datatype\":{\"type\":\"string\"}," SHAPE "}}}"
#define NAMES                                                                                  \
	"{\"type\":\"array\",\"maxItems\":64,\"items\":{\"type\":\"object\",\"required\":"     \
	"[\"name\"],\"additionalProperties\":false,\"properties\":"                            \
	"{\"name\":{\"type\":\"string\"}}}}"
#define OBJECT(required, members)                                                              \
	"{\"type\":\"object\",\"required\":[" required "],\"additionalProperties\":false,"     \
	"\"properties\":{" members "}}"

const struct vm_plugin_operation nn_operations[NN_OPERATION_COUNT] = {
	{ "load", "Load a model under a key, and describe it", VM_PLUGIN_SANDBOX,
	  OBJECT("\"model\"",
	         MODEL ",\"format\":{\"type\":\"string\"},\"path\":{\"type\":\"string\"},"
	                      "\"tags\":{\"type\":\"array\",\"maxItems\":16,\"items\":{\"type\":"
	                      "\"string\"}}"),
	  OBJECT("\"inputs\",\"outputs\",\"size_bytes\"",
	         "\"inputs\":" TENSORS ",\"outputs\":" TENSORS
	         ",\"size_bytes\":{\"type\":\"integer\"}"),
	  NULL, "", operation_load },
	{ "infer", "Run a loaded model", VM_PLUGIN_SANDBOX,
	  OBJECT("\"model\",\"inputs\"",
	         MODEL ",\"inputs\":" TENSORS ",\"outputs\":" NAMES),
	  OBJECT("\"outputs\"", "\"outputs\":" TENSORS), NULL, NULL, operation_infer },
	{ "describe", "Types and shapes of tensors of a loaded model, by name",
	  VM_PLUGIN_SANDBOX | VM_PLUGIN_PRIVATE,
	  OBJECT("\"model\",\"names\"",
	         MODEL ",\"names\":{\"type\":\"array\",\"maxItems\":64,\"items\":{\"type\":"
	               "\"string\"}}"),
	  OBJECT("\"tensors\"", "\"tensors\":{\"type\":\"array\"}"), "", "",
	  operation_describe },
	{ "unload", "Forget a loaded model", VM_PLUGIN_SANDBOX, OBJECT("\"model\"", MODEL),
	  "{\"type\":\"object\"}", "", "", operation_unload },
};
