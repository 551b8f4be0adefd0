// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// Texts from user memory and from the kernel, appended to a record.
#pragma once

#include "maps.h"

static __always_inline __u16 put_user_text(struct scratch *s, __u32 fixed, __u64 from, __u32 *marks)
{
	__u32 to = s->used & OUT_MASK;
	long n = bpf_probe_read_user_str(&s->out[fixed + to], TEXT_MAX, (void *)from);

	if (n <= 0) {
		*marks |= MARK_NAME_LOST;
		lose(LOSS_ARGUMENT);
		return 0;
	}
	n = (n - 1) & (TEXT_MAX - 1);
	s->used = to + n;
	return n;
}

static __always_inline __u16 put_kernel_text(struct scratch *s, __u32 fixed, const char *from,
					     __u32 *marks)
{
	__u32 to = s->used & OUT_MASK;
	long n = bpf_probe_read_kernel_str(&s->out[fixed + to], TEXT_MAX, from);

	if (n <= 0) {
		*marks |= MARK_NAME_LOST;
		lose(LOSS_ARGUMENT);
		return 0;
	}
	n = (n - 1) & (TEXT_MAX - 1);
	s->used = to + n;
	return n;
}
