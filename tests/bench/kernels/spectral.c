/* spectral.c - the power method on an implied matrix: double divisions, integer indices. */
#include "kernel.h"

#define SIZE 48

static double u[SIZE], v[SIZE], w[SIZE];

static double
element(int row, int column)
{
	return 1.0 / ((row + column) * (row + column + 1) / 2 + row + 1);
}

static void
multiply(const double *in, double *out, bool transposed)
{
	for (int i = 0; i < SIZE; i++) {
		double sum = 0;

		for (int j = 0; j < SIZE; j++)
			sum += (transposed ? element(j, i) : element(i, j)) * in[j];
		out[i] = sum;
	}
}

uint32_t
run(uint32_t n)
{
	double uv = 0, vv = 0;

	for (int i = 0; i < SIZE; i++)
		u[i] = 1.0;
	for (uint32_t i = 0; i < n; i++) {
		multiply(u, w, false);
		multiply(w, v, true);
		multiply(v, w, false);
		multiply(w, u, true);
		for (int j = 0; j < SIZE; j++)
			u[j] *= 0.4; /* keeps the numbers within range */
	}
	for (int i = 0; i < SIZE; i++) {
		uv += u[i] * v[i];
		vv += v[i] * v[i];
	}
	return fold(uv / vv);
}
