//go:build linux

package capture

import (
	"golang.org/x/sys/unix"

	"riposte/agent/event"
	"riposte/bpf"
)

// call is a system call: how to know it and what to tell of it. A call that has two
// numbers in a table has two rows.
type call struct {
	typ event.Type
	// nr is its number in the 64-bit table, compat in the 32-bit one, mux as socketcall
	// knows it; none where it has no number there.
	nr, compat, mux int
	handler         uint8
	special         uint8
	flags           uint8
	tier            uint8
	// params are its parameters in Falco's order; see parseParams.
	params string
}

const none = -1

const (
	plain   = uint8(bpf.SyscallWireHandlerHANDLER_CALL)
	onFile  = uint8(bpf.SyscallWireHandlerHANDLER_FILE)
	onSock  = uint8(bpf.SyscallWireHandlerHANDLER_SOCKET)
	changes = uint8(bpf.SyscallWireHandlerHANDLER_CHANGE)
	execs   = uint8(bpf.SyscallWireHandlerHANDLER_EXEC)

	stateTier  = uint8(bpf.SyscallWireTierTIER_STATE)
	normalTier = uint8(bpf.SyscallWireTierTIER_NORMAL)
	lowTier    = uint8(bpf.SyscallWireTierTIER_LOW)

	id16 = uint8(bpf.SyscallWireShapeFlagSHAPE_ID16)
)

// nrFchmodat2 is newer (6.6) than the constants that we use. Falco has no name for the
// call: it is told as fchmodat, which it is but for its flags.
const nrFchmodat2 = 452

// socketcall is how 32-bit programs came to sockets before each call had a number.
const compatSocketcall = 102

