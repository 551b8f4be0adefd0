//go:build ignore

// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// System calls at their exit: opens, connects, and execs that failed. A successful
// exec is reported by process.bpf.c: it has overwritten its own registers.
#include "headers/path.h"
#include "headers/syscall_x86.h"
#include "headers/text.h"

#define ARGV_MAX 32
#define AT_FDCWD (-100)
#define O_CREAT 0100
#define O_WRONLY 01
#define O_TRUNC 01000
#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10

// The compiler keeps only types that something refers to; Go wants these too.
const struct wire_open *go_open;
const struct wire_connect *go_connect;
const enum wire_version *go_version;
const enum wire_kind *go_kind;
const enum wire_call *go_call;
const enum wire_mark *go_mark;
const enum wire_loss *go_loss;

struct open_how {
	__u64 flags;
	__u64 mode;
	__u64 resolve;
};

// The directory from which a relative name counts, or 0. The name stands first in the
// record.
static __always_inline struct path *start_of_name(const bool typed, struct scratch *s,
						  struct task_struct *task, __u16 len, __s32 dirfd)
{
	struct fs_struct *fs;
	struct file *dir;

	if (!len || s->out[sizeof(struct wire_open)] == '/')
		return 0;
	if (dirfd == AT_FDCWD) {
		fs = GET(task, fs);
		return &fs->pwd;
	}
	dir = file_at(typed, task, dirfd);
	return dir ? &dir->f_path : 0;
}

static __always_inline void on_open(const bool typed, struct scratch *s, struct task_struct *task,
				    struct pt_regs *regs, __u8 call, bool compat, long ret)
{
	const __u32 fixed = sizeof(struct wire_open);
	struct wire_open *e = (void *)s->out;
	bool relative = call == CALL_OPENAT || call == CALL_OPENAT2;
	__u64 a0 = argument(typed, regs, compat, 0);
	__u64 a1 = argument(typed, regs, compat, 1);
	__u64 a2 = argument(typed, regs, compat, 2);
	struct file *file = 0;
	struct inode *inode;
	struct path *base;
	__u32 marks = 0;

	begin(typed, s, task, WIRE_OPEN, call, ret);
	e->dirfd = relative ? (__s32)a0 : AT_FDCWD;
	e->resolve = 0;
	e->ino = 0;
	e->dev = 0;
	e->imode = 0;
	e->path_len = 0;
	e->base_len = 0;
	e->spare = 0;
	switch (call) {
	case CALL_OPENAT:
		e->flags = (__u32)a2;
		e->mode = (__u32)argument(typed, regs, compat, 3);
		break;
	case CALL_OPENAT2: {
		struct open_how how = {};

		if (bpf_probe_read_user(&how, sizeof(how), (void *)a2))
			lose(LOSS_ARGUMENT);
		e->flags = how.flags;
		e->mode = how.mode;
		e->resolve = how.resolve;
		break;
	}
	case CALL_CREAT:
		e->flags = O_CREAT | O_WRONLY | O_TRUNC;
		e->mode = (__u32)a1;
		break;
	default:
		e->flags = (__u32)a1;
		e->mode = (__u32)a2;
	}
	e->name_len = put_user_text(s, fixed, relative ? a1 : a0, &marks);
	if (ret >= 0) {
		file = file_at(typed, task, ret);
		if (!file) {
			marks |= MARK_FILE_LOST;
			lose(LOSS_FILE);
		}
	}
	if (file) {
		inode = GET(file, f_inode);
		e->ino = GET(inode, i_ino);
		e->dev = device_of(typed, inode);
		e->imode = GET(inode, i_mode);
		marks |= file_marks(typed, file, inode);
		e->path_len = put_path(typed, s, fixed, &file->f_path, task, &marks);
	}
	base = start_of_name(typed, s, task, e->name_len, e->dirfd);
	if (base)
		e->base_len = put_path(typed, s, fixed, base, task, &marks);
	e->marks = marks;
	submit(s, fixed, false);
}

static __always_inline void unix_peer(const bool typed, struct scratch *s, struct wire_connect *e,
				      __u64 sk)
{
	struct unix_sock *own = CAST(struct unix_sock, sk);
	__u64 at = ADDRESS(own, peer);
	struct unix_sock *peer;
	struct unix_address *address;
	__u32 to = s->used & OUT_MASK;
	int len;

	if (!at)
		return;
	peer = CAST(struct unix_sock, at);
	at = ADDRESS(peer, addr);
	if (!at)
		return;
	address = CAST(struct unix_address, at);
	len = GET(address, len);
	len -= 2; // without the family
	if (len <= 0 || len > 108)
		return;
	bpf_probe_read_kernel(&s->out[sizeof(*e) + to], len, (void *)&address->name[0].sun_path);
	s->used = to + len;
	e->peer_len = len;
}

