//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// Calls on sockets, and dup, which rules ask whether it was one. The tuple is the
// socket's own; a call that failed or was not connected has the argument's address
// beside it.
#include "headers/socket.h"

#define EINPROGRESS 115

// A message as its structure describes it, whichever the caller's word length.
struct message {
	__u64 name;
	__u64 pieces;
	__u64 count;
	__u64 control;
	__u32 name_len;
	__u32 control_len;
};

static __always_inline void read_message(struct scratch *s, __u64 from, struct message *m)
{
	if (s->compat) {
		__u32 narrow[6] = {};

		if (bpf_probe_read_user(narrow, sizeof(narrow), (void *)from))
			lose(LOSS_ARGUMENT);
		m->name = narrow[0];
		m->name_len = narrow[1];
		m->pieces = narrow[2];
		m->count = narrow[3];
		m->control = narrow[4];
		m->control_len = narrow[5];
		return;
	}
	__u64 wide[6] = {};

	if (bpf_probe_read_user(wide, sizeof(wide), (void *)from))
		lose(LOSS_ARGUMENT);
	m->name = wide[0];
	m->name_len = wide[1];
	m->pieces = wide[2];
	m->count = wide[3];
	m->control = wide[4];
	m->control_len = wide[5];
}

// A call that moves several messages has an array of their structures, each with the
// length of what was moved behind it.
#define MESSAGE_WIDE 64
#define MESSAGE_NARROW 32
#define MOVED_WIDE 56
#define MOVED_NARROW 28

// The kernel follows at most 33 tail calls, of which the first has come here.
#define MESSAGES_MAX 32

static __always_inline bool has_several(__u32 special)
{
	return special == SPECIAL_SENDMMSG || special == SPECIAL_RECVMMSG;
}

// Where the structure of the message in work is.
static __always_inline __u64 message_at(struct scratch *s)
{
	if (!has_several(s->shape.special))
		return s->args[1];
	return s->args[1] + (__u64)s->message * (s->compat ? MESSAGE_NARROW : MESSAGE_WIDE);
}

// What the call has moved of the message in work, or its error.
static __always_inline __s64 result_of_message(struct scratch *s, __s64 ret)
{
	__u32 len = 0;

	if (ret < 0)
		return ret;
	if (bpf_probe_read_user(&len, sizeof(len),
				(void *)message_at(s) + (s->compat ? MOVED_NARROW : MOVED_WIDE)))
		lose(LOSS_ARGUMENT);
	return len;
}

static __always_inline __u16 put_addr(struct scratch *s, __u32 fixed, __u64 from, __u32 len)
{
	if ((__s32)len < 0)
		return 0;
	return put_user_bytes(s, fixed, from, len > ADDR_MAX ? ADDR_MAX : len);
}

// How much of the data a call has moved.
static __always_inline __u64 moved(__s64 ret)
{
	if (ret < 0)
		return 0;
	return ret > DATA_MAX ? DATA_MAX : ret;
}

// The address, the data and the control data that the arguments name.
static __always_inline void put_message(struct scratch *s, __u32 fixed, struct wire_socket *e,
					__s64 ret)
{
	struct message m = {};
	__u32 start, len = 0;

	switch (s->shape.special) {
	case SPECIAL_CONNECT:
		e->addr_len = put_addr(s, fixed, s->args[1], s->args[2]);
		break;
	case SPECIAL_SENDTO:
		e->addr_len = put_addr(s, fixed, s->args[4], s->args[5]);
		// What was to be sent is told when it was not, too.
		e->size = s->args[2];
		e->call.data_len = put_user_bytes(
		    s, fixed, s->args[1], ret < 0 ? moved(s->args[2] & 0xffffffff) : moved(ret));
		break;
	case SPECIAL_RECVFROM:
		if (ret >= 0 && s->args[4] && s->args[5])
			bpf_probe_read_user(&len, sizeof(len), (void *)s->args[5]);
		e->addr_len = put_addr(s, fixed, s->args[4], len);
		e->size = s->args[2];
		e->call.data_len = put_user_bytes(s, fixed, s->args[1], moved(ret));
		break;
	case SPECIAL_SENDMSG:
	case SPECIAL_SENDMMSG:
		read_message(s, message_at(s), &m);
		e->addr_len = put_addr(s, fixed, m.name, m.name_len);
		start = room(s);
		e->size =
		    put_pieces(s->slot, fixed, m.pieces, m.count, ret < 0 ? DATA_MAX : moved(ret));
		e->call.data_len = room(s) - start;
		e->control_len = put_user_bytes(s, fixed, m.control, m.control_len);
		break;
	case SPECIAL_RECVMSG:
	case SPECIAL_RECVMMSG:
		if (ret < 0)
			break;
		read_message(s, message_at(s), &m);
		e->addr_len = put_addr(s, fixed, m.name, m.name_len);
		start = room(s);
		put_pieces(s->slot, fixed, m.pieces, m.count, moved(ret));
		e->call.data_len = room(s) - start;
		e->size = ret;
		e->control_len = put_user_bytes(s, fixed, m.control, m.control_len);
		break;
	}
}