// calls is everything that is captured at a system call's exit.
var calls = []call{
	{event.Open, unix.SYS_OPEN, 5, none, onFile, 0, 0, normalTier, "fd:new name:path=0@cwd flags:open=1 mode:openmode=2 dev:dev ino:ino"},
	{event.Openat, unix.SYS_OPENAT, 295, none, onFile, 0, 0, normalTier, "fd:new dirfd:dir=0 name:path=1@0 flags:open=2 mode:openmode=3 dev:dev ino:ino"},
	{event.Openat2, unix.SYS_OPENAT2, 437, none, onFile, openat2, 0, normalTier, "fd:new dirfd:dir=0 name:path=1@0 flags:open=2 mode:openmode=3 resolve:flags=4/openat2_flags dev:dev ino:ino"},
	{event.Creat, unix.SYS_CREAT, 8, none, onFile, 0, 0, normalTier, "fd:new name:path=0@cwd mode:openmode=1 dev:dev ino:ino creat_flags:layer"},
	{event.OpenByHandleAt, unix.SYS_OPEN_BY_HANDLE_AT, 342, none, onFile, 0, 0, normalTier, "fd:new mountfd:num=0 flags:open=2 path:own dev:dev ino:ino"},

	{event.Link, unix.SYS_LINK, 9, none, plain, 0, 0, normalTier, "res:res oldpath:path=0@cwd newpath:path=1@cwd"},
	{event.Linkat, unix.SYS_LINKAT, 303, none, plain, 0, 0, normalTier, "res:res olddir:dir=0 oldpath:path=1@0 newdir:dir=2 newpath:path=3@2 flags:flags=4/linkat_flags"},
	{event.Symlink, unix.SYS_SYMLINK, 83, none, plain, 0, 0, normalTier, "res:res target:text=0 linkpath:path=1@cwd"},
	{event.Symlinkat, unix.SYS_SYMLINKAT, 304, none, plain, 0, 0, normalTier, "res:res target:text=0 linkdirfd:dir=1 linkpath:path=2@1"},
	{event.Rename, unix.SYS_RENAME, 38, none, plain, 0, 0, normalTier, "res:res oldpath:path=0@cwd newpath:path=1@cwd"},
	{event.Renameat, unix.SYS_RENAMEAT, 302, none, plain, 0, 0, normalTier, "res:res olddirfd:dir=0 oldpath:path=1@0 newdirfd:dir=2 newpath:path=3@2"},
	{event.Renameat2, unix.SYS_RENAMEAT2, 353, none, plain, 0, 0, normalTier, "res:res olddirfd:dir=0 oldpath:path=1@0 newdirfd:dir=2 newpath:path=3@2 flags:flags=4/renameat2_flags"},
	{event.Unlink, unix.SYS_UNLINK, 10, none, plain, 0, 0, normalTier, "res:res path:path=0@cwd"},
	{event.Unlinkat, unix.SYS_UNLINKAT, 301, none, plain, 0, 0, normalTier, "res:res dirfd:dir=0 name:path=1@0 flags:flags=2/unlinkat_flags"},
	{event.Rmdir, unix.SYS_RMDIR, 40, none, plain, 0, 0, normalTier, "res:res path:path=0@cwd"},
	{event.Mkdir, unix.SYS_MKDIR, 39, none, plain, 0, 0, normalTier, "res:res path:path=0@cwd mode:mode=1"},
	{event.Mkdirat, unix.SYS_MKDIRAT, 296, none, plain, 0, 0, normalTier, "res:res dirfd:dir=0 path:path=1@0 mode:mode=2"},
	{event.Chmod, unix.SYS_CHMOD, 15, none, plain, 0, 0, normalTier, "res:res filename:path=0@cwd mode:flags=1/chmod_mode"},
	{event.Fchmod, unix.SYS_FCHMOD, 94, none, onFile, 0, 0, normalTier, "res:res fd:fd=0 mode:flags=1/chmod_mode"},
	{event.Fchmodat, unix.SYS_FCHMODAT, 306, none, plain, 0, 0, normalTier, "res:res dirfd:dir=0 filename:path=1@0 mode:flags=2/chmod_mode"},
	{event.Fchmodat, nrFchmodat2, nrFchmodat2, none, plain, 0, 0, normalTier, "res:res dirfd:dir=0 filename:path=1@0 mode:flags=2/chmod_mode"},
	{event.Mount, unix.SYS_MOUNT, 21, none, plain, 0, 0, normalTier, "res:res dev:text=0 dir:path=1@cwd type:string=2 flags:flags=3/mount_flags"},
	{event.Umount, none, 22, none, plain, 0, 0, normalTier, "res:res name:path=0@cwd"},
	{event.Umount2, unix.SYS_UMOUNT2, 52, none, plain, 0, 0, normalTier, "res:res name:path=0@cwd flags:flags=1/umount_flags"},
	{event.Fsopen, unix.SYS_FSOPEN, 430, none, onFile, 0, 0, normalTier, "fd:new name:text=0 flags:flags=1/fsopen_flags"},
	{event.Fsmount, unix.SYS_FSMOUNT, 432, none, onFile, 0, 0, normalTier, "fd:new fsfd:num=0 flags:flags=1/fsmount_flags attr_flags:flags=2/mount_attributes"},
	{event.OpenTree, unix.SYS_OPEN_TREE, 428, none, onFile, 0, 0, normalTier, "fd:new dirfd:dir=0 name:path=1@0 flags:flags=2/open_tree_flags"},
	{event.MoveMount, unix.SYS_MOVE_MOUNT, 429, none, plain, 0, 0, normalTier, "res:res from_dirfd:dir=0 from:path=1@0 to_dirfd:dir=2 to:path=3@2 flags:flags=4/move_mount_flags"},

	{event.SocketCall, unix.SYS_SOCKET, 359, 1, onSock, 0, 0, normalTier, "fd:new domain:enum=0/socket_families type:uint=1 proto:uint=2"},
	{event.Connect, unix.SYS_CONNECT, 362, 3, onSock, connect, 0, normalTier, "res:res tuple:tuple fd:fd=0 addr:addr"},
	{event.Listen, unix.SYS_LISTEN, 363, 4, onSock, listen, 0, normalTier, "res:res fd:fd=0 backlog:int=1"},
	{event.Accept, unix.SYS_ACCEPT, none, 5, onSock, accept, 0, normalTier, "fd:new tuple:tuple queuepct:queue=0 queuelen:queue=1 queuemax:queue=2"},
	{event.Accept4, unix.SYS_ACCEPT4, 364, 18, onSock, accept, 0, normalTier, "fd:new tuple:tuple queuepct:queue=0 queuelen:queue=1 queuemax:queue=2 flags:int=3"},
	{event.Sendto, unix.SYS_SENDTO, 369, 11, onSock, sendto, 0, lowTier, "res:res data:data fd:fd=0 size:size tuple:tuple"},
	// send is sendto without an address; only socketcall has it as a call of its own.
	{event.Sendto, none, none, 9, onSock, sendto, 0, lowTier, "res:res data:data fd:fd=0 size:size tuple:tuple"},
	{event.Sendmsg, unix.SYS_SENDMSG, 370, 16, onSock, sendmsg, 0, lowTier, "res:res data:data fd:fd=0 size:size tuple:tuple"},
	{event.Recvfrom, unix.SYS_RECVFROM, 371, 12, onSock, recvfrom, 0, lowTier, "res:res data:data tuple:tuple fd:fd=0 size:size"},
	{event.Recvfrom, none, none, 10, onSock, recvfrom, 0, lowTier, "res:res data:data tuple:tuple fd:fd=0 size:size"},
	{event.Recvmsg, unix.SYS_RECVMSG, 372, 17, onSock, recvmsg, 0, lowTier, "res:res size:size data:data tuple:tuple msgcontrol:control fd:fd=0"},
	{event.Sendmmsg, unix.SYS_SENDMMSG, 345, 20, onSock, sendmmsg, 0, lowTier, "res:res fd:fd=0 size:size data:data tuple:tuple"},
	{event.Recvmmsg, unix.SYS_RECVMMSG, 337, 19, onSock, recvmmsg, 0, lowTier, "res:res fd:fd=0 size:size data:data tuple:tuple msgcontrol:control"},
	{event.Recvmmsg, none, 417, none, onSock, recvmmsg, 0, lowTier, "res:res fd:fd=0 size:size data:data tuple:tuple msgcontrol:control"}, // with times of 64 bits
	{event.Dup, unix.SYS_DUP, 41, none, onSock, 0, 0, normalTier, "res:new oldfd:num=0"},
	{event.Dup2, unix.SYS_DUP2, 63, none, onSock, 0, 0, normalTier, "res:new oldfd:num=0 newfd:num=1"},
	{event.Dup3, unix.SYS_DUP3, 330, none, onSock, 0, 0, normalTier, "res:new oldfd:num=0 newfd:num=1 flags:flags=2/file_flags"},

	{event.Ptrace, unix.SYS_PTRACE, 26, none, plain, 0, 0, normalTier, "res:res addr:long=2 data:long=3 request:enum=0/ptrace_requests pid:pid=1"},
	{event.Bpf, unix.SYS_BPF, 357, none, onFile, 0, 0, normalTier, "fd:new cmd:enum=0/bpf_commands"},
	{event.Userfaultfd, unix.SYS_USERFAULTFD, 374, none, onFile, 0, 0, normalTier, "res:new flags:flags=0/file_flags"},
	{event.InitModule, unix.SYS_INIT_MODULE, 128, none, plain, 0, 0, normalTier, "res:res img:bytes=0+1 length:long=1 uargs:text=2"},
	{event.FinitModule, unix.SYS_FINIT_MODULE, 350, none, onFile, 0, 0, normalTier, "res:res fd:fd=0 uargs:text=1 flags:flags=2/finit_module_flags"},
	{event.MemfdCreate, unix.SYS_MEMFD_CREATE, 356, none, onFile, 0, 0, normalTier, "fd:new name:text=0 flags:flags=1/memfd_create_flags"},
	{event.Kill, unix.SYS_KILL, 37, none, plain, 0, 0, normalTier, "res:res pid:pid=0 sig:signal=1"},
	{event.Tgkill, unix.SYS_TGKILL, 270, none, plain, 0, 0, normalTier, "res:res pid:pid=0 tid:pid=1 sig:signal=2"},
	{event.ProcessVmWritev, unix.SYS_PROCESS_VM_WRITEV, 348, none, plain, vector, 0, normalTier, "res:res pid:pid=0 data:bytes=1+2"},
	{event.IoUringSetup, unix.SYS_IO_URING_SETUP, 425, none, onFile, 0, 0, normalTier, "res:new entries:uint=0 sq_entries:uring=0 cq_entries:uring=4 flags:uring=8 sq_thread_cpu:uring=12 sq_thread_idle:uring=16 features:uring=20"},

	{event.Execve, unix.SYS_EXECVE, 11, none, execs, 0, 0, stateTier, ""},
	{event.Execveat, unix.SYS_EXECVEAT, 358, none, execs, 0, execAt, stateTier, ""},
	{event.Execve, 520, none, none, execs, 0, 0, stateTier, ""}, // of x32
	{event.Execveat, 545, none, none, execs, 0, execAt, stateTier, ""},
	{event.Clone, unix.SYS_CLONE, 120, none, plain, clone, 0, stateTier, cloneParams},
	{event.Clone3, unix.SYS_CLONE3, 435, none, plain, clone3, 0, stateTier, cloneParams},
	{event.ForkCall, unix.SYS_FORK, 2, none, plain, clone, 0, stateTier, cloneParams},
	{event.Vfork, unix.SYS_VFORK, 190, none, plain, clone, 0, stateTier, cloneParams},
	{event.Chdir, unix.SYS_CHDIR, 12, none, changes, 0, 0, stateTier, "res:res path:path=0@cwd"},
	{event.Fchdir, unix.SYS_FCHDIR, 133, none, changes, 0, 0, stateTier, "res:res fd:fd=0"},
	{event.Chroot, unix.SYS_CHROOT, 61, none, changes, 0, 0, stateTier, "res:res path:path=0@cwd"},
	{event.PivotRoot, unix.SYS_PIVOT_ROOT, 217, none, changes, 0, 0, stateTier, "res:res new_root:path=0@cwd put_old:path=1@cwd"},
	{event.Capset, unix.SYS_CAPSET, 185, none, changes, 0, 0, stateTier, "res:res cap_inheritable:cap=0 cap_permitted:cap=1 cap_effective:cap=2"},
	{event.Prctl, unix.SYS_PRCTL, 172, none, changes, prctl, 0, stateTier, "res:res option:enum=0/prctl_options arg2_str:name arg2_int:prctl=1"},
	{event.Setuid, unix.SYS_SETUID, 213, none, changes, 0, 0, stateTier, "res:res uid:uint=0"},
	{event.Setuid, none, 23, none, changes, 0, id16, stateTier, "res:res uid:uint=0"},
	{event.Setgid, unix.SYS_SETGID, 214, none, changes, 0, 0, stateTier, "res:res gid:uint=0"},
	{event.Setgid, none, 46, none, changes, 0, id16, stateTier, "res:res gid:uint=0"},
	{event.Setreuid, unix.SYS_SETREUID, 203, none, changes, 0, 0, stateTier, "res:res ruid:uint=0 euid:uint=1"},
	{event.Setreuid, none, 70, none, changes, 0, id16, stateTier, "res:res ruid:uint=0 euid:uint=1"},
	{event.Setregid, unix.SYS_SETREGID, 204, none, changes, 0, 0, stateTier, "res:res rgid:uint=0 egid:uint=1"},
	{event.Setregid, none, 71, none, changes, 0, id16, stateTier, "res:res rgid:uint=0 egid:uint=1"},
	{event.Setresuid, unix.SYS_SETRESUID, 208, none, changes, 0, 0, stateTier, "res:res ruid:uint=0 euid:uint=1 suid:uint=2"},
	{event.Setresuid, none, 164, none, changes, 0, id16, stateTier, "res:res ruid:uint=0 euid:uint=1 suid:uint=2"},
	{event.Setresgid, unix.SYS_SETRESGID, 210, none, changes, 0, 0, stateTier, "res:res rgid:uint=0 egid:uint=1 sgid:uint=2"},
	{event.Setresgid, none, 170, none, changes, 0, id16, stateTier, "res:res rgid:uint=0 egid:uint=1 sgid:uint=2"},
	{event.Setsid, unix.SYS_SETSID, 66, none, changes, 0, 0, stateTier, "res:res"},
	{event.Setpgid, unix.SYS_SETPGID, 57, none, changes, 0, 0, stateTier, "res:res pid:pid=0 pgid:pid=1"},
	{event.Setns, unix.SYS_SETNS, 346, none, changes, 0, 0, stateTier, "res:res fd:fd=0 nstype:flags=1/clone_flags"},
	{event.Unshare, unix.SYS_UNSHARE, 310, none, changes, 0, 0, stateTier, "res:res flags:flags=0/clone_flags"},
}

