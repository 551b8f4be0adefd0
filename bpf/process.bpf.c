//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// A process's life: fork, successful exec, exit; and new cgroups, in which processes
// live. These are state events: user space builds its tables from them, so they wake
// the reader at once.
#include "headers/path.h"
#include "headers/text.h"

// The compiler keeps only types that something refers to; Go wants these too.
const struct wire_fork *go_fork;
const struct wire_exec *go_exec;
const struct wire_exit *go_exit;
const struct wire_cgroup *go_cgroup;

static __always_inline bool own(void)
{
	return bpf_get_current_pid_tgid() >> 32 == own_tgid;
}

static __always_inline int on_fork(const bool typed, struct task_struct *parent,
				   struct task_struct *child)
{
	const __u32 fixed = sizeof(struct wire_fork);
	struct task_struct *real_parent = GET(child, real_parent);
	struct wire_fork *e;
	struct scratch *s;

	if (GET(child, pid) != GET(child, tgid)) // a thread
		return 0;
	s = acquire(SLOT_PROCESS);
	if (!s)
		return 0;
	e = (void *)s->out;
	begin(typed, s, parent, WIRE_FORK, CALL_NONE, GET(child, pid));
	e->start = GET(child, start_boottime);
	e->cgroup = cgroup_of(typed, child);
	e->pid = GET(child, pid);
	e->vpid = own_number(typed, child);
	e->ppid = GET(real_parent, tgid);
	e->spare = 0;
	submit(s, fixed, true);
	release(s);
	return 0;
}

static __always_inline __u16 put_args(const bool typed, struct scratch *s, __u32 fixed,
				      struct task_struct *task, __u32 *marks)
{
	struct mm_struct *mm = GET(task, mm);
	__u32 to = s->used & OUT_MASK;
	__u64 from, len;

	if (!mm)
		return 0;
	from = GET(mm, arg_start);
	len = GET(mm, arg_end) - from;
	if (len > TEXT_MAX) {
		len = TEXT_MAX;
		*marks |= MARK_ARGS_CUT;
		lose(LOSS_ARGS_CUT);
	}
	if (bpf_probe_read_user(&s->out[fixed + to], len, (void *)from)) {
		*marks |= MARK_ARGS_CUT;
		lose(LOSS_ARGUMENT);
		return 0;
	}
	s->used = to + len;
	return len;
}

static __always_inline void put_ids(const bool typed, struct wire_exec *e, struct task_struct *task)
{
	struct signal_struct *sig = GET(task, signal);
	struct cred *cred = GET(task, cred);
	struct pid *own = GET(task, thread_pid);
	struct pid *group = (struct pid *)ADDRESS(sig, pids[PIDTYPE_PGID]);
	struct pid *session = (struct pid *)ADDRESS(sig, pids[PIDTYPE_SID]);
	__u32 level = GET(own, level);

	e->euid = GET(cred, euid.val);
	e->egid = GET(cred, egid.val);
	bpf_probe_read_kernel(&e->caps, sizeof(e->caps), &cred->cap_effective);
	e->loginuid = -1;
	if (FIELD_EXISTS(struct task_struct, loginuid))
		e->loginuid = GET(task, loginuid.val);
	e->tty = terminal(typed, sig);
	e->vpid = number_at(typed, own, level);
	e->sid = number_at(false, session, 0);
	e->pgid = number_at(false, group, 0);
	e->vpgid = number_at(false, group, level);
}

static __always_inline int on_exec(const bool typed, struct task_struct *task,
				   struct linux_binprm *bprm)
{
	const __u32 fixed = sizeof(struct wire_exec);
	struct fs_struct *fs = GET(task, fs);
	struct file *file = GET(bprm, file);
	struct inode *inode = GET(file, f_inode);
	struct wire_exec *e;
	struct scratch *s;
	__u32 marks;

	s = acquire(SLOT_PROCESS);
	if (!s)
		return 0;
	e = (void *)s->out;
	begin(typed, s, task, WIRE_EXEC, CALL_EXECVE, 0);
	put_ids(typed, e, task);
	e->ino = GET(inode, i_ino);
	e->dev = device_of(typed, inode);
	e->imode = GET(inode, i_mode);
	e->iuid = GET(inode, i_uid.val);
	e->igid = GET(inode, i_gid.val);
	e->dirfd = -100;
	e->flags = 0;
	e->spare = 0;
	marks = file_marks(typed, file, inode) & ~MARK_CREATED;
	e->name_len = put_kernel_text(s, fixed, GET(bprm, filename), &marks);
	e->path_len = put_path(typed, s, fixed, &file->f_path, task, &marks);
	e->cwd_len = put_path(typed, s, fixed, &fs->pwd, task, &marks);
	e->args_len = put_args(typed, s, fixed, task, &marks);
	e->marks = marks;
	submit(s, fixed, true);
	release(s);
	return 0;
}

