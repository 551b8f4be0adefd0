//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// Requests that come by io_uring and pass by every system call. One is reported when
// it is submitted, with the names as the kernel has copied them, in the form of the
// call that does the same; and again when it is done, with its result and what it has
// made or used. User space joins the two.
#include "headers/socket.h"

// Kinds of requests; their numbers are a fixed part of the kernel's interface.
enum {
	OP_SENDMSG = 9,
	OP_RECVMSG = 10,
	OP_ACCEPT = 13,
	OP_CONNECT = 16,
	OP_OPENAT = 18,
	OP_SEND = 26,
	OP_RECV = 27,
	OP_OPENAT2 = 28,
	OP_RENAMEAT = 35,
	OP_UNLINKAT = 36,
	OP_MKDIRAT = 37,
	OP_SYMLINKAT = 38,
	OP_LINKAT = 39,
	OP_SOCKET = 45,
	OP_LISTEN = 57,
};

#define SKIP_SUCCESS (1 << 6) // IOSQE_CQE_SKIP_SUCCESS
#define EINPROGRESS 115

// Whether a completion's third argument is the entry with the result (since 6.15),
// else the fourth is the result.
const volatile bool result_in_entry = true;

static __always_inline struct wire_shape *shape_of(const bool typed, struct io_kiocb *req)
{
	__u32 index = TABLE_URING + GET(req, opcode);

	return bpf_map_lookup_elem(&shapes, &index);
}

// A name that counts from the directory.
static __always_inline void put_filename(const bool typed, struct scratch *s, __u32 fixed,
					 struct task_struct *task, struct filename *name, __s32 dfd,
					 const int i)
{
	struct wire_call *e = (void *)s->out;
	__u32 start = room(s);
	__u32 marks = 0;

	e->name_len[i] = put_kernel_text(s, fixed, GET(name, name), &marks);
	if (!marks)
		e->base_len[i] =
		    put_base(typed, s, fixed, task, start, e->name_len[i], dfd, &marks);
	e->marks |= marks;
}

static __always_inline void submit_open(const bool typed, struct scratch *s,
					struct task_struct *task, struct io_kiocb *req, __u64 id)
{
	struct io_open *o = CAST(struct io_open, req);
	const __u32 fixed = sizeof(struct wire_file);
	struct wire_file *e;

	s->args[0] = GET(o, dfd);
	s->args[2] = GET(o, how.flags);
	s->args[3] = GET(o, how.mode);
	s->args[4] = GET(o, how.resolve);
	begin_call(typed, s, task, WIRE_FILE, id);
	e = (void *)s->out;
	no_object(&e->object);
	put_filename(typed, s, fixed, task, GET(o, filename), GET(o, dfd), 0);
}

// The arguments and names of a call that works on names alone.
static __always_inline void submit_names(const bool typed, struct scratch *s,
					 struct task_struct *task, struct io_kiocb *req, __u64 id,
					 __u8 op)
{
	struct io_rename *rename = CAST(struct io_rename, req);
	struct io_unlink *unlink = CAST(struct io_unlink, req);
	struct io_mkdir *mkdir = CAST(struct io_mkdir, req);
	struct io_link *link = CAST(struct io_link, req);
	struct filename *first = 0, *second = 0;
	const __u32 fixed = sizeof(struct wire_call);
	__s32 from = AT_FDCWD, to = AT_FDCWD;

	switch (op) {
	case OP_RENAMEAT:
		from = GET(rename, old_dfd);
		to = GET(rename, new_dfd);
		first = GET(rename, oldpath);
		second = GET(rename, newpath);
		s->args[0] = from;
		s->args[2] = to;
		s->args[4] = GET(rename, flags);
		break;
	case OP_UNLINKAT:
		from = GET(unlink, dfd);
		first = GET(unlink, filename);
		s->args[0] = from;
		s->args[2] = GET(unlink, flags);
		break;
	case OP_MKDIRAT:
		from = GET(mkdir, dfd);
		first = GET(mkdir, filename);
		s->args[0] = from;
		s->args[2] = GET(mkdir, mode);
		break;
	default:
		from = GET(link, old_dfd);
		to = GET(link, new_dfd);
		first = GET(link, oldpath);
		second = GET(link, newpath);
		s->args[0] = from;
		s->args[2] = to;
		s->args[4] = GET(link, flags);
		if (op == OP_SYMLINKAT)
			s->args[1] = to;
	}
	begin_call(typed, s, task, WIRE_CALL, id);
	put_filename(typed, s, fixed, task, first, from, 0);
	if (op == OP_SYMLINKAT) { // the target is mere text
		s->used = ((struct wire_call *)s->out)->name_len[0];
		((struct wire_call *)s->out)->base_len[0] = 0;
	}
	if (second)
		put_filename(typed, s, fixed, task, second, to, 1);
}

