/*
 * versions.h - loops in two versions, so that the common one can be vectorised.
 *
 * Guest accesses are volatile, since each may trap; LLVM vectorises no loop that has any. This
 * step finds innermost loops of one block whose addresses go up or down evenly. In front of
 * each it computes how often the loop will run and whether all addresses it will see lie in
 * memory. If they do, no access can trap, and a copy of the loop runs in which they are plain;
 * otherwise the loop runs as it was.
 *
 * Memories never shrink and such a loop calls nothing, so what was checked stays true.
 */
#pragma once

#include "vm/llvm/emit.h"

/*
 * Make versions in a function whose loops are simplified and rotated, in LCSSA form. Only accesses
 * to memory 0 with 32-bit addresses count. Returns how many loops have two versions now.
 */
unsigned int versions_make(const struct emit *e, LLVMValueRef function);
