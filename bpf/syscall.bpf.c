//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// The one hook at the exit of every system call. It looks the call up in the table of
// shapes and, if somebody wants it, hands on to the program that reports its kind.
// The two simplest kinds are here: calls that are told by their arguments alone, and
// those that change what the caller is.
#include "headers/state.h"
#include "headers/object.h"
#include "headers/syscall_x86.h"

#define PR_SET_NAME 15
#define SOCKETCALL_SEND 9
#define SOCKETCALL_RECV 10
#define SOCKETCALL_MAX 20

// The compiler keeps only types that something refers to; Go wants these too.
const struct wire_file *go_file;
const struct wire_socket *go_socket;
const struct wire_change *go_change;
const struct wire_exec *go_exec;
const struct wire_fork *go_fork;
const struct wire_exit *go_exit;
const struct wire_cgroup *go_cgroup;
const enum wire_version *go_version;
const enum wire_kind *go_kind;
const enum wire_handler *go_handler;
const enum wire_special *go_special;
const enum wire_shape_flag *go_shape_flag;
const enum wire_base *go_base;
const enum wire_fd *go_fd;
const enum wire_tier *go_tier;
const enum wire_table *go_table;
const enum wire_mark *go_mark;
const enum wire_loss *go_loss;
const enum wire_role *go_role;
const enum wire_note *go_note;
const struct wire_interest *go_interest;
const struct wire_prefix *go_prefix;
const enum wire_paths *go_paths;

enum interest {
	DROPPED, // nobody wants the call, or no rule can match it
	HIDDEN,	 // no rule can match it, but it says which end a socket is
	WANTED,
};

// fd is the call's first argument, which a call on a socket has as its descriptor.
static __always_inline enum interest interest_in(const bool typed, struct task_struct *task,
						 const struct wire_shape *shape, __u32 fd)
{
	if (!shape || !shape->call)
		return DROPPED;
	if (!masked(typed, task, shape))
		return WANTED;
	if (!(shape->flags & SHAPE_ROLE))
		return DROPPED;
	if (shape->special >= SPECIAL_SENDTO && tells_no_role(typed, task, fd))
		return DROPPED;
	return HIDDEN;
}

// socketcall is many calls in one: the first argument says which, the second is an
// array of its arguments.
static __always_inline struct wire_shape *demultiplex(struct scratch *s)
{
	__u32 args[6] = {};
	__u32 nr = s->args[0];
	__u32 index = TABLE_SOCKETCALL + nr;

	if (nr > SOCKETCALL_MAX)
		return 0;
	if (bpf_probe_read_user(args, sizeof(args), (void *)s->args[1])) {
		// The array may end where the memory does; no call has fewer than two.
		if (bpf_probe_read_user(args, 12, (void *)s->args[1]) &&
		    bpf_probe_read_user(args, 8, (void *)s->args[1]))
			lose(LOSS_ARGUMENT);
	}
	if (nr == SOCKETCALL_SEND || nr == SOCKETCALL_RECV) { // sendto and recvfrom without
		args[4] = 0;				      // an address
		args[5] = 0;
	}
	for (int i = 0; i < 6; i++)
		s->args[i] = args[i];
	return bpf_map_lookup_elem(&shapes, &index);
}

static __always_inline __u64 id16(__u64 id)
{
	return (id & 0xffff) == 0xffff ? (__u32)-1 : id & 0xffff;
}

// Puts right what the shape says is special. False: the call is of no interest.
static __always_inline bool prepare(struct scratch *s, long ret)
{
	switch (s->shape.special) {
	case SPECIAL_OPENAT2: {
		__u64 how[3] = {};

		if (bpf_probe_read_user(how, sizeof(how), (void *)s->args[2]))
			lose(LOSS_ARGUMENT);
		s->args[2] = how[0];
		s->args[3] = how[1];
		s->args[4] = how[2];
		break;
	}
	case SPECIAL_CLONE3: {
		__u64 flags = 0;

		if (ret >= 0)
			return false;
		bpf_probe_read_user(&flags, sizeof(flags), (void *)s->args[0]);
		s->args[0] = flags;
		break;
	}
	case SPECIAL_CLONE:
		return ret < 0;
	case SPECIAL_PRCTL:
		return s->args[0] == PR_SET_NAME || (s->shape.flags & SHAPE_ALL);
	}
	if (s->shape.handler == HANDLER_EXEC && ret >= 0)
		return false; // reported when the program started
	if (s->shape.flags & SHAPE_ID16) {
		s->args[0] = id16(s->args[0]);
		s->args[1] = id16(s->args[1]);
		s->args[2] = id16(s->args[2]);
	}
	return true;
}