// Where a message goes, as the kernel has copied it.
static __always_inline __u16 put_destination(const bool typed, struct scratch *s, __u32 fixed,
					     struct io_kiocb *req, __u8 op)
{
	struct io_async_msghdr *message;
	struct io_connect *connect;
	__u64 at = ADDRESS(req, async_data);
	__u32 to = room(s);
	__u16 family = 0;
	__u32 len = 0;

	if (!at)
		return 0;
	message = CAST(struct io_async_msghdr, at);
	if (op == OP_CONNECT) {
		connect = CAST(struct io_connect, req);
		len = GET(connect, addr_len);
		// The address was alone in a structure until 6.9, then in that of a
		// message, and is alone again since 7.0 and in late 6.18: no type tells.
		// Where there is a message, a pointer or nothing comes first.
		bpf_probe_read_kernel(&family, sizeof(family), (void *)at);
		if (!(family & 7))
			at += FIELD_OFFSET(struct io_async_msghdr, addr);
	} else if (FIELD_EXISTS(struct io_async_msghdr, addr)) {
		if (!GET(message, msg.msg_name))
			return 0;
		len = GET(message, msg.msg_namelen);
		at += FIELD_OFFSET(struct io_async_msghdr, addr);
	}
	if (len == 0 || len > ADDR_MAX)
		return 0;
	FORGET(len);
	if (bpf_probe_read_kernel(&s->out[fixed + to], len & 255, (void *)at))
		return 0;
	s->used = to + len;
	return len;
}

static __always_inline void submit_socket(const bool typed, struct scratch *s,
					  struct task_struct *task, struct io_kiocb *req, __u64 id,
					  __u8 op)
{
	struct io_accept *accept = CAST(struct io_accept, req);
	struct io_socket *socket = CAST(struct io_socket, req);
	struct io_sr_msg *message = CAST(struct io_sr_msg, req);
	const __u32 fixed = sizeof(struct wire_socket);
	struct wire_socket *e;

	s->args[0] = GET(req, cqe.fd);
	switch (op) {
	case OP_ACCEPT:
		s->args[3] = GET(accept, flags);
		break;
	case OP_SOCKET:
		if (!TYPE_EXISTS(struct io_socket))
			break;
		s->args[0] = GET(socket, domain);
		s->args[1] = GET(socket, type);
		s->args[2] = GET(socket, protocol);
		break;
	case OP_LISTEN:
		if (TYPE_EXISTS(struct io_listen)) {
			struct io_listen *listen = CAST(struct io_listen, req);

			s->args[1] = GET(listen, backlog);
		}
		break;
	}
	begin_call(typed, s, task, WIRE_SOCKET, id);
	e = (void *)s->out;
	clear_socket(e);
	if (op == OP_SEND || op == OP_RECV)
		e->size = GET(message, len);
	if (op == OP_CONNECT || op == OP_SEND || op == OP_SENDMSG)
		e->addr_len = put_destination(typed, s, fixed, req, op);
}

static __always_inline void on_submit(const bool typed, struct io_kiocb *req)
{
	struct task_struct *task = current_task(typed);
	struct wire_shape *shape = shape_of(typed, req);
	struct wire_call *e;
	struct scratch *s;
	__u32 fixed;
	__u8 op;

	if (!shape || !shape->call || own() || shed(shape->tier))
		return;
	s = acquire(SLOT_URING);
	if (!s)
		return;
	s->shape = *shape;
	s->compat = 0;
	__builtin_memset(s->args, 0, sizeof(s->args));
	op = GET(req, opcode);
	switch (shape->handler) {
	case HANDLER_FILE:
		submit_open(typed, s, task, req, (__u64)req);
		fixed = sizeof(struct wire_file);
		break;
	case HANDLER_SOCKET:
		submit_socket(typed, s, task, req, (__u64)req, op);
		fixed = sizeof(struct wire_socket);
		break;
	default:
		submit_names(typed, s, task, req, (__u64)req, op);
		fixed = sizeof(struct wire_call);
	}
	e = (void *)s->out;
	e->header.uring = 1;
	e->header.compat = 0;
	if (GET(req, flags) & SKIP_SUCCESS)
		e->marks |= MARK_SKIPPED;
	submit(s, fixed, false);
	release(s);
}

