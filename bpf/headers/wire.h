// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
//
// The records that go to user space, and the table that comes from there. Each record
// starts with a header and has its texts behind the fixed part, in the order of its
// *_len members, without separators. All members lie on their natural boundary and no
// structure has hidden padding. A change that user space could misread raises
// WIRE_VERSION.
#pragma once

#include "vmlinux.h"

enum wire_version {
	WIRE_VERSION = 3,
};

// What a record is.
enum wire_kind {
	WIRE_EXEC = 1,
	WIRE_CALL = 2,
	WIRE_FILE = 3,
	WIRE_SOCKET = 4,
	WIRE_CHANGE = 5,
	WIRE_FORK = 6,
	WIRE_EXIT = 7,
	WIRE_CGROUP = 8,
	WIRE_DONE = 9, // of a request that io_uring has finished
};

// Which program reports a call: the slots of the tail-call table.
enum wire_handler {
	HANDLER_CALL = 1,
	HANDLER_FILE,
	HANDLER_SOCKET,
	HANDLER_CHANGE,
	HANDLER_EXEC,
	HANDLERS,
};

// What a call needs besides its shape.
enum wire_special {
	SPECIAL_NONE,
	SPECIAL_OPENAT2, // flags, mode and resolve stand in a structure
	SPECIAL_CLONE,	 // reported here only when it failed
	SPECIAL_CLONE3,	 // so too, with its flags in a structure
	SPECIAL_PRCTL,	 // only a new name, unless rules want all
	SPECIAL_VECTOR,	 // data is an array of buffers
	SPECIAL_CONNECT,
	SPECIAL_ACCEPT,
	SPECIAL_LISTEN,
	SPECIAL_SENDTO,
	SPECIAL_SENDMSG,
	SPECIAL_RECVFROM,
	SPECIAL_RECVMSG,
	SPECIAL_SENDMMSG,
	SPECIAL_RECVMMSG,
};

enum wire_shape_flag {
	SHAPE_QUIET = 1,     // looked at for the sockets' roles, not reported
	SHAPE_ID16 = 2,	     // ids of 16 bits, as the oldest 32-bit calls take
	SHAPE_ALL = 4,	     // see SPECIAL_PRCTL
	SHAPE_MULTIPLEX = 8, // socketcall: the call's number is the first argument
	SHAPE_AT = 16,	     // an exec with a directory
	SHAPE_ROLE = 32,     // looked at for the sockets' roles even where a mask hides it
	SHAPE_PATHS = 64,    // an open that is told only if its path has what a rule wants
};

// A name's directory: an argument from 1 on, or one of these. Without one the name is
// mere text.
enum wire_base {
	BASE_NONE = 0,
	BASE_CWD = 7,
};

// A descriptor: an argument from 1 on, or the result.
enum wire_fd {
	FD_NONE = 0,
	FD_RESULT = 7,
};

// How early events are given up when the ring fills.
enum wire_tier {
	TIER_STATE, // never
	TIER_NORMAL,
	TIER_LOW, // many, and each says little
};

// Where the table of shapes begins for each of the ways into the kernel.
enum wire_table {
	TABLE_SIZE = 1024, // of each part
	TABLE_64 = 0,
	TABLE_32 = 1024,
	TABLE_SOCKETCALL = 2048,
	TABLE_URING = 3072,
	TABLE_END = 4096,
};

// How a call is reported. User space has one for each call that somebody wants;
// arguments count from 1, 0 is none.
struct wire_shape {
	__u8 call; // its type in user space; 0: nobody wants it
	__u8 handler;
	__u8 tier;
	__u8 flags;
	__u8 name[2];
	__u8 dir[2];
	__u8 fd;
	__u8 data;
	__u8 data_len;	// the argument that holds the length
	__u8 data_size; // or the length itself; neither: a text
	__u8 special;
	__u8 spare[3];
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
	MARK_UNLINKED = 512,
	MARK_ANONYMOUS = 1024, // no file system has it: its name says what it is
	MARK_ENV_CUT = 2048,
	MARK_CONNECTED = 4096, // the socket has a peer of its own
	MARK_RENAMED = 8192,   // the call changed the socket's tuple
	MARK_SKIPPED = 16384,  // io_uring will not tell when this has succeeded
};

// Places where something is lost; each has a counter per CPU.
enum wire_loss {
	LOSS_RING_FULL,
	LOSS_RING_FULL_STATE,
	LOSS_SHED,
	LOSS_SHED_LOW,
	LOSS_SCRATCH_BUSY,
	LOSS_TAIL_CALL,
	LOSS_PATH_CUT,
	LOSS_ARGUMENT,
	LOSS_ARGS_CUT,
	LOSS_ENV_CUT,
	LOSS_FILE,
	LOSS_MESSAGES,
	LOSS_PLACES,
};

// What is counted and is no loss; each has a counter per CPU.
enum wire_note {
	NOTE_MASKED, // events that their process's mask has left out
	NOTE_UNKEPT, // processes that can have no mask: the map is full
	NOTE_PATH,   // opens that no rule can match for their path
	NOTES,
};

