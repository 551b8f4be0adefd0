//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// Calls that make or use a descriptor: opens and what works on an open file.
#include "headers/paths.h"

static __always_inline void on_file(const bool typed, __s64 ret)
{
	struct task_struct *task = current_task(typed);
	struct scratch *s = inherit(SLOT_SYSCALL);
	const __u32 fixed = sizeof(struct wire_file);
	struct wire_file *e;
	struct file *file;
	__s32 fd;

	if (!s)
		return;
	begin_call(typed, s, task, WIRE_FILE, ret);
	e = (void *)s->out;
	no_object(&e->object);
	put_names(typed, s, fixed, task);
	fd = descriptor(s);
	if (fd >= 0) {
		file = file_at(typed, task, fd);
		if (file) {
			put_object(typed, s, fixed, task, &e->object, file);
		} else if (ret >= 0) {
			e->call.marks |= MARK_FILE_LOST;
			lose(LOSS_FILE);
		}
	}
	put_data(s, fixed);
	if (!unwanted_path(s, fixed))
		submit(s, fixed, s->shape.tier == TIER_STATE);
	release(s);
}

SEC("tp_btf/sys_exit")
int handle_file_typed(__u64 *ctx)
{
	on_file(true, ctx[1]);
	return 0;
}

SEC("raw_tp/sys_exit")
int handle_file_raw(__u64 *ctx)
{
	on_file(false, ctx[1]);
	return 0;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