static __always_inline __u16 role_of(__u8 op, __s64 ret)
{
	switch (op) {
	case OP_CONNECT:
		return ret == 0 || ret == -EINPROGRESS ? ROLE_CLIENT : ROLE_UNKNOWN;
	case OP_ACCEPT:
	case OP_LISTEN:
		return ret >= 0 ? ROLE_SERVER : ROLE_UNKNOWN;
	}
	return ROLE_UNKNOWN;
}

static __always_inline void on_done(const bool typed, struct io_kiocb *req, __s32 res)
{
	struct task_struct *task = current_task(typed);
	const __u32 fixed = sizeof(struct wire_socket);
	struct wire_shape *shape;
	struct wire_socket *e;
	struct file *file = 0;
	struct scratch *s;
	__u64 sk, at;
	__u8 op;

	if (!req) // one of many results of a request
		return;
	shape = shape_of(typed, req);
	if (!shape || !shape->call || own())
		return;
	s = acquire(SLOT_URING);
	if (!s)
		return;
	s->shape = *shape;
	s->compat = 0;
	__builtin_memset(s->args, 0, sizeof(s->args));
	s->args[0] = (__u64)req;
	op = GET(req, opcode);
	begin_call(typed, s, task, WIRE_DONE, res);
	e = (void *)s->out;
	e->call.header.uring = 1;
	e->call.header.compat = 0;
	clear_socket(e);
	if (shape->fd == FD_RESULT) {
		if (res >= 0)
			file = file_at(typed, task, res);
	} else if (shape->handler == HANDLER_SOCKET) {
		at = ADDRESS(req, file);
		if (at)
			file = CAST(struct file, at);
	}
	if (file) {
		put_object(typed, s, fixed, task, &e->object, file);
		sk = sock_of(typed, file);
		if (sk) {
			put_tuple(typed, s, fixed, e, sk);
			put_role(s, fixed, e, sk, role_of(op, res), false, 0);
		}
	}
	submit(s, fixed, false);
	release(s);
}

// A request that is taken from the ring, prepared: its names are copied. Called so
// since 6.4; from 5.19 on the same tracepoint was io_uring_submit_sqe.
SEC("tp_btf/io_uring_submit_req")
int riposte_uring_typed(__u64 *ctx)
{
	on_submit(true, (struct io_kiocb *)ctx[0]);
	return 0;
}

SEC("raw_tp/io_uring_submit_req")
int riposte_uring_raw(__u64 *ctx)
{
	on_submit(false, (struct io_kiocb *)ctx[0]);
	return 0;
}

// A request's result.
SEC("tp_btf/io_uring_complete")
int riposte_done_typed(__u64 *ctx)
{
	struct io_uring_cqe *entry;
	struct io_kiocb *req;

	if (!ctx[1])
		return 0;
	req = bpf_rdonly_cast((void *)ctx[1], TYPE_ID(struct io_kiocb));
	if (result_in_entry) {
		entry = bpf_rdonly_cast((void *)ctx[2], TYPE_ID(struct io_uring_cqe));
		on_done(true, req, entry->res);
	} else {
		on_done(true, req, ctx[3]);
	}
	return 0;
}

SEC("raw_tp/io_uring_complete")
int riposte_done_raw(__u64 *ctx)
{
	__s32 res;

	// No look at an argument that the tracepoint may not have.
	if (result_in_entry)
		bpf_probe_read_kernel(&res, sizeof(res), &((struct io_uring_cqe *)ctx[2])->res);
	else
		res = ctx[3];
	on_done(false, (struct io_kiocb *)ctx[1], res);
	return 0;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
