// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// What calls can change about a task: ids, capabilities, namespaces, directories; and
// what it has used so far.
#pragma once

#include "path.h"

#define RLIMIT_NOFILE 7
#define NO_LOGIN (~0U)

static __always_inline __u64 capabilities(const kernel_cap_t *from)
{
	__u64 set = 0; // in old kernels an array of two, with the same bytes

	bpf_probe_read_kernel(&set, sizeof(set), from);
	return set;
}

static __always_inline void put_credentials(const bool typed, struct wire_state *e,
					    struct task_struct *task)
{
	struct cred *cred = GET(task, cred);
	struct user_namespace *user = GET(cred, user_ns);

	e->uid = GET(cred, uid.val);
	e->euid = GET(cred, euid.val);
	e->suid = GET(cred, suid.val);
	e->fsuid = GET(cred, fsuid.val);
	e->gid = GET(cred, gid.val);
	e->egid = GET(cred, egid.val);
	e->sgid = GET(cred, sgid.val);
	e->fsgid = GET(cred, fsgid.val);
	e->inheritable = capabilities(&cred->cap_inheritable);
	e->permitted = capabilities(&cred->cap_permitted);
	e->effective = capabilities(&cred->cap_effective);
	e->ns_user = GET(user, ns.inum);
}

static __always_inline void put_namespaces(const bool typed, struct wire_state *e,
					   struct task_struct *task)
{
	struct nsproxy *proxy = GET(task, nsproxy);
	struct mnt_namespace *mnt = GET(proxy, mnt_ns);
	struct pid_namespace *children = GET(proxy, pid_ns_for_children);
	struct pid_namespace *pid = namespace_of(typed, task);
	struct net *net = GET(proxy, net_ns);
	struct ipc_namespace *ipc = GET(proxy, ipc_ns);
	struct uts_namespace *uts = GET(proxy, uts_ns);
	struct cgroup_namespace *cgroup = GET(proxy, cgroup_ns);

	e->ns_mnt = GET(mnt, ns.inum);
	e->ns_pid = pid ? GET(pid, ns.inum) : 0;
	e->ns_pid_children = GET(children, ns.inum);
	e->ns_net = GET(net, ns.inum);
	e->ns_ipc = GET(ipc, ns.inum);
	e->ns_uts = GET(uts, ns.inum);
	e->ns_cgroup = GET(cgroup, ns.inum);
}

static __always_inline void put_ids(const bool typed, struct wire_state *e,
				    struct task_struct *task)
{
	struct signal_struct *sig = GET(task, signal);
	struct task_struct *leader = GET(task, group_leader);
	struct pid *own = GET(leader, thread_pid);
	struct pid *group = (struct pid *)ADDRESS(sig, pids[PIDTYPE_PGID]);
	struct pid *session = (struct pid *)ADDRESS(sig, pids[PIDTYPE_SID]);
	__u32 level = GET(own, level);

	e->loginuid = NO_LOGIN;
	if (FIELD_EXISTS(struct task_struct, loginuid))
		e->loginuid = GET(task, loginuid.val);
	e->tty = terminal(typed, sig);
	e->vpid = number_at(typed, own, level);
	e->vtid = own_number(typed, task);
	e->sid = number_at(false, session, 0);
	e->pgid = number_at(false, group, 0);
	e->vpgid = number_at(false, group, level);
	e->vsid = number_at(false, session, level);
}

static __always_inline void put_state(const bool typed, struct wire_state *e,
				      struct task_struct *task)
{
	put_credentials(typed, e, task);
	put_namespaces(typed, e, task);
	put_ids(typed, e, task);
	e->cwd_len = 0;
	e->root_len = 0;
	e->spare = 0;
}

// How many pages of a kind the address space has; the kinds are the kernel's MM_*.
static __always_inline __u64 pages(const bool typed, struct mm_struct *mm, __u32 kind)
{
	__s64 n = 0;
	__u64 at;

	if (TYPE_EXISTS(struct mm_rss_stat)) {
		struct mm_struct___old *old = (void *)mm;

		at = (__u64)&old->rss_stat.count + kind * sizeof(n);
	} else {
		at = (__u64)&mm->rss_stat + kind * TYPE_SIZE(struct percpu_counter) +
		     FIELD_OFFSET(struct percpu_counter, count);
	}
	(void)typed;
	bpf_probe_read_kernel(&n, sizeof(n), (void *)at);
	return n > 0 ? n : 0; // without what the CPUs still keep to themselves
}

#define MM_FILEPAGES 0
#define MM_ANONPAGES 1
#define MM_SWAPENTS 2
#define MM_SHMEMPAGES 3

// The same members in a fork's and an exec's record.
#define PUT_USAGE(e, task)                                                                         \
	do {                                                                                       \
		struct signal_struct *sig_ = GET(task, signal);                                    \
		struct mm_struct *mm_ = GET(task, mm);                                             \
		(e)->fdlimit = GET(sig_, rlim[RLIMIT_NOFILE].rlim_cur);                            \
		(e)->major_faults = GET(task, maj_flt);                                            \
		(e)->minor_faults = GET(task, min_flt);                                            \
		(e)->pages = 0;                                                                    \
		(e)->resident = 0;                                                                 \
		(e)->swapped = 0;                                                                  \
		if (mm_) {                                                                         \
			(e)->pages = GET(mm_, total_vm);                                           \
			(e)->resident = pages(typed, mm_, MM_FILEPAGES) +                          \
					pages(typed, mm_, MM_ANONPAGES) +                          \
					pages(typed, mm_, MM_SHMEMPAGES);                          \
			(e)->swapped = pages(typed, mm_, MM_SWAPENTS);                             \
		}                                                                                  \
	} while (0)
