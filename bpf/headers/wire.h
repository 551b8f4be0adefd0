// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// The records that go to user space. Each starts with a header and has its texts
// behind the fixed part, in the order of its *_len members, without separators. All
// members lie on their natural boundary and no structure has hidden padding.
// A change that user space could misread raises WIRE_VERSION.
#pragma once

#include "vmlinux.h"

enum wire_version {
	WIRE_VERSION = 1,
};

// What a record is.
enum wire_kind {
	WIRE_EXEC = 1,
	WIRE_OPEN = 2,
	WIRE_CONNECT = 3,
	WIRE_FORK = 4,
	WIRE_EXIT = 5,
	WIRE_CGROUP = 6,
};

// Which system call it was.
enum wire_call {
	CALL_NONE = 0,
	CALL_EXECVE = 1,
	CALL_EXECVEAT = 2,
	CALL_OPEN = 3,
	CALL_OPENAT = 4,
	CALL_OPENAT2 = 5,
	CALL_CREAT = 6,
	CALL_CONNECT = 7,
};

// Facts about the file, and what could not be had.
enum wire_mark {
	MARK_UPPER = 1, // in an overlay's upper layer
	MARK_LOWER = 2, // in an overlay, but not in its upper layer
	MARK_MEMFD = 4,
	MARK_CREATED = 8,
	MARK_NAME_LOST = 16, // the argument could not be read
	MARK_PATH_CUT = 32,  // the path was longer than the walk
	MARK_ARGS_CUT = 64,
	MARK_FILE_LOST = 128, // the descriptor had no file any more
	MARK_SOCKET = 256,    // the socket's own addresses are set
};

// Places where something is lost; each has a counter per CPU.
enum wire_loss {
	LOSS_RING_FULL,
	LOSS_SCRATCH_BUSY,
	LOSS_PATH_CUT,
	LOSS_ARGUMENT,
	LOSS_ARGS_CUT,
	LOSS_FILE,
	LOSS_PLACES,
};

struct wire_header {
	__u32 size; // of the whole record
	__u16 version;
	__u8 kind;
	__u8 call;
	__u64 ktime; // since boot, as start
	__u64 start; // of the process
	__u64 cgroup;
	__s64 ret;
	__u32 pid;
	__u32 tid;
	__u32 ppid;
	__u32 uid;
	__u32 gid;
	__u16 cpu;
	__u8 compat;
	__u8 spare;
	char comm[16];
};

struct wire_open {
	struct wire_header header;
	__u64 flags;
	__u64 mode;
	__u64 resolve;
	__u64 ino;
	__u32 dev;
	__s32 dirfd;
	__u32 imode; // the file's type and permissions
	__u32 marks;
	__u16 name_len;
	__u16 path_len;
	__u16 base_len; // of the directory that a relative name starts from
	__u16 spare;
};

struct wire_exec {
	struct wire_header header;
	__u64 ino;
	__u64 caps; // effective
	__u32 dev;
	__u32 imode;
	__u32 iuid;
	__u32 igid;
	__u32 euid;
	__u32 egid;
	__u32 loginuid;
	__u32 tty;
	__u32 sid;
	__u32 pgid;
	__u32 vpid;
	__u32 vpgid;
	__s32 dirfd;
	__u32 flags;
	__u32 marks;
	__u16 name_len;
	__u16 path_len;
	__u16 cwd_len;
	__u16 args_len;
	__u32 spare;
};

struct wire_connect {
	struct wire_header header;
	__s32 fd;
	__u32 marks;
	__u16 family;
	__u16 protocol;
	__u16 local_port;
	__u16 remote_port; // both in host order
	__u8 local[16];
	__u8 remote[16];
	__u16 addr_len; // of the argument
	__u16 peer_len; // of a unix socket's path
	__u32 spare;
};

struct wire_fork {
	struct wire_header header; // of the parent
	__u64 start;
	__u64 cgroup;
	__u32 pid;
	__u32 vpid;
	__u32 ppid; // not the caller's with CLONE_PARENT
	__u32 spare;
};

struct wire_exit {
	struct wire_header header;
};

struct wire_cgroup {
	struct wire_header header;
	__u64 id;
	__u16 path_len;
	__u16 spare[3];
};