static __always_inline int on_exit(const bool typed, struct task_struct *task)
{
	struct signal_struct *sig = GET(task, signal);
	struct scratch *s;

	if (GET(sig, live.counter) != 0) // other threads still run
		return 0;
	s = acquire(SLOT_PROCESS);
	if (!s)
		return 0;
	begin(typed, s, task, WIRE_EXIT, CALL_NONE, GET(task, exit_code));
	submit(s, sizeof(struct wire_exit), true);
	release(s);
	return 0;
}

static __always_inline int on_cgroup(const bool typed, struct cgroup *group, const char *path)
{
	const __u32 fixed = sizeof(struct wire_cgroup);
	struct cgroup_root *root = GET(group, root);
	struct kernfs_node *node = GET(group, kn);
	struct wire_cgroup *e;
	struct scratch *s;
	__u32 marks = 0;

	if (GET(root, hierarchy_id) != 0) // not of cgroup v2
		return 0;
	s = acquire(SLOT_PROCESS);
	if (!s)
		return 0;
	e = (void *)s->out;
	begin(typed, s,
	      typed ? bpf_get_current_task_btf() : (struct task_struct *)bpf_get_current_task(),
	      WIRE_CGROUP, CALL_NONE, 0);
	e->id = GET(node, id);
	__builtin_memset(e->spare, 0, sizeof(e->spare));
	e->path_len = put_kernel_text(s, fixed, path, &marks);
	submit(s, fixed, true);
	release(s);
	return 0;
}

// A new task, before it first runs, in its parent. The arguments (parent, child)
// have been the same since 2.6.
SEC("tp_btf/sched_process_fork")
int riposte_fork_typed(__u64 *ctx)
{
	return on_fork(true, (struct task_struct *)ctx[0], (struct task_struct *)ctx[1]);
}

SEC("raw_tp/sched_process_fork")
int riposte_fork_raw(__u64 *ctx)
{
	return on_fork(false, (struct task_struct *)ctx[0], (struct task_struct *)ctx[1]);
}

// A program that has replaced another, past every failure and before its first
// instruction. Reported here and not at the call's exit: there the registers are
// the new program's, and an exec from a second thread has changed its thread id. The
// call is named execve for execveat too, as the kernel itself then does.
SEC("tp_btf/sched_process_exec")
int riposte_exec_typed(__u64 *ctx)
{
	if (own())
		return 0;
	return on_exec(true, (struct task_struct *)ctx[0], (struct linux_binprm *)ctx[2]);
}

SEC("raw_tp/sched_process_exec")
int riposte_exec_raw(__u64 *ctx)
{
	if (own())
		return 0;
	return on_exec(false, (struct task_struct *)ctx[0], (struct linux_binprm *)ctx[2]);
}

// A task that ends, still with its files, cgroup and parent. Reported once for the
// process, by the last thread.
SEC("tp_btf/sched_process_exit")
int riposte_exit_typed(__u64 *ctx)
{
	return on_exit(true, (struct task_struct *)ctx[0]);
}

SEC("raw_tp/sched_process_exit")
int riposte_exit_raw(__u64 *ctx)
{
	return on_exit(false, (struct task_struct *)ctx[0]);
}

// A new cgroup, with its path. A container can be gone, its cgroup with it, before
// user space has read the first event of it: then this is the only way to know which
// container it was. The arguments (cgroup, path) have been the same since 4.x.
SEC("tp_btf/cgroup_mkdir")
int riposte_cgroup_typed(__u64 *ctx)
{
	return on_cgroup(true, (struct cgroup *)ctx[0], (const char *)ctx[1]);
}

SEC("raw_tp/cgroup_mkdir")
int riposte_cgroup_raw(__u64 *ctx)
{
	return on_cgroup(false, (struct cgroup *)ctx[0], (const char *)ctx[1]);
}

char program_license[] SEC("license") = "Dual BSD/GPL";
