/* stencil.c - heat spreading over a plate: neighbouring loads of floats, two-dimensional. */
#include "kernel.h"

#define SIDE 64

static float plate[2][SIDE][SIDE];

static void
spread(float from[SIDE][SIDE], float to[SIDE][SIDE])
{
	for (int row = 1; row < SIDE - 1; row++)
		for (int column = 1; column < SIDE - 1; column++)
			to[row][column] = from[row][column] * 0.5f +
			                  (from[row - 1][column] + from[row + 1][column] +
			                   from[row][column - 1] + from[row][column + 1]) *
			                      0.125f;
}

uint32_t
run(uint32_t n)
{
	uint32_t sum = 0;

	for (int row = 0; row < SIDE; row++)
		for (int column = 0; column < SIDE; column++)
			plate[0][row][column] = plate[1][row][column] =
			    row == 0 ? 100.0f : (float)(column % 7);
	for (uint32_t i = 0; i < n; i++)
		spread(plate[i % 2], plate[1 - i % 2]);
	for (int row = 0; row < SIDE; row++)
		for (int column = 0; column < SIDE; column++)
			sum = mix(sum, fold(plate[n % 2][row][column]));
	return sum;
}
