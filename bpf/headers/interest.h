// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// The interest mask: user space may say for a process which types of events no rule can
// match any more, and those are left out. It says so about the process as it was at some
// event; so each event carries a generation, which counts the changes of its process, and
// the epoch, which counts those of all processes that have children and thus may be
// somebody's ancestor. A mask holds only for the two that it names, and so can never
// blind a program that came later.
//
// Both are counted twice for a change: before it is told, from when on no older mask
// holds, and after. An event in between, of another thread or of a child, may reach user
// space before the change does; a mask that was made from it does not hold either.
#pragma once

#include "helpers.h"
#include "wire.h"

#define MAX_MASKED 32768

struct life {
	__u64 start;
	__u32 gen;
	__u32 forked; // it may have, or have had, children
	// What the first thread's events have told last. A name can be given by a file of
	// /proc, from outside; user space learns of it, and so of a change, by the next event.
	__u64 user;
	__u64 ppid;
	__u64 comm[2];
	// How many opens were told, since the mask that these could lead to was last void,
	// though no rule wants their path.
	__u64 shown_epoch;
	__u32 shown_gen;
	__u32 shown;
};

// Full, it takes no more processes: those have no mask.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_MASKED);
	__type(key, __u32);
	__type(value, struct life);
} lives SEC(".maps");

// Written by user space; here an entry is only taken away, when its process ends.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_MASKED);
	__type(key, __u32);
	__type(value, struct wire_interest);
} masks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} epochs SEC(".maps");

// Written by user space: masks of another round do not hold. 0: there are no masks.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} rounds SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NOTES);
	__type(key, __u32);
	__type(value, __u64);
} notes SEC(".maps");

static __always_inline void note(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&notes, &what);

	if (n)
		*n += 1;
}

static __always_inline __u32 round_now(void)
{
	__u32 first = 0, *round = bpf_map_lookup_elem(&rounds, &first);

	return round ? *round : 0;
}

static __always_inline __u64 epoch_now(void)
{
	__u32 first = 0;
	__u64 *epoch = bpf_map_lookup_elem(&epochs, &first);

	return epoch ? *epoch : 0;
}

static __always_inline __u64 start_of(const bool typed, struct task_struct *task)
{
	struct task_struct *leader = GET(task, group_leader);

	return GET(leader, start_boottime);
}

// The process's entry, made if it has none: of one that was not seen to begin, nobody
// knows whether it has children. 0: it cannot be kept.
static __always_inline struct life *life_of(__u32 pid, __u64 start)
{
	struct life *l = bpf_map_lookup_elem(&lives, &pid);
	struct life fresh = {.start = start, .gen = 1, .forked = 1};

	if (l && l->start == start)
		return l;
	bpf_map_update_elem(&lives, &pid, &fresh, l ? BPF_ANY : BPF_NOEXIST);
	l = bpf_map_lookup_elem(&lives, &pid);
	if (l && l->start == start)
		return l;
	note(NOTE_UNKEPT);
	return 0;
}

// A task's children hang on the thread that made them, so only where there is one
// thread, or its list is not empty, it is known whether the process has any.
static __always_inline bool has_children(const bool typed, struct task_struct *task)
{
	struct task_struct *leader = GET(task, group_leader);
	struct signal_struct *sig = GET(task, signal);

	return GET(sig, nr_threads) > 1 || ADDRESS(task, children.next) != (__u64)&task->children ||
	       ADDRESS(leader, children.next) != (__u64)&leader->children;
}

static __always_inline void count_change(struct life *l, bool ancestor)
{
	__u32 first = 0;
	__u64 *epoch;

	if (l)
		__sync_fetch_and_add(&l->gen, 1);
	if (!ancestor)
		return;
	epoch = bpf_map_lookup_elem(&epochs, &first);
	if (epoch)
		__sync_fetch_and_add(epoch, 1);
}

static __always_inline bool is_ancestor(const bool typed, struct task_struct *task,
					const struct life *l)
{
	return (!l || l->forked) && has_children(typed, task);
}

// Said before and after a change of the process is told. An ancestor: what its
// descendants can ask about it may have changed too.
static __always_inline void changed(const bool typed, struct task_struct *task, bool ancestor)
{
	struct life *l;

	if (!round_now())
		return;
	l = life_of(GET(task, tgid), start_of(typed, task));
	count_change(l, ancestor && is_ancestor(typed, task, l));
}

