/*
 * guest.h - for the guest programs: what a module exports.
 */
#pragma once

/* Above a definition: the function is exported under that name. */
#define EXPORT(name) __attribute__((export_name(name)))
