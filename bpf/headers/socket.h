// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// What a socket says of itself, and what is remembered about it.
#pragma once

#include "object.h"

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define TCP_ESTABLISHED 1
#define ADDR_MAX 128

// Which end a socket is follows from its first call, and its partner without a
// connection from the last; the kernel keeps neither.
struct remembered {
	__u32 role;
	__u8 addr[28]; // the longest address of the internet families
};

// An address of the kernel is used again; the inode's number keeps the sockets apart.
struct remembered_key {
	__u64 sock;
	__u64 ino;
};

// Full, it gives up what was not used for the longest time: such a socket has no role.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, struct remembered_key);
	__type(value, struct remembered);
} sockets SEC(".maps");

// A unix socket's path, or a name that begins with a NUL, appended to the record.
static __always_inline __u16 put_unix(const bool typed, struct scratch *s, __u32 fixed, __u64 sk)
{
	struct unix_sock *sock = CAST(struct unix_sock, sk);
	__u64 at = ADDRESS(sock, addr);
	struct unix_address *address;
	__u32 to = room(s);
	int len;

	if (!at)
		return 0;
	address = CAST(struct unix_address, at);
	len = GET(address, len);
	len -= 2; // without the family
	if (len <= 0 || len > 108)
		return 0;
	bpf_probe_read_kernel(&s->out[fixed + to], len & 127, (void *)&address->name[0].sun_path);
	s->used = to + len;
	return len;
}

static __always_inline void put_tuple(const bool typed, struct scratch *s, __u32 fixed,
				      struct wire_socket *e, __u64 at)
{
	struct sock *sk = CAST(struct sock, at);
	struct unix_sock *own;
	__u64 peer;

	e->call.marks |= MARK_SOCKET;
	e->family = GET(sk, __sk_common.skc_family);
	e->protocol = GET(sk, sk_protocol);
	e->type = GET(sk, sk_type);
	switch (e->family) {
	case AF_INET:
		bpf_probe_read_kernel(e->local, 4, &sk->__sk_common.skc_rcv_saddr);
		bpf_probe_read_kernel(e->remote, 4, &sk->__sk_common.skc_daddr);
		break;
	case AF_INET6:
		bpf_probe_read_kernel(e->local, 16, &sk->__sk_common.skc_v6_rcv_saddr);
		bpf_probe_read_kernel(e->remote, 16, &sk->__sk_common.skc_v6_daddr);
		break;
	case AF_UNIX:
		own = CAST(struct unix_sock, at);
		peer = ADDRESS(own, peer);
		e->own_len = put_unix(typed, s, fixed, at);
		if (peer) {
			e->peer_len = put_unix(typed, s, fixed, peer);
			e->call.marks |= MARK_CONNECTED;
		}
		return;
	default:
		return;
	}
	e->local_port = GET(sk, __sk_common.skc_num);
	e->remote_port = __builtin_bswap16(GET(sk, __sk_common.skc_dport));
	if (GET(sk, __sk_common.skc_state) == TCP_ESTABLISHED && e->remote_port)
		e->call.marks |= MARK_CONNECTED;
}

static __always_inline void clear_socket(struct wire_socket *e)
{
	__builtin_memset(&e->object, 0, sizeof(*e) - sizeof(e->call));
}

// Takes the role from the call that has just been made, with `first` only if it is the
// socket's first, or from what is remembered. A datagram's address stands in the
// record at `start`.
static __always_inline void put_role(struct scratch *s, __u32 fixed, struct wire_socket *e,
				     __u64 sk, __u16 role, bool first, __u32 start)
{
	struct remembered_key key = {.sock = sk, .ino = e->object.ino};
	struct remembered *known = bpf_map_lookup_elem(&sockets, &key);
	struct remembered now = {};
	bool changed = false;

	if (known)
		now = *known;
	if (role && role != now.role && !(first && now.role)) {
		now.role = role;
		changed = true;
	}
	e->role = now.role;
	if (first && e->addr_len && !(e->call.marks & MARK_CONNECTED)) {
		__u8 addr[28] = {};
		__u32 len = e->addr_len > 28 ? 28 : e->addr_len;

		if (start > OUT_TEXTS)
			start = OUT_TEXTS;
		FORGET(len);
		bpf_probe_read_kernel(addr, len & 31, &s->out[fixed + start]);
		for (int i = 0; i < 28; i++)
			if (addr[i] != now.addr[i])
				changed = true;
		if (changed)
			e->call.marks |= MARK_RENAMED;
		__builtin_memcpy(now.addr, addr, sizeof(addr));
	}
	if (changed)
		bpf_map_update_elem(&sockets, &key, &now, 0);
}
