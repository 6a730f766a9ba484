/* nbody.c - five bodies that attract each other: double arithmetic with square roots. */
#include "kernel.h"

#define BODIES 5

struct body {
	double position[3];
	double velocity[3];
	double mass;
};

static struct body bodies[BODIES];

static void
place_bodies(void)
{
	for (int i = 0; i < BODIES; i++) {
		bodies[i].mass = i == 0 ? 40.0 : 0.01 * i;
		for (int axis = 0; axis < 3; axis++) {
			bodies[i].position[axis] = i * (3.0 + axis) - axis * 0.5;
			bodies[i].velocity[axis] = i == 0 ? 0.0 : 0.7 - 0.2 * axis * i;
		}
	}
}

static void
attract(struct body *a, struct body *b, double step)
{
	double delta[3], square = 0;

	for (int axis = 0; axis < 3; axis++) {
		delta[axis] = a->position[axis] - b->position[axis];
		square += delta[axis] * delta[axis];
	}
	double pull = step / (square * __builtin_sqrt(square));
	for (int axis = 0; axis < 3; axis++) {
		a->velocity[axis] -= delta[axis] * b->mass * pull;
		b->velocity[axis] += delta[axis] * a->mass * pull;
	}
}

static void
advance(double step)
{
	for (int i = 0; i < BODIES; i++)
		for (int j = i + 1; j < BODIES; j++)
			attract(&bodies[i], &bodies[j], step);
	for (int i = 0; i < BODIES; i++)
		for (int axis = 0; axis < 3; axis++)
			bodies[i].position[axis] += step * bodies[i].velocity[axis];
}

uint32_t
run(uint32_t n)
{
	uint32_t sum = 0;

	place_bodies();
	for (uint32_t i = 0; i < n * 10; i++)
		advance(0.001);
	for (int i = 0; i < BODIES; i++)
		sum = mix(sum, fold(bodies[i].position[0]) ^ fold(bodies[i].velocity[2]));
	return sum;
}
