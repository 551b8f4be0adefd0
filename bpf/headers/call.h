// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// The parts that the records of all system calls have: the arguments, names with the
// directory that they start from, and data.
#pragma once

#include "path.h"
#include "text.h"

#define AT_FDCWD (-100)

// An argument by its place in a shape.
static __always_inline __u64 arg(struct scratch *s, __u32 place)
{
	return s->args[(place - 1) & 7];
}

static __always_inline __s64 result(struct scratch *s)
{
	struct wire_header *h = (void *)s->out;

	return h->ret;
}

// Starts the record of the call whose shape and arguments the scratch holds.
static __always_inline struct wire_call *begin_call(const bool typed, struct scratch *s,
						    struct task_struct *task, __u8 kind, __s64 ret)
{
	struct wire_call *e = (void *)s->out;

	s->used = 0;
	begin(typed, s, task, kind, s->shape.call, ret);
	__builtin_memcpy(e->args, s->args, sizeof(e->args));
	e->marks = 0;
	e->name_len[0] = 0;
	e->name_len[1] = 0;
	e->base_len[0] = 0;
	e->base_len[1] = 0;
	e->data_len = 0;
	e->spare = 0;
	return e;
}

// The directory that a relative name counts from, 0 if there is none.
static __always_inline struct path *base_of(const bool typed, struct task_struct *task, __s32 dirfd)
{
	struct fs_struct *fs;
	struct file *dir;

	if (dirfd == AT_FDCWD) {
		fs = GET(task, fs);
		return &fs->pwd;
	}
	dir = file_at(typed, task, dirfd);
	return dir ? &dir->f_path : 0;
}

// Appends where a name that begins at `start` counts from. An empty name stands for
// the directory's descriptor itself.
static __always_inline __u16 put_base(const bool typed, struct scratch *s, __u32 fixed,
				      struct task_struct *task, __u32 start, __u16 len, __s32 dirfd,
				      __u32 *marks)
{
	struct path *base;

	if (start > OUT_TEXTS)
		start = OUT_TEXTS;
	if (len && s->out[fixed + start] == '/')
		return 0;
	base = base_of(typed, task, dirfd);
	if (!base)
		return 0;
	return put_path(typed, s, fixed, base, task, marks);
}

static __always_inline void put_name(const bool typed, struct scratch *s, __u32 fixed,
				     struct task_struct *task, const int i)
{
	struct wire_call *e = (void *)s->out;
	__u32 place = s->shape.name[i];
	__u32 dir = s->shape.dir[i];
	__u32 start = room(s);
	__u32 marks = 0;

	if (!place)
		return;
	e->name_len[i] = put_user_text(s, fixed, arg(s, place), &marks);
	if (dir != BASE_NONE && !marks)
		e->base_len[i] = put_base(typed, s, fixed, task, start, e->name_len[i],
					  dir == BASE_CWD ? AT_FDCWD : (__s32)arg(s, dir), &marks);
	e->marks |= marks;
}

static __always_inline void put_names(const bool typed, struct scratch *s, __u32 fixed,
				      struct task_struct *task)
{
	put_name(typed, s, fixed, task, 0);
	put_name(typed, s, fixed, task, 1);
}

static __always_inline void put_data(struct scratch *s, __u32 fixed)
{
	struct wire_call *e = (void *)s->out;
	__u32 place = s->shape.data;
	__u64 len;

	if (!place)
		return;
	if (s->shape.special == SPECIAL_VECTOR) {
		len = room(s);
		put_pieces(s->slot, fixed, arg(s, place), arg(s, s->shape.data_len), DATA_MAX);
		e->data_len = room(s) - len;
		return;
	}
	if (!s->shape.data_len && !s->shape.data_size) {
		e->data_len = put_user_text(s, fixed, arg(s, place), &e->marks);
		return;
	}
	len = s->shape.data_size;
	if (s->shape.data_len) {
		len = arg(s, s->shape.data_len);
		if (len > DATA_MAX)
			len = DATA_MAX;
	}
	e->data_len = put_user_bytes(s, fixed, arg(s, place), len);
}
