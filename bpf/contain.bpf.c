//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// Cuts a container off the network. Each cut has its own instance of these programs
// and of the map `cut`, so that one cut's end cannot touch another's.
//
// They are attached without links, so they stay when the agent ends, and go when the
// cgroup or the device goes. Each packet is compared with the lease's end in the map:
// a cut ends in time even if no agent is left to lift it.
#include "headers/helpers.h"

// The start of the kernel's interface for packets, which is fixed.
struct __sk_buff {
	__u32 len;
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__u32 protocol;
	__u32 vlan_present;
	__u32 vlan_tci;
	__u32 vlan_proto;
	__u32 priority;
	__u32 ingress_ifindex;
	__u32 ifindex;
};

#define MAP_TYPE_ARRAY 2

// What the slots of the map mean. User space writes the first two; the others count
// packets, which is the proof that the cut works.
enum cut_slot {
	CUT_UNTIL,    // end of the lease, nanoseconds since boot
	CUT_LOOPBACK, // not 0: the loopback device is left alone
	CUT_OUT,      // dropped on the way out of the container
	CUT_IN,	      // dropped on the way into it
	CUT_WIRE,     // dropped at a device of its network namespace
	CUT_SLOTS,
};

// The compiler keeps only types that something refers to; Go wants this too.
const enum cut_slot *go_cut_slot;

struct {
	__uint(type, MAP_TYPE_ARRAY);
	__uint(max_entries, CUT_SLOTS);
	__type(key, __u32);
	__type(value, __u64);
} cut SEC(".maps");

// The loopback device is the first of every network namespace.
#define LOOPBACK_IFINDEX 1

// What the kernel takes for an answer.
#define CGROUP_DROP 0
#define CGROUP_PASS 1
#define TCX_NEXT -1
#define TCX_DROP 2

static __always_inline __u64 slot(__u32 key)
{
	__u64 *v = bpf_map_lookup_elem(&cut, &key);

	return v ? *(volatile __u64 *)v : 0;
}

static __always_inline bool drops(__u32 counter)
{
	__u64 *n;

	if (bpf_ktime_get_boot_ns() >= slot(CUT_UNTIL))
		return false;
	n = bpf_map_lookup_elem(&cut, &counter);
	if (n)
		__sync_fetch_and_add(n, 1);
	return true;
}

static __always_inline int at_cgroup(struct __sk_buff *skb, __u32 counter)
{
	if (skb->ifindex == LOOPBACK_IFINDEX && slot(CUT_LOOPBACK))
		return CGROUP_PASS;
	return drops(counter) ? CGROUP_DROP : CGROUP_PASS;
}

// Every packet that a socket of the cgroup sends or would receive, raw sockets
// included, packet sockets not. Since 4.10.
SEC("cgroup_skb/egress")
int riposte_cut_out(struct __sk_buff *skb)
{
	return at_cgroup(skb, CUT_OUT);
}

SEC("cgroup_skb/ingress")
int riposte_cut_in(struct __sk_buff *skb)
{
	return at_cgroup(skb, CUT_IN);
}

// Every packet at a device, whichever socket it is from: a packet socket, one that
// skips the queueing (PACKET_QDISC_BYPASS) and AF_XDP go around the cgroup, but
// nothing goes around the host's end of a veth pair. By tcx since 6.6, as filters of
// a clsact qdisc since 4.5: the answers mean the same there.
SEC("tcx/ingress")
int riposte_cut_rx(struct __sk_buff *skb __attribute__((unused)))
{
	return drops(CUT_WIRE) ? TCX_DROP : TCX_NEXT;
}

SEC("tcx/egress")
int riposte_cut_tx(struct __sk_buff *skb __attribute__((unused)))
{
	return drops(CUT_WIRE) ? TCX_DROP : TCX_NEXT;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
