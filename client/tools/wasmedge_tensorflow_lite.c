/*
 * wasmedge_tensorflow_lite.c - runs modules that use TensorFlow Lite and images. Those that import
 * from TensorFlow too run, and what they import does nothing.
 */
#include "client/tools/tensorflow.h"

int
main(int argc, char **argv)
{
	static const char *const dummies[] = { "wasmedge_tensorflow" };

	return tensorflow_main("wasmedge-tensorflow-lite",
	                       "Run WebAssembly modules that use TensorFlow Lite.", dummies, 1,
	                       argc, argv);
}
