/*
 * text.h - text of strangers on our streams.
 *
 * Names and messages that come from a module may hold bytes that a terminal obeys. They are
 * written through here, as UTF-8 with everything else shown as \xHH.
 */
#pragma once

#include <stdio.h>
#include "vm/vm.h"

void text_write(FILE *out, struct vm_str text);
void text_write_c(FILE *out, const char *text);
/* As a JSON string, with its quotes; bytes that are not UTF-8 become U+FFFD. */
void text_write_json(FILE *out, const char *text);
