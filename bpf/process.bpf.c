//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// A process's life: fork, exec, exit; and cgroups, in which processes live. These are state events:
// user space builds its tables from them, so they wake the reader at once.
#include "headers/call.h"
#include "headers/state.h"
#include "headers/syscall_x86.h"

#define ARGV_MAX 32
#define VECTOR_START (4 * TEXT_MAX)

// By which call the task forks, with its flags. A kernel thread forks by none, and
// before 5.15 the programs cannot ask: that is told as a clone without flags.
static __always_inline __u8 forked_by(const bool typed, struct task_struct *parent, __u64 *flags)
{
	__u32 index = TABLE_64 + NR_CLONE;
	struct wire_shape *shape;
	__u8 call = 0;

	shape = bpf_map_lookup_elem(&shapes, &index);
	if (shape)
		call = shape->call;
	if (VALUE_EXISTS(enum bpf_func_id, BPF_FUNC_task_pt_regs) && GET(parent, mm)) {
		struct pt_regs *regs = bpf_task_pt_regs(bpf_get_current_task_btf());
		bool compat = is_compat(typed, parent);

		index = index_of(typed, regs, compat);
		shape = bpf_map_lookup_elem(&shapes, &index);
		if (!shape)
			return call;
		if (shape->special == SPECIAL_CLONE)
			*flags = argument(typed, regs, compat, 0);
		else if (shape->special == SPECIAL_CLONE3)
			bpf_probe_read_user(flags, sizeof(*flags),
					    (void *)argument(typed, regs, compat, 0));
		else
			return call;
		call = shape->call;
	}
	return call;
}

static __always_inline bool threads_wanted(void)
{
	__u32 index = TABLE_64 + NR_CLONE;
	struct wire_shape *shape = bpf_map_lookup_elem(&shapes, &index);

	return shape && (shape->flags & SHAPE_ALL);
}

static __always_inline int on_fork(const bool typed, struct task_struct *parent,
				   struct task_struct *child)
{
	const __u32 fixed = sizeof(struct wire_fork);
	struct task_struct *real_parent = GET(child, real_parent);
	struct task_struct *leader = GET(child, group_leader);
	bool thread = GET(child, pid) != GET(child, tgid);
	struct pid_namespace *ns;
	struct task_struct *first;
	struct wire_fork *e;
	struct scratch *s;
	__u64 flags = 0;
	__u8 call;

	if (!thread)
		begun(typed, real_parent, child);
	else if (!threads_wanted())
		return 0;
	s = acquire(SLOT_PROCESS);
	if (!s)
		return 0;
	e = (void *)s->out;
	call = forked_by(typed, parent, &flags);
	begin(typed, s, parent, WIRE_FORK, call, GET(child, pid));
	e->start = GET(child, start_boottime);
	e->cgroup = cgroup_of(typed, child);
	e->flags = flags;
	PUT_USAGE(e, parent);
	e->pid = thread ? 0 : GET(child, pid);
	e->tid = GET(child, pid);
	e->vpid = own_number(typed, thread ? leader : child);
	e->vtid = own_number(typed, child);
	e->ppid = GET(real_parent, tgid);
	e->spare = 0;
	e->ns_start = 0;
	ns = namespace_of(typed, child);
	if (ns) {
		first = GET(ns, child_reaper);
		e->ns_start = GET(first, start_boottime);
	}
	submit(s, fixed, true);
	release(s);
	return 0;
}

// Appends a block of the new program's memory, cut at TEXT_MAX.
static __always_inline __u16 put_block(struct scratch *s, __u32 fixed, __u64 from, __u64 to,
				       __u32 mark, __u32 loss, __u32 *marks)
{
	__u64 len = to - from;
	__u32 at = room(s);

	if (len > TEXT_MAX) {
		len = TEXT_MAX;
		*marks |= mark;
		lose(loss);
	}
	if (bpf_probe_read_user(&s->out[fixed + at], len, (void *)from)) {
		*marks |= mark;
		lose(LOSS_ARGUMENT);
		return 0;
	}
	s->used = at + len;
	return len;
}

#define NANOS 1000000000LL
#define CTIME_QUERIED (1U << 31) // a mark that the kernel keeps there since 6.13