const cloneParams = "res:res tid:task=tid pid:task=pid ptid:task=ptid comm:task=comm flags:clone=0 uid:task=uid gid:task=gid"

const (
	openat2  = uint8(bpf.SyscallWireSpecialSPECIAL_OPENAT2)
	clone    = uint8(bpf.SyscallWireSpecialSPECIAL_CLONE)
	clone3   = uint8(bpf.SyscallWireSpecialSPECIAL_CLONE3)
	prctl    = uint8(bpf.SyscallWireSpecialSPECIAL_PRCTL)
	vector   = uint8(bpf.SyscallWireSpecialSPECIAL_VECTOR)
	connect  = uint8(bpf.SyscallWireSpecialSPECIAL_CONNECT)
	accept   = uint8(bpf.SyscallWireSpecialSPECIAL_ACCEPT)
	listen   = uint8(bpf.SyscallWireSpecialSPECIAL_LISTEN)
	sendto   = uint8(bpf.SyscallWireSpecialSPECIAL_SENDTO)
	sendmsg  = uint8(bpf.SyscallWireSpecialSPECIAL_SENDMSG)
	recvfrom = uint8(bpf.SyscallWireSpecialSPECIAL_RECVFROM)
	recvmsg  = uint8(bpf.SyscallWireSpecialSPECIAL_RECVMSG)
	sendmmsg = uint8(bpf.SyscallWireSpecialSPECIAL_SENDMMSG)
	recvmmsg = uint8(bpf.SyscallWireSpecialSPECIAL_RECVMMSG)

	execAt = uint8(bpf.SyscallWireShapeFlagSHAPE_AT)
)
