// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// Opens that no rule can match for their path: user space says what the path of a file
// that is opened for reading must have. It is asked only where both names of the file,
// the argument and the path, are the same text, so that none can hide behind the other.
#pragma once

#include "object.h"

// Beginnings of paths.
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, PATH_PREFIXES);
	__uint(map_flags, 1); // BPF_F_NO_PREALLOC, as tries want it
	__type(key, struct wire_prefix);
	__type(value, __u8);
} prefixes SEC(".maps");

// Sets of bytes that occur in a path, each bit for four values; 0: no set.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, PATH_SETS);
	__type(key, __u32);
	__type(value, __u64);
} byte_sets SEC(".maps");

// Longer paths are told.
#define PATH_ASKED_MAX 128

// So many are told all the same, so that user space learns that a process opens files in
// vain, and gives it a mask, which costs less.
#define SHOWN_MAX 16

#define O_ACCMODE 3

#define SLASHES 0x2f2f2f2f2f2f2f2fULL

// Whether the two texts of the record, one behind the other, are the same; and their
// bytes, eight at a time. What the last word has beyond the text counts as slashes, which
// each path has; as NULs it would pass for an '@'.
static __always_inline bool same_twice(const struct scratch *s, __u32 fixed, __u32 len, __u64 *set)
{
	__u64 seen = 0;

	for (__u32 i = 0; i < PATH_ASKED_MAX; i += 8) {
		__u64 a, b;

		if (i >= len)
			break;
		a = *(const __u64 *)&s->out[fixed + i];
		b = *(const __u64 *)&s->out[fixed + len + i];
		if (len - i < 8) {
			__u64 rest = (1ULL << ((len - i) * 8)) - 1;

			a = (a & rest) | (SLASHES & ~rest);
			b = (b & rest) | (SLASHES & ~rest);
		}
		if (a != b)
			return false;
		for (int n = 0; n < 8; n++) {
			seen |= 1ULL << (a & 63);
			a >>= 8;
		}
	}
	*set = seen;
	return true;
}

static __always_inline bool has_wanted_bytes(__u64 set)
{
	for (__u32 i = 0; i < PATH_SETS; i++) {
		__u64 *want = bpf_map_lookup_elem(&byte_sets, &i);

		if (!want || !*want)
			return false;
		if (!(*want & ~set))
			return true;
	}
	return false;
}

static __always_inline bool has_wanted_prefix(const struct scratch *s, __u32 fixed, __u32 len)
{
	struct wire_prefix key = {.bits = PATH_KEY * 8};
	__u32 n = len > PATH_KEY ? PATH_KEY : len;

	FORGET(n);
	bpf_probe_read_kernel(key.text, n & (2 * PATH_KEY - 1), &s->out[fixed]);
	return bpf_map_lookup_elem(&prefixes, &key) != 0;
}

// Whether the process has shown enough opens of this kind.
static __always_inline bool shown_enough(const struct wire_header *h)
{
	struct life *l = bpf_map_lookup_elem(&lives, &h->pid);

	if (!l || !h->gen)
		return false; // nobody counts its changes
	if (l->shown_gen != h->gen || l->shown_epoch != h->epoch) {
		l->shown_gen = h->gen;
		l->shown_epoch = h->epoch;
		l->shown = 0;
	}
	return l->shown++ >= SHOWN_MAX;
}

// Whether the record of an open, with all its texts, is left out.
static __always_inline bool unwanted_path(struct scratch *s, __u32 fixed)
{
	const struct wire_file *e = (void *)s->out;
	__u32 len = e->call.name_len[0];
	__u64 set = 0;

	if (!(s->shape.flags & SHAPE_PATHS) || s->news != NO_NEWS || e->call.header.ret < 0)
		return false;
	if (arg(s, s->shape.name[0] + 1) & O_ACCMODE)
		return false;
	if (!len || len > PATH_ASKED_MAX || len != e->object.path_len || e->object.origin_len ||
	    e->call.base_len[0])
		return false;
	if (e->call.marks & (MARK_NAME_LOST | MARK_PATH_CUT | MARK_FILE_LOST))
		return false;
	if (has_wanted_prefix(s, fixed, len) || !same_twice(s, fixed, len, &set) ||
	    has_wanted_bytes(set) || !shown_enough(&e->call.header))
		return false;
	note(NOTE_PATH);
	return true;
}