static __always_inline void put_times(const bool typed, struct wire_exec *e, struct inode *inode)
{
	if (FIELD_EXISTS(struct inode, i_ctime_sec)) {
		e->ctime =
		    GET(inode, i_ctime_sec) * NANOS + (GET(inode, i_ctime_nsec) & ~CTIME_QUERIED);
		e->mtime = GET(inode, i_mtime_sec) * NANOS + GET(inode, i_mtime_nsec);
	} else if (FIELD_EXISTS(struct inode___middle, __i_ctime)) {
		struct inode___middle *i = (void *)inode;

		e->ctime = GET(i, __i_ctime.tv_sec) * NANOS + GET(i, __i_ctime.tv_nsec);
		e->mtime = GET(i, __i_mtime.tv_sec) * NANOS + GET(i, __i_mtime.tv_nsec);
	} else if (FIELD_EXISTS(struct inode___old, i_ctime)) {
		struct inode___old *i = (void *)inode;

		e->ctime = GET(i, i_ctime.tv_sec) * NANOS + GET(i, i_ctime.tv_nsec);
		e->mtime = GET(i, i_mtime.tv_sec) * NANOS + GET(i, i_mtime.tv_nsec);
	}
}

static __always_inline int on_exec(const bool typed, struct task_struct *task,
				   struct linux_binprm *bprm)
{
	const __u32 fixed = sizeof(struct wire_exec);
	__u32 index = TABLE_64 + NR_EXECVE;
	struct fs_struct *fs = GET(task, fs);
	struct mm_struct *mm = GET(task, mm);
	struct file *file = GET(bprm, file);
	struct inode *inode = GET(file, f_inode);
	struct wire_shape *shape;
	struct wire_exec *e;
	struct scratch *s;
	__u32 marks;

	shape = bpf_map_lookup_elem(&shapes, &index);
	if (!shape)
		return 0;
	changed(typed, task, true);
	s = acquire(SLOT_PROCESS);
	if (!s)
		return 0;
	e = (void *)s->out;
	__builtin_memset(e, 0, sizeof(*e));
	begin(typed, s, task, WIRE_EXEC, shape->call, 0);
	put_state(typed, &e->state, task);
	PUT_USAGE(e, task);
	put_times(typed, e, inode);
	e->ino = GET(inode, i_ino);
	e->dev = device_of(typed, inode);
	e->imode = GET(inode, i_mode);
	e->iuid = GET(inode, i_uid.val);
	e->igid = GET(inode, i_gid.val);
	e->dirfd = AT_FDCWD;
	marks = file_marks(typed, file, inode) & ~MARK_CREATED;
	e->name_len = put_kernel_text(s, fixed, GET(bprm, filename), &marks);
	e->path_len = put_path(typed, s, fixed, &file->f_path, task, &marks);
	e->state.cwd_len = put_path(typed, s, fixed, &fs->pwd, task, &marks);
	e->state.root_len = put_path(typed, s, fixed, &fs->root, 0, &marks);
	if (mm) {
		e->args_len = put_block(s, fixed, GET(mm, arg_start), GET(mm, arg_end),
					MARK_ARGS_CUT, LOSS_ARGS_CUT, &marks);
		e->env_len = put_block(s, fixed, GET(mm, env_start), GET(mm, env_end), MARK_ENV_CUT,
				       LOSS_ENV_CUT, &marks);
	}
	e->marks = marks;
	submit(s, fixed, true);
	changed(typed, task, true);
	release(s);
	return 0;
}

// Copies a vector of texts, each with its NUL, up to TEXT_MAX bytes.
static __always_inline __u16 put_vector(struct scratch *s, __u32 fixed, __u64 vector, __u32 mark,
					__u32 loss, __u32 *marks)
{
	__u32 base = room(s);
	__u32 used = 0;
	int i;

	if (base > VECTOR_START) // behind a name, two directories and another vector
		base = VECTOR_START;

	for (i = 0; i < ARGV_MAX; i++) {
		__u32 width = s->compat ? 4 : 8;
		__u64 at = 0;
		long n;

		if (bpf_probe_read_user(&at, width, (void *)(vector + i * width)) || !at)
			break;
		used &= TEXT_MAX - 1;
		n = bpf_probe_read_user_str(&s->out[fixed + base + used], TEXT_MAX - used,
					    (void *)at);
		if (n <= 0)
			break;
		used += n;
		if (used >= TEXT_MAX)
			break;
	}
	if (i == ARGV_MAX || used >= TEXT_MAX) {
		*marks |= mark;
		lose(loss);
	}
	if (used > TEXT_MAX)
		used = TEXT_MAX;
	s->used = base + used;
	return used;
}

