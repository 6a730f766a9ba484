/* mandelbrot.c - points of the Mandelbrot set: a tight loop of double arithmetic. */
#include "kernel.h"

#define SIDE 32
#define STEPS_MAX 64

static uint32_t
steps_at(double re, double im)
{
	double x = 0, y = 0;
	uint32_t steps = 0;

	while (steps < STEPS_MAX && x * x + y * y <= 4.0) {
		double next = x * x - y * y + re;

		y = 2 * x * y + im;
		x = next;
		steps++;
	}
	return steps;
}

uint32_t
run(uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		for (int row = 0; row < SIDE; row++)
			for (int column = 0; column < SIDE; column++)
				sum = mix(sum, steps_at(column * 3.0 / SIDE - 2.0 + 1e-6 * i,
				                        row * 2.0 / SIDE - 1.0));
	return sum;
}
