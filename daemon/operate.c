#include "daemon/operate.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include "daemon/api.h"
#include "daemon/clock.h"
#include "daemon/errmap.h"
#include "daemon/metrics.h"
#include "daemon/plugins.h"

struct operations {
	struct daemon *daemon;
	struct operate *first; /* active */
};

/* --- the registry ------------------------------------------------------------------------- */

struct operations *
operations_new(struct daemon *daemon)
{
	struct operations *operations = calloc(1, sizeof *operations);

	if (operations != NULL)
		operations->daemon = daemon;
	return operations;
}

void
operations_free(struct operations *operations)
{
	free(operations);
}

static void
link_in(struct operations *operations, struct operate *operate)
{
	operate->prev = NULL;
	operate->next = operations->first;
	if (operate->next != NULL)
		operate->next->prev = operate;
	operations->first = operate;
}

static void
unlink_from(struct operations *operations, struct operate *operate)
{
	if (operate->prev != NULL)
		operate->prev->next = operate->next;
	else
		operations->first = operate->next;
	if (operate->next != NULL)
		operate->next->prev = operate->prev;
}

static void
cancel(struct operate *operate)
{
	(void)!write(operate->stop_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
}

void
operations_cancel_all(struct operations *operations)
{
	for (struct operate *operate = operations->first; operate != NULL; operate = operate->next)
		cancel(operate);
}

/* --- from start to end -------------------------------------------------------------------- */

static void
destroy(struct operate *operate)
{
	if (operate->stop_fd >= 0)
		close(operate->stop_fd);
	auth_principal_unref(operate->principal);
	reply_clear(&operate->reply);
	operate->free(operate);
}

static void
finish(struct letter *letter)
{
	struct operate *operate = (struct operate *)letter;
	struct request *r = operate->request;

	unlink_from(operate->daemon->operations, operate);
	r->state = NULL;
	r->on_gone = NULL;
	request_reply(r, &operate->reply);
	destroy(operate);
}

static void
on_gone(struct request *r)
{
	if (r->state != NULL)
		cancel(r->state);
}

/* On an operator. */
static void
run_job(struct job *job)
{
	struct operate *operate = (struct operate *)((char *)job - offsetof(struct operate, job));

	operate->run(operate);
	mailbox_post(&operate->daemon->mailbox, &operate->letter, finish);
}

static uint64_t
time_of(const struct operate *operate)
{
	uint64_t configured_ms = operate->daemon->config->limits_time;
	uint64_t granted_ms = auth_principal_limits(operate->principal)->time_ms;

	return granted_ms != 0 && granted_ms < configured_ms ? granted_ms : configured_ms;
}

void
operate_start(struct operate *operate, struct request *request)
{
	struct daemon *daemon = api_daemon(request);

	reply_init(&operate->reply, 0);
	operate->daemon = daemon;
	operate->request = request;
	operate->principal = auth_principal_ref(request->principal);
	operate->time_ms = time_of(operate);
	operate->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	request->state = operate;
	request->on_gone = on_gone;
	if (operate->stop_fd >= 0 && !request->is_gone) {
		link_in(daemon->operations, operate);
		if (jobpool_submit(daemon->operators, &operate->job, run_job))
			return;
		unlink_from(daemon->operations, operate);
		api_fail_full(request, daemon->operators,
		              "%zu operations of plug-ins wait already, the most that "
		              "limits.queue_length allows",
		              jobpool_waiting(daemon->operators));
	} else {
		request_fail(request, RPC_OUT_OF_MEMORY, "no descriptor for the operation");
	}
	request->state = NULL;
	request->on_gone = NULL;
	destroy(operate);
}

/* --- asking ------------------------------------------------------------------------------- */

static unsigned
number_of(const struct plugins *plugins, const char *name)
{
	size_t count;
	const char *const *names = plugins_names(plugins, &count);
	unsigned number = 0;

	while (number < count && strcmp(names[number], name) != 0)
		number++;
	return number;
}

static enum vm_status
ask_here(struct plugins *plugins, const char *plugin, const char *operation,
         const struct vm_plugin_request *request, struct vm_plugin_reply *reply,
         struct vm_error *err)
{
	unsigned number = number_of(plugins, plugin);
	uint64_t began_us = clock_monotonic_us();

	enum vm_status status =
	    vm_plugins_operate_here(plugins_set(plugins), plugin, operation, request, reply, err);
	metric_add(METRIC_PLUGIN_OPERATIONS, number,
	           status == VM_OK ? METRIC_operation_DONE : METRIC_operation_REFUSED, 1);
	metric_observe_us(METRIC_PLUGIN_TIME, number, 0, clock_monotonic_us() - began_us);
	return status;
}

bool
operate_ask(struct operate *operate, const char *plugin,
            const struct vm_plugin_operation *operation, const struct vm_plugin_request *request,
            struct vm_plugin_reply *reply, struct rpc_problem *problem)
{
	struct plugins *plugins = operate->daemon->plugins;
	struct vm_plugin_request ours = *request;
	enum sandbox_end end = SANDBOX_DONE;
	struct vm_error err = { .message = "" };
	enum vm_status status;

	ours.tenant = auth_principal_tenant(operate->principal);
	if (operation->flags & VM_PLUGIN_SANDBOX) {
		const struct sandbox_ask ask = { .plugin = plugin,
			                         .operation = operation->name,
			                         .request = &ours,
			                         .stop_fd = operate->stop_fd,
			                         .time_ms = operate->time_ms };
		status = sandbox_operate(plugins_sandbox(plugins), &ask, reply, &end, &err);
	} else {
		status = ask_here(plugins, plugin, operation->name, &ours, reply, &err);
	}
	if (status == VM_OK)
		return true;
	(void)errmap_operation(status, end, &err, problem);
	return false;
}
