/*
 * wasmedge_tensorflow.c - runs modules that use TensorFlow, TensorFlow Lite and images.
 */
#include "client/tools/tensorflow.h"

int
main(int argc, char **argv)
{
	return tensorflow_main("wasmedge-tensorflow",
	                       "Run WebAssembly modules that use TensorFlow.", NULL, 0, argc, argv);
}
