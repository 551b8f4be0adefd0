//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// The helpers that all programs share, each in a program of its own that a test runs
// by BPF_PROG_RUN in its own task. The agent does not load them. Only plain raw
// tracepoints can be run so.
#include "headers/path.h"
#include "headers/text.h"

#define HELPER_TEXT 8192

struct helper_answer {
	__u64 ret;
	__u32 marks;
	__u32 used;
	__u8 text[HELPER_TEXT];
};

const struct helper_answer *go_helper_answer;

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct helper_answer);
} answers SEC(".maps");

static __always_inline int answer(struct scratch *s, __u64 ret, __u32 marks)
{
	__u32 key = 0;
	struct helper_answer *a = bpf_map_lookup_elem(&answers, &key);

	if (a) {
		a->ret = ret;
		a->marks = marks;
		a->used = s->used;
		bpf_probe_read_kernel(a->text, sizeof(a->text), s->out);
	}
	release(s);
	return 0;
}

// A text at an address, behind so many bytes.
SEC("raw_tp/sys_exit")
int helper_text(__u64 *ctx)
{
	struct scratch *s = acquire(SLOT_SYSCALL);
	__u32 marks = 0;
	__u64 ret;

	if (!s)
		return 0;
	s->used = ctx[1];
	ret = put_user_text(s, 0, ctx[0], &marks);
	return answer(s, ret, marks);
}

// So many bytes at an address.
SEC("raw_tp/sys_exit")
int helper_bytes(__u64 *ctx)
{
	struct scratch *s = acquire(SLOT_SYSCALL);

	if (!s)
		return 0;
	return answer(s, put_user_bytes(s, 0, ctx[0], ctx[1]), 0);
}

// The first bytes of an array of buffers.
SEC("raw_tp/sys_exit")
int helper_pieces(__u64 *ctx)
{
	struct scratch *s = acquire(SLOT_SYSCALL);

	if (!s)
		return 0;
	s->compat = 0;
	return answer(s, put_pieces(SLOT_SYSCALL, 0, ctx[0], ctx[1], ctx[2]), 0);
}

// The path of a descriptor.
SEC("raw_tp/sys_exit")
int helper_path(__u64 *ctx)
{
	struct scratch *s = acquire(SLOT_SYSCALL);
	struct task_struct *task = current_task(false);
	struct file *file;
	__u32 marks = 0;
	__u64 ret = 0;

	if (!s)
		return 0;
	file = file_at(false, task, (__s32)ctx[0]);
	if (file) {
		ret = put_path(false, s, 0, &file->f_path, task, &marks);
		marks |= file_marks(false, file, (struct inode *)ADDRESS(file, f_inode));
	} else {
		marks = MARK_FILE_LOST;
	}
	return answer(s, ret, marks);
}

char program_license[] SEC("license") = "Dual BSD/GPL";
