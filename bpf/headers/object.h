// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// What stands behind a descriptor: a file with its path, or a socket.
#pragma once

#include "call.h"

// The descriptor that the shape names, or -1.
static __always_inline __s32 descriptor(struct scratch *s)
{
	__u32 place = s->shape.fd;

	if (place == FD_NONE)
		return -1;
	if (place == FD_RESULT)
		return result(s) < 0 ? -1 : (__s32)result(s);
	return (__s32)arg(s, place);
}

static __always_inline void no_object(struct wire_object *o)
{
	__builtin_memset(o, 0, sizeof(*o));
}

static __always_inline void put_object(const bool typed, struct scratch *s, __u32 fixed,
				       struct task_struct *task, struct wire_object *o,
				       struct file *file)
{
	struct wire_call *e = (void *)s->out;
	struct inode *inode = GET(file, f_inode);

	o->ino = GET(inode, i_ino);
	o->dev = device_of(typed, inode);
	o->imode = GET(inode, i_mode);
	if ((o->imode & S_IFMT) == S_IFSOCK)
		return; // has no path
	e->marks |= file_marks(typed, file, inode);
	o->path_len = put_path(typed, s, fixed, &file->f_path, task, &e->marks);
	if (is_bound(typed, &file->f_path, task))
		o->origin_len = put_path(typed, s, fixed, &file->f_path, WITHIN, &e->marks);
}

// The socket's own structure behind a file, 0 if the file is none.
static __always_inline __u64 sock_of(const bool typed, struct file *file)
{
	struct inode *inode = GET(file, f_inode);
	struct socket *socket;

	if ((GET(inode, i_mode) & S_IFMT) != S_IFSOCK)
		return 0;
	socket = CAST(struct socket, ADDRESS(file, private_data));
	return ADDRESS(socket, sk);
}

#define SOCK_STREAM 1

// Whether a descriptor is no socket whose end a send or a receipt could tell: a stream's
// end is known by how it began.
static __always_inline bool tells_no_role(const bool typed, struct task_struct *task, __u32 fd)
{
	struct file *file = file_at(typed, task, fd);
	struct sock *sk;
	__u64 at;

	if (!file)
		return true;
	at = sock_of(typed, file);
	if (!at)
		return true;
	sk = CAST(struct sock, at);
	return GET(sk, sk_type) == SOCK_STREAM;
}