// Which end the call makes the socket.
static __always_inline __u16 role_by(__u32 special, __s64 ret)
{
	switch (special) {
	case SPECIAL_CONNECT:
		return ret == 0 || ret == -EINPROGRESS ? ROLE_CLIENT : ROLE_UNKNOWN;
	case SPECIAL_ACCEPT:
	case SPECIAL_LISTEN:
	case SPECIAL_RECVFROM:
	case SPECIAL_RECVMSG:
	case SPECIAL_RECVMMSG:
		return ret >= 0 ? ROLE_SERVER : ROLE_UNKNOWN;
	case SPECIAL_SENDTO:
	case SPECIAL_SENDMSG:
	case SPECIAL_SENDMMSG:
		return ret >= 0 ? ROLE_CLIENT : ROLE_UNKNOWN;
	}
	return ROLE_UNKNOWN;
}

// How full the queue is that a connection was taken from.
static __always_inline void put_queue(const bool typed, struct scratch *s, struct task_struct *task,
				      struct wire_socket *e)
{
	struct file *file = file_at(typed, task, s->args[0]);
	struct sock *sk;
	__u64 at;

	if (!file)
		return;
	at = sock_of(typed, file);
	if (!at)
		return;
	sk = CAST(struct sock, at);
	e->queue_len = GET(sk, sk_ack_backlog);
	e->queue_max = GET(sk, sk_max_ack_backlog);
}

// Reports the call, or of one that moves several messages the one in work.
static __always_inline void put_socket(const bool typed, struct scratch *s,
				       struct task_struct *task, __s64 ret)
{
	const __u32 fixed = sizeof(struct wire_socket);
	struct wire_socket *e;
	struct file *file = 0;
	bool first;
	__u32 start;
	__u16 role;
	__u64 sk = 0;
	__s32 fd;

	begin_call(typed, s, task, WIRE_SOCKET, ret);
	e = (void *)s->out;
	clear_socket(e);
	start = room(s);
	put_message(s, fixed, e, ret);
	fd = descriptor(s);
	if (fd >= 0)
		file = file_at(typed, task, fd);
	if (file) {
		put_object(typed, s, fixed, task, &e->object, file);
		sk = sock_of(typed, file);
	} else if (ret >= 0) {
		e->call.marks |= MARK_FILE_LOST;
		lose(LOSS_FILE);
	}
	if (sk) {
		put_tuple(typed, s, fixed, e, sk);
		role = role_by(s->shape.special, ret);
		first = s->shape.special >= SPECIAL_SENDTO;
		if (first && (ret < 0 || e->type == SOCK_STREAM)) { // how it began counts
			role = ROLE_UNKNOWN;
			first = false;
		}
		put_role(s, fixed, e, sk, role, first, start);
		if (s->shape.special == SPECIAL_ACCEPT)
			put_queue(typed, s, task, e);
	}
	if (!(s->shape.flags & SHAPE_QUIET))
		submit(s, fixed, s->shape.tier == TIER_STATE);
}

// Each message of a call that moves several is reported in a run of its own.
static __always_inline void on_socket(const bool typed, __u64 *ctx)
{
	struct task_struct *task = current_task(typed);
	struct scratch *s = inherit(SLOT_SYSCALL);
	__s64 ret = ctx[1];
	bool several;

	if (!s)
		return;
	several = has_several(s->shape.special);
	put_socket(typed, s, task, several ? result_of_message(s, ret) : ret);
	if (several && ret > s->message + 1) {
		s->message++;
		if (s->message < MESSAGES_MAX) {
			bpf_tail_call(ctx, &handlers, HANDLER_SOCKET);
			lose(LOSS_TAIL_CALL);
		} else {
			lose(LOSS_MESSAGES);
		}
	}
	release(s);
}

SEC("tp_btf/sys_exit")
int handle_socket_typed(__u64 *ctx)
{
	on_socket(true, ctx);
	return 0;
}

SEC("raw_tp/sys_exit")
int handle_socket_raw(__u64 *ctx)
{
	on_socket(false, ctx);
	return 0;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
