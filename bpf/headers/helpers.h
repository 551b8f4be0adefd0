// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// What libbpf's headers would give us: the kernel's helper functions by number (a
// fixed part of its interface) and the few macros for maps and CO-RE.
#pragma once

#include "vmlinux.h"

#define SEC(name) __attribute__((section(name), used))
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))

// A map's definition is read from the types of its members.
#define __uint(name, value) int(*name)[value]
#define __type(name, value) typeof(value) *name

static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value,
					 __u64 flags) = (void *)2;
static long (*const bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
static __u32 (*const bpf_get_smp_processor_id)(void) = (void *)8;
static long (*const bpf_tail_call)(void *ctx, void *programs, __u32 index) = (void *)12;
static __u64 (*const bpf_get_current_pid_tgid)(void) = (void *)14;
static __u64 (*const bpf_get_current_uid_gid)(void) = (void *)15;
static long (*const bpf_get_current_comm)(void *buf, __u32 size) = (void *)16;
static __u64 (*const bpf_get_current_task)(void) = (void *)35;
static __u64 (*const bpf_get_current_cgroup_id)(void) = (void *)80;
static long (*const bpf_probe_read_user)(void *dst, __u32 size, const void *src) = (void *)112;
static long (*const bpf_probe_read_kernel)(void *dst, __u32 size, const void *src) = (void *)113;
static long (*const bpf_probe_read_user_str)(void *dst, __u32 size, const void *src) = (void *)114;
static long (*const bpf_probe_read_kernel_str)(void *dst, __u32 size,
					       const void *src) = (void *)115;
static __u64 (*const bpf_ktime_get_boot_ns)(void) = (void *)125;
static long (*const bpf_ringbuf_output)(void *ring, void *data, __u64 size,
					__u64 flags) = (void *)130;
static __u64 (*const bpf_ringbuf_query)(void *ring, __u64 flags) = (void *)134;
static struct task_struct *(*const bpf_get_current_task_btf)(void) = (void *)158;
static struct pt_regs *(*const bpf_task_pt_regs)(struct task_struct *task) = (void *)175;
static long (*const bpf_loop)(__u32 steps, long (*step)(__u32 i, void *ctx), void *ctx,
			      __u64 flags) = (void *)181;

// Gives a plain address a kernel type, so that the verifier lets us follow it with
// ordinary loads. Since 6.2; without it the typed programs do not load and the
// raw ones take over.
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __attribute__((section(".ksyms")));

#define TYPE_ID(type) __builtin_btf_type_id(*(typeof(type) *)0, 1)
#define TYPE_SIZE(type) __builtin_preserve_type_info(*(typeof(type) *)0, 1)
#define FIELD_OFFSET(type, field) __builtin_preserve_field_info(((type *)0)->field, 0)
#define TYPE_EXISTS(type) __builtin_preserve_type_info(*(typeof(type) *)0, 0)
#define VALUE_EXISTS(type, value) __builtin_preserve_enum_value(*(typeof(type) *)value, 0)
#define FIELD_EXISTS(type, field) __builtin_preserve_field_info(((type *)0)->field, 2)

// Every function that reads kernel memory has a constant parameter `typed`: true in
// programs on typed tracepoints, where GET is one load that the kernel guards, false
// on raw tracepoints, where it is a call of the read helper. The compiler folds it.
#define GET(ptr, field)                                                                            \
	({                                                                                         \
		typeof((ptr)->field) v_;                                                           \
		if (typed)                                                                         \
			v_ = (ptr)->field;                                                         \
		else                                                                               \
			bpf_probe_read_kernel(&v_, sizeof(v_), &(ptr)->field);                     \
		v_;                                                                                \
	})

// CAST makes a pointer of an address.
#define CAST(type, addr)                                                                           \
	((type *)(typed ? bpf_rdonly_cast((void *)(addr), TYPE_ID(type)) : (void *)(addr)))

// ADDRESS reads a pointer member as a plain number, which can be calculated with.
#define ADDRESS(ptr, field)                                                                        \
	({                                                                                         \
		__u64 a_ = 0;                                                                      \
		bpf_probe_read_kernel(&a_, sizeof(a_), &(ptr)->field);                             \
		a_;                                                                                \
	})

// Makes the compiler forget what it knows of a number, so that it leaves a bound
// standing where the verifier needs to see it.
#define FORGET(n) asm volatile("" : "+r"(n))