static __always_inline void on_connect(const bool typed, struct scratch *s,
				       struct task_struct *task, struct pt_regs *regs, bool compat,
				       long ret)
{
	const __u32 fixed = sizeof(struct wire_connect);
	struct wire_connect *e = (void *)s->out;
	__u64 addr = argument(typed, regs, compat, 1);
	__u32 len = argument(typed, regs, compat, 2);
	struct inode *inode;
	struct socket *socket;
	struct file *file;
	struct sock *sk;
	__u64 at;

	begin(typed, s, task, WIRE_CONNECT, CALL_CONNECT, ret);
	e->fd = argument(typed, regs, compat, 0);
	e->marks = 0;
	e->family = 0;
	e->protocol = 0;
	e->local_port = 0;
	e->remote_port = 0;
	__builtin_memset(e->local, 0, sizeof(e->local));
	__builtin_memset(e->remote, 0, sizeof(e->remote));
	e->addr_len = 0;
	e->peer_len = 0;
	e->spare = 0;
	if (len > 128)
		len = 128;
	if (bpf_probe_read_user(&s->out[fixed], len, (void *)addr)) {
		e->marks |= MARK_NAME_LOST;
		lose(LOSS_ARGUMENT);
	} else {
		e->addr_len = len;
		s->used = len;
	}

	file = file_at(typed, task, e->fd);
	if (!file)
		goto out;
	inode = GET(file, f_inode);
	if ((GET(inode, i_mode) & S_IFMT) != S_IFSOCK)
		goto out;
	socket = CAST(struct socket, ADDRESS(file, private_data));
	at = ADDRESS(socket, sk);
	if (!at)
		goto out;
	sk = CAST(struct sock, at);
	e->marks |= MARK_SOCKET;
	e->family = GET(sk, __sk_common.skc_family);
	e->protocol = GET(sk, sk_protocol);
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
		unix_peer(typed, s, e, at);
		goto out;
	default:
		goto out;
	}
	e->local_port = GET(sk, __sk_common.skc_num);
	e->remote_port = __builtin_bswap16(GET(sk, __sk_common.skc_dport));
out:
	submit(s, fixed, false);
}

// Copies the argument vector, each text with its NUL, up to TEXT_MAX bytes.
static __always_inline __u16 put_argv(struct scratch *s, __u32 fixed, __u64 argv, bool compat,
				      __u32 *marks)
{
	__u32 base = s->used & (TEXT_MAX - 1); // behind the name alone
	__u32 used = 0;
	int i;

	for (i = 0; i < ARGV_MAX; i++) {
		__u32 width = compat ? 4 : 8;
		__u64 at = 0;
		long n;

		if (bpf_probe_read_user(&at, width, (void *)(argv + i * width)) || !at)
			break;
		used &= TEXT_MAX - 1;
		n = bpf_probe_read_user_str(&s->out[fixed + base + used], TEXT_MAX - used,
					    (void *)at);
		if (n <= 0)
			break;
		used += n;
		if (used >= TEXT_MAX)
			break;
	}
	if (i == ARGV_MAX || used >= TEXT_MAX) {
		*marks |= MARK_ARGS_CUT;
		lose(LOSS_ARGS_CUT);
	}
	if (used > TEXT_MAX)
		used = TEXT_MAX;
	s->used = base + used;
	return used;
}

static __always_inline void on_failed_exec(const bool typed, struct scratch *s,
					   struct task_struct *task, struct pt_regs *regs,
					   __u8 call, bool compat, long ret)
{
	const __u32 fixed = sizeof(struct wire_exec);
	struct wire_exec *e = (void *)s->out;
	bool at = call == CALL_EXECVEAT;
	__u64 a0 = argument(typed, regs, compat, 0);
	__u64 a1 = argument(typed, regs, compat, 1);
	__u64 argv = at ? argument(typed, regs, compat, 2) : a1;
	__u32 marks = 0;

	__builtin_memset(e, 0, sizeof(*e));
	begin(typed, s, task, WIRE_EXEC, call, ret);
	e->dirfd = at ? (__s32)a0 : AT_FDCWD;
	e->flags = at ? argument(typed, regs, compat, 4) : 0;
	e->name_len = put_user_text(s, fixed, at ? a1 : a0, &marks);
	e->args_len = put_argv(s, fixed, argv, compat, &marks);
	e->marks = marks;
	submit(s, fixed, true);
}

static __always_inline int on_exit(const bool typed, struct pt_regs *regs, long ret)
{
	struct task_struct *task =
	    typed ? bpf_get_current_task_btf() : (struct task_struct *)bpf_get_current_task();
	bool compat = (GET(task, thread_info.status) & TS_COMPAT) != 0;
	__u32 nr = GET(regs, orig_ax);
	__u8 call = compat ? call_of_32(nr) : call_of_64(nr);
	struct scratch *s;

	if (call == CALL_NONE)
		return 0;
	if (ret >= 0 && (call == CALL_EXECVE || call == CALL_EXECVEAT))
		return 0;
	if (bpf_get_current_pid_tgid() >> 32 == own_tgid)
		return 0;
	s = acquire(SLOT_SYSCALL);
	if (!s)
		return 0;
	switch (call) {
	case CALL_EXECVE:
	case CALL_EXECVEAT:
		on_failed_exec(typed, s, task, regs, call, compat, ret);
		break;
	case CALL_CONNECT:
		on_connect(typed, s, task, regs, compat, ret);
		break;
	default:
		on_open(typed, s, task, regs, call, compat, ret);
	}
	release(s);
	return 0;
}

// The exit of every system call, 64 and 32 bit. A call's own tracepoint would not see
// the 32-bit ones. The tracepoint's arguments (registers, result) have not changed
// since 4.17. Typed tracepoints since 5.5, with bpf_rdonly_cast since 6.2.
SEC("tp_btf/sys_exit")
int riposte_call_typed(__u64 *ctx)
{
	return on_exit(true, (struct pt_regs *)ctx[0], (long)ctx[1]);
}

// The same for kernels from 5.8 with BTF that do not load the one above.
SEC("raw_tp/sys_exit")
int riposte_call_raw(__u64 *ctx)
{
	return on_exit(false, (struct pt_regs *)ctx[0], (long)ctx[1]);
}

char program_license[] SEC("license") = "Dual BSD/GPL";
