/*
 * builtins.h - C functions that native code calls; they are in the order of def/builtin.def.
 *
 * Each runs on the thread's own stack. One that traps says so in run->trap and returns anything.
 */
#pragma once

#include "vm/native/abi.h"

int64_t native_memory_grow(struct vm_instance *instance, uint32_t memory, uint64_t pages);
void native_memory_fill(struct vm_instance *instance, uint32_t memory, uint64_t address,
                        uint32_t value, uint64_t len);
void native_memory_copy(struct vm_instance *instance, uint32_t dst, uint32_t src,
                        uint64_t dst_address, uint64_t src_address, uint64_t len);
void native_memory_init(struct vm_instance *instance, uint32_t segment, uint32_t memory,
                        uint64_t address, uint64_t source, uint64_t len);
void native_data_drop(struct vm_instance *instance, uint32_t segment);
int64_t native_table_grow(struct vm_instance *instance, uint32_t table, uint64_t delta,
                          void *value);
void native_table_fill(struct vm_instance *instance, uint32_t table, uint64_t index, void *value,
                       uint64_t len);
void native_table_copy(struct vm_instance *instance, uint32_t dst, uint32_t src,
                       uint64_t dst_index, uint64_t src_index, uint64_t len);
void native_table_init(struct vm_instance *instance, uint32_t segment, uint32_t table,
                       uint64_t index, uint64_t source, uint64_t len);
void native_elem_drop(struct vm_instance *instance, uint32_t segment);
float native_f32_ceil(struct vm_instance *instance, float value);
float native_f32_floor(struct vm_instance *instance, float value);
float native_f32_trunc(struct vm_instance *instance, float value);
float native_f32_nearest(struct vm_instance *instance, float value);
double native_f64_ceil(struct vm_instance *instance, double value);
double native_f64_floor(struct vm_instance *instance, double value);
double native_f64_trunc(struct vm_instance *instance, double value);
double native_f64_nearest(struct vm_instance *instance, double value);
