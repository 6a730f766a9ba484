/*
 * refused.h - operations of TensorFlow that a stranger's graph must not have.
 *
 * A graph is a program. Most of its operations compute; some reach files, the network or code of
 * the host, and whoever may run a graph here is not thereby allowed that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "vm/common.h"

/* Is the operation of this type one of them? */
bool tf_operation_reaches_host(struct vm_str type);

enum tf_graph_verdict { TF_GRAPH_GOOD, TF_GRAPH_MALFORMED, TF_GRAPH_REACHES_HOST };

/* Look at all nodes of a GraphDef, also of its functions. *out_type is the operation that is
 * refused. */
enum tf_graph_verdict tf_graph_look(struct vm_str graph, struct vm_str *out_type);