// What the header of a record tells beside the event.
enum news {
	NO_NEWS,
	NEWS,		  // it is a change of the process
	NEWS_OF_ANCESTOR, // and of what may be somebody's ancestor
};

// Whether the record that is begun tells of the current process what none has told; it
// counts as a change, the second time when the record has been handed over.
static __always_inline enum news news_in(const bool typed, struct task_struct *task, struct life *l,
					 const struct wire_header *h)
{
	const __u64 *comm = (const void *)h->comm;
	__u64 user = (__u64)h->gid << 32 | h->uid;
	bool ancestor;

	if (h->pid != h->tid)
		return NO_NEWS;
	if (!l || (l->user == user && l->ppid == h->ppid && l->comm[0] == comm[0] &&
		   l->comm[1] == comm[1]))
		return NO_NEWS;
	l->user = user;
	l->ppid = h->ppid;
	l->comm[0] = comm[0];
	l->comm[1] = comm[1];
	ancestor = is_ancestor(typed, task, l);
	count_change(l, ancestor);
	return ancestor ? NEWS_OF_ANCESTOR : NEWS;
}

static __always_inline void news_told(__u32 pid, enum news news)
{
	if (news != NO_NEWS)
		count_change(bpf_map_lookup_elem(&lives, &pid), news == NEWS_OF_ANCESTOR);
}

// A new process. It begins without a mask: a rule about a parent's name can match it and
// not its parent.
static __always_inline void begun(const bool typed, struct task_struct *parent,
				  struct task_struct *child)
{
	struct life fresh = {.start = start_of(typed, child), .gen = 1, .forked = 0};
	__u32 pid = GET(child, tgid), ppid = GET(parent, tgid);
	struct life *l;

	if (!round_now())
		return;
	l = bpf_map_lookup_elem(&lives, &ppid);
	if (l)
		l->forked = 1;
	if (bpf_map_update_elem(&lives, &pid, &fresh, BPF_ANY))
		note(NOTE_UNKEPT);
}

static __always_inline void ended(const bool typed, struct task_struct *task)
{
	__u32 pid = GET(task, tgid);

	bpf_map_delete_elem(&masks, &pid);
	bpf_map_delete_elem(&lives, &pid);
}

// Whether what user space would learn of the current task from any event is what it
// knew when it made the mask. Names and ids are the process's if they are its first
// thread's.
static __always_inline bool unchanged(const bool typed, struct task_struct *task,
				      const struct wire_interest *m)
{
	struct task_struct *parent = GET(task, real_parent);
	__u64 id = bpf_get_current_pid_tgid();
	__u64 user;
	__u64 comm[2] = {}, *known = (void *)m->comm;

	if (GET(parent, tgid) != (int)m->ppid || bpf_get_current_cgroup_id() != m->cgroup)
		return false;
	if (id >> 32 != (__u32)id)
		return true;
	user = bpf_get_current_uid_gid();
	bpf_get_current_comm(comm, sizeof(comm));
	return (__u32)user == m->uid && user >> 32 == m->gid && comm[0] == known[0] &&
	       comm[1] == known[1];
}

// Whether the current process's mask leaves out a call. The cheap questions come first,
// for most events are of processes that have no mask or are wanted all the same.
static __always_inline bool masked(const bool typed, struct task_struct *task,
				   const struct wire_shape *shape)
{
	__u32 round = round_now();
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	__u8 type = shape->call;
	struct wire_interest *m;
	struct life *l;

	if (!round || shape->tier == TIER_STATE || (shape->flags & SHAPE_QUIET))
		return false;
	m = bpf_map_lookup_elem(&masks, &pid);
	if (!m || m->mask[type >> 6] >> (type & 63) & 1)
		return false;
	if (m->round != round || m->epoch != epoch_now() || m->start != start_of(typed, task))
		return false;
	l = bpf_map_lookup_elem(&lives, &pid);
	if (!l || l->start != m->start || l->gen != m->gen || !unchanged(typed, task, m))
		return false;
	note(NOTE_MASKED);
	return true;
}
