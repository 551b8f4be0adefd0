// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// What a task is: its identity, cgroup, terminal and ids within its namespace.
#pragma once

#include "maps.h"

#define PIDTYPE_PGID 2
#define PIDTYPE_SID 3
#define TS_COMPAT 2

static __always_inline __u64 cgroup_of(const bool typed, struct task_struct *task)
{
	struct css_set *set = GET(task, cgroups);
	struct cgroup *group = GET(set, dfl_cgrp);
	struct kernfs_node *node = GET(group, kn);

	return GET(node, id);
}

static __always_inline struct task_struct *current_task(const bool typed)
{
	return typed ? bpf_get_current_task_btf() : (struct task_struct *)bpf_get_current_task();
}

static __always_inline bool own(void)
{
	return bpf_get_current_pid_tgid() >> 32 == own_tgid;
}

static __always_inline bool is_compat(const bool typed, struct task_struct *task)
{
	return (GET(task, thread_info.status) & TS_COMPAT) != 0;
}

// The header speaks of the current task.
static __always_inline void begin(const bool typed, struct scratch *s, struct task_struct *task,
				  __u8 kind, __u8 call, __s64 ret)
{
	struct wire_header *h = (void *)s->out;
	struct task_struct *parent = GET(task, real_parent);
	__u64 id = bpf_get_current_pid_tgid();
	__u64 user = bpf_get_current_uid_gid();
	struct life *l = 0;

	h->version = WIRE_VERSION;
	h->kind = kind;
	h->call = call;
	h->ktime = bpf_ktime_get_boot_ns();
	h->start = start_of(typed, task);
	h->cgroup = bpf_get_current_cgroup_id();
	h->ret = ret;
	h->pid = id >> 32;
	h->tid = id;
	h->ppid = GET(parent, tgid);
	h->uid = user;
	h->gid = user >> 32;
	h->cpu = bpf_get_smp_processor_id();
	h->compat = is_compat(typed, task);
	h->uring = 0;
	h->spare = 0;
	bpf_get_current_comm(h->comm, sizeof(h->comm));
	s->news = NO_NEWS;
	// User space keeps a request of io_uring until it is done, so it learns later.
	if (round_now())
		l = life_of(h->pid, h->start);
	if (s->slot != SLOT_URING && !(s->shape.flags & SHAPE_QUIET))
		s->news = news_in(typed, task, l, h);
	h->gen = l ? l->gen : 0;
	h->epoch = epoch_now();
}

// A pid's number as seen from the namespace at a level: 0 is the host's.
static __always_inline __u32 number_at(const bool typed, struct pid *pid, __u32 level)
{
	__u32 nr = 0;
	__u64 at;

	if (!pid || level > GET(pid, level))
		return 0;
	at = (__u64)level * TYPE_SIZE(struct upid);
	bpf_probe_read_kernel(&nr, sizeof(nr), (void *)&pid->numbers + at);
	return nr;
}

static __always_inline __u32 own_number(const bool typed, struct task_struct *task)
{
	struct pid *pid = GET(task, thread_pid);

	return number_at(typed, pid, GET(pid, level));
}

// The pid namespace that the task lives in.
static __always_inline struct pid_namespace *namespace_of(const bool typed,
							  struct task_struct *task)
{
	struct pid *pid = GET(task, thread_pid);
	__u64 at = (__u64)GET(pid, level) * TYPE_SIZE(struct upid);
	__u64 ns = 0;

	at += FIELD_OFFSET(struct upid, ns);
	bpf_probe_read_kernel(&ns, sizeof(ns), (void *)&pid->numbers + at);
	if (!ns)
		return 0;
	return CAST(struct pid_namespace, ns);
}

// The terminal's number in the form of stat(2) and /proc/PID/stat.
static __always_inline __u32 device(__u32 major, __u32 minor)
{
	return (minor & 0xff) | (major << 8) | ((minor & ~0xffU) << 12);
}

static __always_inline __u32 terminal(const bool typed, struct signal_struct *sig)
{
	struct tty_struct *tty = GET(sig, tty);
	struct tty_driver *driver;

	if (!tty)
		return 0;
	driver = GET(tty, driver);
	if (!driver)
		return 0;
	return device(GET(driver, major), GET(driver, minor_start) + GET(tty, index));
}