static __always_inline void dispatch(const bool typed, __u64 *ctx)
{
	struct task_struct *task = current_task(typed);
	struct pt_regs *regs = (struct pt_regs *)ctx[0];
	bool compat = is_compat(typed, task);
	__u32 index = index_of(typed, regs, compat);
	struct wire_shape *shape = bpf_map_lookup_elem(&shapes, &index);
	enum interest interest = WANTED;
	struct scratch *s;

	if (!shape || !shape->call || own())
		return;
	if (!(shape->flags & SHAPE_MULTIPLEX))
		interest = interest_in(typed, task, shape, argument(typed, regs, compat, 0));
	if (interest == DROPPED || shed(shape->tier))
		return;
	s = acquire(SLOT_SYSCALL);
	if (!s)
		return;
	s->compat = compat;
	s->args[0] = argument(typed, regs, compat, 0);
	s->args[1] = argument(typed, regs, compat, 1);
	s->args[2] = argument(typed, regs, compat, 2);
	s->args[3] = argument(typed, regs, compat, 3);
	s->args[4] = argument(typed, regs, compat, 4);
	s->args[5] = argument(typed, regs, compat, 5);
	if (shape->flags & SHAPE_MULTIPLEX) {
		shape = demultiplex(s);
		interest = interest_in(typed, task, shape, s->args[0]);
	}
	if (shape && interest != DROPPED) {
		s->shape = *shape;
		if (interest == HIDDEN)
			s->shape.flags |= SHAPE_QUIET;
		if (prepare(s, (long)ctx[1])) {
			bpf_tail_call(ctx, &handlers, s->shape.handler);
			lose(LOSS_TAIL_CALL);
		}
	}
	release(s);
}

static __always_inline void on_call(const bool typed, __s64 ret)
{
	struct task_struct *task = current_task(typed);
	struct scratch *s = inherit(SLOT_SYSCALL);
	const __u32 fixed = sizeof(struct wire_call);

	if (!s)
		return;
	begin_call(typed, s, task, WIRE_CALL, ret);
	put_names(typed, s, fixed, task);
	put_data(s, fixed);
	submit(s, fixed, s->shape.tier == TIER_STATE);
	release(s);
}

static __always_inline void on_change(const bool typed, __s64 ret)
{
	struct task_struct *task = current_task(typed);
	struct scratch *s = inherit(SLOT_SYSCALL);
	const __u32 fixed = sizeof(struct wire_change);
	struct fs_struct *fs = GET(task, fs);
	struct wire_change *e;
	bool ancestor;

	if (!s)
		return;
	// A thread's name is nothing that a child could ask about, and often set.
	ancestor = s->shape.special != SPECIAL_PRCTL || GET(task, pid) == GET(task, tgid);
	if (ret >= 0)
		changed(typed, task, ancestor);
	begin_call(typed, s, task, WIRE_CHANGE, ret);
	e = (void *)s->out;
	put_names(typed, s, fixed, task);
	put_data(s, fixed);
	put_state(typed, &e->state, task);
	e->state.cwd_len = put_path(typed, s, fixed, &fs->pwd, task, &e->call.marks);
	e->state.root_len = put_path(typed, s, fixed, &fs->root, 0, &e->call.marks);
	submit(s, fixed, true);
	if (ret >= 0)
		changed(typed, task, ancestor);
	release(s);
}

// The exit of every system call, 64 and 32 bit. A call's own tracepoint would not see
// the 32-bit ones. The tracepoint's arguments (registers, result) have not changed
// since 4.17. Typed tracepoints since 5.5, with bpf_rdonly_cast since 6.2.
SEC("tp_btf/sys_exit")
int riposte_syscall_typed(__u64 *ctx)
{
	dispatch(true, ctx);
	return 0;
}

// The same for kernels from 5.8 with BTF that do not load the one above.
SEC("raw_tp/sys_exit")
int riposte_syscall_raw(__u64 *ctx)
{
	dispatch(false, ctx);
	return 0;
}

SEC("tp_btf/sys_exit")
int handle_call_typed(__u64 *ctx)
{
	on_call(true, ctx[1]);
	return 0;
}

SEC("raw_tp/sys_exit")
int handle_call_raw(__u64 *ctx)
{
	on_call(false, ctx[1]);
	return 0;
}

SEC("tp_btf/sys_exit")
int handle_change_typed(__u64 *ctx)
{
	on_change(true, ctx[1]);
	return 0;
}

SEC("raw_tp/sys_exit")
int handle_change_raw(__u64 *ctx)
{
	on_change(false, ctx[1]);
	return 0;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
