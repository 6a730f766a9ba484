/*
 * enter_x64.h - layout that the assembly of rt_enter relies on; asserted in context_x64.c.
 */
#pragma once

#define RUN_EXIT_SP 0 /* offsetof(struct vm_run, exit_sp) */