// An exec that failed leaves the caller as it was: what the new program would have been
// is known by the arguments alone.
static __always_inline void on_failed_exec(const bool typed, __s64 ret)
{
	const __u32 fixed = sizeof(struct wire_exec);
	struct task_struct *task = current_task(typed);
	struct scratch *s = inherit(SLOT_SYSCALL);
	struct fs_struct *fs = GET(task, fs);
	struct wire_exec *e;
	__u32 marks = 0, start;
	bool at;

	if (!s)
		return;
	at = s->shape.flags & SHAPE_AT;
	e = (void *)s->out;
	__builtin_memset(e, 0, sizeof(*e));
	s->used = 0;
	begin(typed, s, task, WIRE_EXEC, s->shape.call, ret);
	e->dirfd = at ? (__s32)s->args[0] : AT_FDCWD;
	e->flags = at ? s->args[4] : 0;
	put_state(typed, &e->state, task);
	PUT_USAGE(e, task);
	start = room(s);
	e->name_len = put_user_text(s, fixed, at ? s->args[1] : s->args[0], &marks);
	e->base_len = put_base(typed, s, fixed, task, start, e->name_len, e->dirfd, &marks);
	e->state.cwd_len = put_path(typed, s, fixed, &fs->pwd, task, &marks);
	e->args_len = put_vector(s, fixed, at ? s->args[2] : s->args[1], MARK_ARGS_CUT,
				 LOSS_ARGS_CUT, &marks);
	e->env_len =
	    put_vector(s, fixed, at ? s->args[3] : s->args[2], MARK_ENV_CUT, LOSS_ENV_CUT, &marks);
	e->marks = marks;
	submit(s, fixed, true);
	release(s);
}

static __always_inline int on_exit(const bool typed, struct task_struct *task)
{
	struct signal_struct *sig = GET(task, signal);
	struct scratch *s;

	if (GET(sig, live.counter) != 0) // other threads still run
		return 0;
	changed(typed, task, true);
	s = acquire(SLOT_PROCESS);
	if (s) {
		begin(typed, s, task, WIRE_EXIT, 0, GET(task, exit_code));
		submit(s, sizeof(struct wire_exit), true);
		release(s);
	}
	changed(typed, task, true);
	ended(typed, task);
	return 0;
}

// A cgroup that is new, or that the task has come into.
static __always_inline int on_cgroup(const bool typed, struct cgroup *group, const char *path,
				     struct task_struct *task)
{
	const __u32 fixed = sizeof(struct wire_cgroup);
	struct cgroup_root *root = GET(group, root);
	struct kernfs_node *node = GET(group, kn);
	struct wire_cgroup *e;
	struct scratch *s;
	__u32 marks = 0;

	if (GET(root, hierarchy_id) != 0) // not of cgroup v2
		return 0;
	if (task)
		changed(typed, task, true);
	s = acquire(SLOT_PROCESS);
	if (!s)
		return 0;
	e = (void *)s->out;
	begin(typed, s, current_task(typed), WIRE_CGROUP, 0, 0);
	e->id = GET(node, id);
	e->start = task ? start_of(typed, task) : 0;
	e->pid = task ? GET(task, tgid) : 0;
	e->spare = 0;
	e->path_len = put_kernel_text(s, fixed, path, &marks);
	submit(s, fixed, true);
	if (task)
		changed(typed, task, true);
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
	return on_cgroup(true, (struct cgroup *)ctx[0], (const char *)ctx[1], 0);
}

SEC("raw_tp/cgroup_mkdir")
int riposte_cgroup_raw(__u64 *ctx)
{
	return on_cgroup(false, (struct cgroup *)ctx[0], (const char *)ctx[1], 0);
}

// A process or thread moved to another cgroup. The arguments (cgroup, path, task,
// whole process) have been the same since 4.x; the path is the cgroup's.
SEC("tp_btf/cgroup_attach_task")
int riposte_move_typed(__u64 *ctx)
{
	return on_cgroup(true, (struct cgroup *)ctx[0], (const char *)ctx[1],
			 (struct task_struct *)ctx[2]);
}

SEC("raw_tp/cgroup_attach_task")
int riposte_move_raw(__u64 *ctx)
{
	return on_cgroup(false, (struct cgroup *)ctx[0], (const char *)ctx[1],
			 (struct task_struct *)ctx[2]);
}

SEC("tp_btf/sys_exit")
int handle_exec_typed(__u64 *ctx)
{
	on_failed_exec(true, ctx[1]);
	return 0;
}

SEC("raw_tp/sys_exit")
int handle_exec_raw(__u64 *ctx)
{
	on_failed_exec(false, ctx[1]);
	return 0;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
