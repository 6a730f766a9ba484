#include "plugins/tensorflow/refused.h"

#include <string.h>
#include "plugins/common/proto.h"

/*
 * By what their names contain, so that variants and later versions are covered. More than reaches
 * the host is refused (a summary that writes nothing, say): graphs made for inference have none of
 * them.
 */
static const char *const words[] = {
	/* files */
	"File", "Checkpoint", "Restore", "Save", "ImmutableConst", "Snapshot", "CacheDataset",
	"LoadDataset", "RecordDataset", "TextLineDataset", "CSVDataset", "SqlDataset", "LMDB",
	"DatasetToTFRecord", "Reader", "LoadAndRemapMatrix", "GenerateVocabRemapping", "SummaryDb",
	"SummaryWriter", "PrintV2", "Debug", "DecodeProto", "EncodeProto", "Directory", "Database",
	/* the network, other processes */
	"Rpc", "DataService", "BigQuery", "Cloud", "Gcs", "Remote", "Collective", "Distributed",
	"_Send", "_Recv", "TPU", "_HostSend", "_HostRecv", "SendTo", "RecvFrom",
	/* code of the host */
	"PyFunc", "PythonDataset", "CompiledKernel", "LoadLibrary", "XlaHostCompute",
};

static bool
contains(struct vm_str text, const char *word)
{
	return memmem(text.data, text.len, word, strlen(word)) != NULL;
}

bool
tf_operation_reaches_host(struct vm_str type)
{
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (contains(type, words[i]))
			return true;
	}
	return false;
}

/* What to look at in a message: at most so deep as the table below. */
enum kind { GRAPH, NODE, LIBRARY, FUNCTION, KIND_COUNT };

/* The members that lead to NodeDef.op, by field number. */
static const struct path {
	enum kind within;
	uint32_t number;
	enum kind what;
} paths[] = {
	{ GRAPH, 1, NODE },      /* GraphDef.node */
	{ GRAPH, 2, LIBRARY },   /* GraphDef.library */
	{ LIBRARY, 1, FUNCTION }, /* FunctionDefLibrary.function */
	{ FUNCTION, 3, NODE },   /* FunctionDef.node_def */
};

static enum tf_graph_verdict
look(enum kind kind, struct vm_str message, struct vm_str *out_type)
{
	struct nn_field field;

	while (nn_proto_next(&message, &field)) {
		if (kind == NODE && field.number == 2 && field.is_bytes && /* NodeDef.op */
		    tf_operation_reaches_host(field.bytes)) {
			*out_type = field.bytes;
			return TF_GRAPH_REACHES_HOST;
		}
		for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
			if (paths[i].within != kind || paths[i].number != field.number ||
			    !field.is_bytes)
				continue;
			enum tf_graph_verdict verdict = look(paths[i].what, field.bytes, out_type);
			if (verdict != TF_GRAPH_GOOD)
				return verdict;
		}
	}
	return message.len == 0 ? TF_GRAPH_GOOD : TF_GRAPH_MALFORMED;
}

enum tf_graph_verdict
tf_graph_look(struct vm_str graph, struct vm_str *out_type)
{
	return look(GRAPH, graph, out_type);
}
