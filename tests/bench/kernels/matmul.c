/* matmul.c - products of dense matrices: double loads, multiplications, additions. */
#include "kernel.h"

#define SIZE 40

static double a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

static void
multiply(void)
{
	for (int i = 0; i < SIZE; i++)
		for (int j = 0; j < SIZE; j++) {
			double sum = 0;

			for (int k = 0; k < SIZE; k++)
				sum += a[i][k] * b[k][j];
			c[i][j] = sum;
		}
}

uint32_t
run(uint32_t n)
{
	uint32_t sum = 0;

	for (int i = 0; i < SIZE; i++)
		for (int j = 0; j < SIZE; j++) {
			a[i][j] = (i * 7 + j * 3) % 11 - 5.0;
			b[i][j] = (i * 5 + j) % 13 * 0.25;
		}
	for (uint32_t round = 0; round < n; round++) {
		multiply();
		sum = mix(sum, fold(c[round % SIZE][7]));
		a[round % SIZE][3] = c[5][round % SIZE] * 0.001;
	}
	return sum;
}