// Which end of its connection a socket is.
enum wire_role {
	ROLE_UNKNOWN,
	ROLE_CLIENT,
	ROLE_SERVER,
};

struct wire_header {
	__u32 size; // of the whole record
	__u16 version;
	__u8 kind;
	__u8 call;
	__u64 ktime; // since boot, as start
	__u64 start; // of the process
	__u64 cgroup;
	__s64 ret;   // at io_uring's submission: which request it is
	__u64 epoch; // see headers/interest.h, as gen
	__u32 gen;
	__u32 pid;
	__u32 tid;
	__u32 ppid;
	__u32 uid;
	__u32 gid;
	__u16 cpu;
	__u8 compat;
	__u8 uring;
	__u32 spare;
	char comm[16];
};

// The mask of one process: which types of events a rule can still match. It holds for
// as long as all else in it is as the kernel has it.
struct wire_interest {
	__u64 start;
	__u64 epoch;
	__u64 cgroup;
	__u32 gen;
	__u32 round;
	__u32 ppid;
	__u32 uid; // as the next two of the first thread
	__u32 gid;
	__u32 spare;
	char comm[16];
	__u64 mask[4];
};

enum wire_paths {
	PATH_KEY = 64, // bytes of a prefix that are compared
	PATH_PREFIXES = 512,
	PATH_SETS = 8,
};

// A beginning of paths that a rule wants to see; the number of bits comes first, as the
// kernel's tries have it.
struct wire_prefix {
	__u32 bits;
	__u8 text[PATH_KEY];
};

struct wire_call {
	struct wire_header header;
	__u64 args[6];
	__u32 marks;
	__u16 name_len[2];
	__u16 base_len[2]; // of the directory that a relative name starts from
	__u16 data_len;
	__u16 spare;
};

// The file behind a descriptor.
struct wire_object {
	__u64 ino;
	__u32 dev;
	__u32 imode; // the file's type and permissions
	__u16 path_len;
	__u16 origin_len; // of the path without the bind mount that it was reached by
	__u16 spare[2];
};

struct wire_file {
	struct wire_call call;
	struct wire_object object;
};

struct wire_socket {
	struct wire_call call;
	struct wire_object object; // dup makes no difference between files and sockets
	__u64 size;		   // of all buffers together
	__u32 queue_len;
	__u32 queue_max;
	__u16 family;
	__u16 type;
	__u16 protocol;
	__u16 role;
	__u16 local_port;
	__u16 remote_port; // both in host order
	__u16 addr_len;	   // of the argument
	__u16 own_len;	   // of a unix socket's path
	__u16 peer_len;	   // of its peer's
	__u16 control_len;
	__u32 spare;
	__u8 local[16];
	__u8 remote[16];
};

// What a call can change about a task.
struct wire_state {
	__u64 inheritable;
	__u64 permitted;
	__u64 effective;
	__u32 uid, euid, suid, fsuid;
	__u32 gid, egid, sgid, fsgid;
	__u32 ns_mnt, ns_pid, ns_pid_children, ns_net;
	__u32 ns_user, ns_ipc, ns_uts, ns_cgroup;
	__u32 tty;
	__u32 sid;
	__u32 pgid;
	__u32 vpid;
	__u32 vtid;
	__u32 vpgid;
	__u32 vsid;
	__u32 loginuid;
	__u16 cwd_len;
	__u16 root_len;
	__u32 spare;
};

struct wire_change {
	struct wire_call call;
	struct wire_state state;
};

struct wire_exec {
	struct wire_header header;
	struct wire_state state;
	__u64 ino;
	__s64 ctime; // Unix nanoseconds, as mtime
	__s64 mtime;
	__u64 fdlimit;
	__u64 major_faults;
	__u64 minor_faults;
	__u64 pages; // of the address space
	__u64 resident;
	__u64 swapped;
	__u32 dev;
	__u32 imode;
	__u32 iuid;
	__u32 igid;
	__s32 dirfd;
	__u32 flags;
	__u32 marks;
	__u16 name_len;
	__u16 base_len;
	__u16 path_len;
	__u16 args_len;
	__u16 env_len;
	__u16 spare;
};

struct wire_fork {
	struct wire_header header; // of the parent
	__u64 start;
	__u64 cgroup;
	__u64 flags;	// the call's
	__u64 ns_start; // of the first process in the child's pid namespace
	__u64 fdlimit;
	__u64 major_faults;
	__u64 minor_faults;
	__u64 pages;
	__u64 resident;
	__u64 swapped;
	__u32 pid; // 0 for a thread
	__u32 tid;
	__u32 vpid;
	__u32 vtid;
	__u32 ppid; // not the caller's with CLONE_PARENT
	__u32 spare;
};

struct wire_exit {
	struct wire_header header;
};

struct wire_cgroup {
	struct wire_header header;
	__u64 id;
	__u64 start; // of the process that came into it, with pid 0 nobody: it is new
	__u32 pid;
	__u16 path_len;
	__u16 spare;
};
