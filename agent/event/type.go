package event

// Type is the kind of an event. The names are Falco's.
type Type uint8

// Types of events. The live capture delivers those up to ProcExit, a capture file
// may hold any.
const (
	Unknown Type = iota
	Execve
	Execveat
	Open
	Openat
	Openat2
	Creat
	Connect
	// Clone is a new process or thread, by whichever call.
	Clone
	// ProcExit is a process's end.
	ProcExit
	Accept
	Accept4
	Access
	Asyncevent
	Bind
	Bpf
	Brk
	Capset
	Chdir
	Chmod
	Chown
	Chroot
	Clone3
	Close
	// ContainerAdded is Falco's event "container": what the runtime says about one.
	ContainerAdded
	CopyFileRange
	CpuHotplug
	DeleteModule
	Drop
	Dup
	Dup2
	Dup3
	EpollCreate
	EpollCreate1
	EpollWait
	Eventfd
	Eventfd2
	Fchdir
	Fchmod
	Fchmodat
	Fchown
	Fchownat
	Fcntl
	FinitModule
	Flock
	ForkCall
	Fsconfig
	Fstat
	Fstat64
	Futex
	Getcwd
	Getdents
	Getdents64
	Getegid
	Geteuid
	Getgid
	Getpeername
	Getresgid
	Getresuid
	Getrlimit
	Getsockname
	Getsockopt
	Getuid
	Groupadded
	Groupdeleted
	Infra
	InitModule
	InotifyInit
	InotifyInit1
	IoUringEnter
	IoUringRegister
	IoUringSetup
	Ioctl
	K8s
	Kill
	Lchown
	Link
	Linkat
	Listen
	Llseek
	Lseek
	Lstat
	Lstat64
	MemfdCreate
	Mesos
	Mkdir
	Mkdirat
	Mknod
	Mknodat
	Mlock
	Mlock2
	Mlockall
	Mmap
	Mmap2
	Mount
	Mprotect
	Munlock
	Munlockall
	Munmap
	Nanosleep
	Newfstatat
	Notification
	OpenByHandleAt
	PageFault
	PidfdGetfd
	PidfdOpen
	Pipe
	Pipe2
	PivotRoot
	Pluginevent
	Poll
	Ppoll
	Prctl
	Pread
	Preadv
	Prlimit
	ProcessVmReadv
	ProcessVmWritev
	Procinfo
	Ptrace
	Pwrite
	Pwritev
	Quotactl
	Read
	Readv
	Recv
	Recvfrom
	Recvmmsg
	Recvmsg
	Rename
	Renameat
	Renameat2
	Rmdir
	Scapevent
	Seccomp
	Select
	Semctl
	Semget
	Semop
	Send
	Sendfile
	Sendmmsg
	Sendmsg
	Sendto
	Setgid
	Setns
	Setpgid
	Setregid
	Setresgid
	Setresuid
	Setreuid
	Setrlimit
	Setsid
	Setsockopt
	Setuid
	Shutdown
	Signaldeliver
	Signalfd
	Signalfd4
	SocketCall
	Socketpair
	Splice
	Stat
	Stat64
	Switch
	Symlink
	Symlinkat
	Syscall
	Tgkill
	TimerfdCreate
	Tkill
	Tracer
	Umount
	Umount2
	Unlink
	Unlinkat
	Unshare
	Useradded
	Userdeleted
	Userfaultfd
	Vfork
	Write
	Writev
	// The new calls for mounts; Falco knows them by name alone.
	Fsopen
	Fsmount
	OpenTree
	MoveMount
	typeEnd
)

var typeNames = [typeEnd]string{
	"unknown", "execve", "execveat", "open", "openat", "openat2", "creat", "connect", "clone", "procexit", "accept", "accept4",
	"access", "asyncevent", "bind", "bpf", "brk", "capset", "chdir", "chmod", "chown", "chroot", "clone3", "close", "container",
	"copy_file_range", "cpu_hotplug", "delete_module", "drop", "dup", "dup2", "dup3", "epoll_create", "epoll_create1", "epoll_wait",
	"eventfd", "eventfd2", "fchdir", "fchmod", "fchmodat", "fchown", "fchownat", "fcntl", "finit_module", "flock", "fork",
	"fsconfig", "fstat", "fstat64", "futex", "getcwd", "getdents", "getdents64", "getegid", "geteuid", "getgid", "getpeername",
	"getresgid", "getresuid", "getrlimit", "getsockname", "getsockopt", "getuid", "groupadded", "groupdeleted", "infra",
	"init_module", "inotify_init", "inotify_init1", "io_uring_enter", "io_uring_register", "io_uring_setup", "ioctl", "k8s", "kill",
	"lchown", "link", "linkat", "listen", "llseek", "lseek", "lstat", "lstat64", "memfd_create", "mesos", "mkdir", "mkdirat",
	"mknod", "mknodat", "mlock", "mlock2", "mlockall", "mmap", "mmap2", "mount", "mprotect", "munlock", "munlockall", "munmap",
	"nanosleep", "newfstatat", "notification", "open_by_handle_at", "page_fault", "pidfd_getfd", "pidfd_open", "pipe", "pipe2", "pivot_root",
	"pluginevent", "poll", "ppoll", "prctl", "pread", "preadv", "prlimit", "process_vm_readv", "process_vm_writev", "procinfo",
	"ptrace", "pwrite", "pwritev", "quotactl", "read", "readv", "recv", "recvfrom", "recvmmsg", "recvmsg", "rename", "renameat",
	"renameat2", "rmdir", "scapevent", "seccomp", "select", "semctl", "semget", "semop", "send", "sendfile", "sendmmsg", "sendmsg",
	"sendto", "setgid", "setns", "setpgid", "setregid", "setresgid", "setresuid", "setreuid", "setrlimit", "setsid", "setsockopt",
	"setuid", "shutdown", "signaldeliver", "signalfd", "signalfd4", "socket", "socketpair", "splice", "stat", "stat64", "switch",
	"symlink", "symlinkat", "syscall", "tgkill", "timerfd_create", "tkill", "tracer", "umount", "umount2", "unlink", "unlinkat",
	"unshare", "useradded", "userdeleted", "userfaultfd", "vfork", "write", "writev",
	"fsopen", "fsmount", "open_tree", "move_mount",
}

// Types lists every type but Unknown.
func Types() []Type {
	all := make([]Type, 0, typeEnd-1)
	for t := Execve; t < typeEnd; t++ {
		all = append(all, t)
	}
	return all
}

// TypeOf finds a type by Falco's name.
func TypeOf(name string) (Type, bool) {
	for t := Execve; t < typeEnd; t++ {
		if typeNames[t] == name {
			return t, true
		}
	}
	return Unknown, false
}

// String is Falco's name.
func (t Type) String() string {
	if t < typeEnd {
		return typeNames[t]
	}
	return typeNames[Unknown]
}

// State says that the event may change the process table and must never be shed.
func (t Type) State() bool {
	switch t {
	case Execve, Execveat, Clone, Clone3, ForkCall, Vfork, ProcExit, Chdir, Fchdir, Chroot, Capset, Prctl, Setgid, Setpgid, Setresgid,
		Setresuid, Setregid, Setreuid, Setsid, Setuid, Setns, Unshare, PivotRoot:
		return true
	}
	return false
}
