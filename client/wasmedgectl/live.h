/*
 * live.h - runs whose output is shown while it comes, by the events of the run.
 */
#pragma once

#include "client/wasmedgectl/ctl.h"

/*
 * POST a run (a request without accept and sink) and show what its guest writes as it does; then
 * the end of it as answer_show would. folder takes collected files, NULL when there are none.
 * Returns the exit code.
 */
int live_run(struct ctl *ctl, const struct http_request *request, const char *folder);
