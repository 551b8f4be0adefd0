// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// The maps that all programs share, and how a record is begun and handed over.
#pragma once

#include "interest.h"

#define TEXT_MAX 4096
#define NAME_SIZE_MAX 255
#define DATA_MAX 80

// User space sets the real size before it loads the programs.
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 8 << 20);
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOSS_PLACES);
	__type(key, __u32);
	__type(value, __u64);
} losses SEC(".maps");

// How each call is reported; see enum wire_table. User space changes it while we run.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TABLE_END);
	__type(key, __u32);
	__type(value, struct wire_shape);
} shapes SEC(".maps");

// The programs of enum wire_handler.
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, HANDLERS);
	__type(key, __u32);
	__type(value, __u32);
} handlers SEC(".maps");

// A record is put together in the CPU's scratch memory, for its texts have no
// length that the verifier could know, and then copied to the ring at its true size.
// OUT_TEXTS bounds where a text may begin. A slot may not be larger than 32 KiB.
#define OUT_FIXED 512
#define OUT_TEXTS (5 * TEXT_MAX)

struct scratch {
	__u32 busy;
	__u32 slot;    // its own key
	__u32 used;    // bytes of text behind the fixed part
	__u32 path_at; // where the path of the last walk begins
	__u32 path_len;
	__u32 compat;
	__u32 news;		 // enum news, of the record in work
	__u32 message;		 // the one in work, of a call that moves several
	struct wire_shape shape; // of the call in work
	__u64 args[8];
	__u8 path[TEXT_MAX + NAME_SIZE_MAX + 1];
	__u8 out[OUT_FIXED + OUT_TEXTS + TEXT_MAX];
};

_Static_assert(sizeof(struct wire_exec) < OUT_FIXED && sizeof(struct wire_socket) < OUT_FIXED &&
		   sizeof(struct wire_change) < OUT_FIXED,
	       "the fixed part of every record must fit");
_Static_assert(sizeof(struct scratch) <= 32 << 10, "the kernel takes no larger values");

// One slot for each object: its programs do not interrupt each other, and where a
// kernel lets them (PREEMPT_RT) the flag `busy` notices.
enum {
	SLOT_SYSCALL,
	SLOT_PROCESS,
	SLOT_URING,
	SLOTS,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SLOTS);
	__type(key, __u32);
	__type(value, struct scratch);
} scratches SEC(".maps");

// The agent's own process, which is not reported.
const volatile __u32 own_tgid = 0;

// A wake-up is at least this long after the last one.
const volatile __u64 wake_interval_ns = 1000000;

// More unread bytes than this wake the reader at once.
const volatile __u64 wake_bytes = 2 << 20;

// With more unread bytes than this, events of the low tier are given up, and with
// more than that all but state events.
const volatile __u64 shed_low_bytes = 4 << 20;
const volatile __u64 shed_bytes = 7 << 20;

static __u64 last_wake;

static __always_inline void lose(__u32 place)
{
	__u64 *n = bpf_map_lookup_elem(&losses, &place);

	if (n)
		*n += 1;
}

// Whoever gets a scratch releases it.
static __always_inline struct scratch *acquire(__u32 slot)
{
	struct scratch *s = bpf_map_lookup_elem(&scratches, &slot);

	if (!s)
		return 0;
	if (s->busy) {
		lose(LOSS_SCRATCH_BUSY);
		return 0;
	}
	s->busy = 1;
	s->slot = slot;
	s->used = 0;
	s->path_len = 0;
	s->message = 0;
	return s;
}

static __always_inline void release(struct scratch *s)
{
	s->busy = 0;
}

// The scratch that the program before this one in a chain of tail calls has acquired.
static __always_inline struct scratch *inherit(__u32 slot)
{
	return bpf_map_lookup_elem(&scratches, &slot);
}

// Where the next text may begin.
static __always_inline __u32 room(const struct scratch *s)
{
	__u32 to = s->used;

	return to > OUT_TEXTS ? OUT_TEXTS : to;
}

// Says whether an event of the tier is given up, so that state events find room.
// Asked before the event is put together.
static __always_inline bool shed(__u32 tier)
{
	__u64 unread;

	if (tier == TIER_STATE)
		return false;
	unread = bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA);
	if (unread > shed_bytes) {
		lose(LOSS_SHED);
		return true;
	}
	if (tier == TIER_LOW && unread > shed_low_bytes) {
		lose(LOSS_SHED_LOW);
		return true;
	}
	return false;
}

// Hands the record over. The reader sleeps without a limit when nothing came for
// twice the interval, so an event after a pause must wake it; one within the interval
// is found by the reader's own look. State events wake at once: a process can be gone
// before a millisecond has passed.
static __always_inline void submit(struct scratch *s, __u32 fixed, bool state)
{
	struct wire_header *h = (void *)s->out;
	__u32 used = s->used;
	__u64 flags = BPF_RB_NO_WAKEUP;

	if (used > OUT_TEXTS + TEXT_MAX)
		used = OUT_TEXTS + TEXT_MAX;
	h->size = fixed + used;
	if (state || h->ktime - last_wake >= wake_interval_ns ||
	    bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > wake_bytes) {
		flags = BPF_RB_FORCE_WAKEUP;
		last_wake = h->ktime;
	}
	if (bpf_ringbuf_output(&events, s->out, fixed + used, flags))
		lose(state ? LOSS_RING_FULL_STATE : LOSS_RING_FULL);
	news_told(h->pid, s->news);
}
