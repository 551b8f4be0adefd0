// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// Texts from user memory and from the kernel, appended to a record.
#pragma once

#include "maps.h"

static __always_inline __u16 put_user_text(struct scratch *s, __u32 fixed, __u64 from, __u32 *marks)
{
	__u32 to = room(s);
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
	__u32 to = room(s);
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

// At most 255 bytes as they are; none is no loss.
static __always_inline __u16 put_user_bytes(struct scratch *s, __u32 fixed, __u64 from, __u64 len)
{
	__u32 to = room(s);
	__u32 n = len > 255 ? 255 : len;

	if (!from || !n)
		return 0;
	FORGET(n);
	if (bpf_probe_read_user(&s->out[fixed + to], n & 255, (void *)from)) {
		lose(LOSS_ARGUMENT);
		return 0;
	}
	s->used = to + n;
	return n;
}

// A message is looked at in at most this many pieces.
#define PIECES_MAX 16

// Appends the first bytes of an array of buffers, at most `most`, and returns the size
// of all of them. Not static, so that the verifier checks it once and not at every
// call. Such a function is handed numbers only.
__noinline __u64 put_pieces(__u32 slot, __u32 fixed, __u64 pieces, __u64 count, __u64 most)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);
	__u64 all = 0;

	if (!s)
		return 0;
	if (most > DATA_MAX)
		most = DATA_MAX;
	fixed &= OUT_FIXED - 1;
	for (int i = 0; i < PIECES_MAX; i++) {
		__u32 to = room(s);
		__u64 piece[2] = {};
		__u64 n;

		if ((__u64)i >= count)
			break;
		if (s->compat) {
			__u32 narrow[2] = {};

			bpf_probe_read_user(narrow, sizeof(narrow), (void *)(pieces + i * 8));
			piece[0] = narrow[0];
			piece[1] = narrow[1];
		} else {
			bpf_probe_read_user(piece, sizeof(piece), (void *)(pieces + i * 16));
		}
		all += piece[1];
		n = piece[1] < most ? piece[1] : most;
		if (!n)
			continue;
		FORGET(n);
		if (bpf_probe_read_user(&s->out[fixed + to], n & 127, (void *)piece[0])) {
			lose(LOSS_ARGUMENT);
			break;
		}
		s->used = to + n;
		most -= n;
	}
	return all;
}
