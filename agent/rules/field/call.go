package field

import (
	"os"
	"sync"

	"riposte/agent/event"
)

// hostname is what Falco calls the host, which a variable may set.
var hostname = sync.OnceValue(func() string {
	if name := os.Getenv("FALCO_HOSTNAME"); name != "" {
		return name
	}
	name, err := os.Hostname()
	if err != nil {
		return ""
	}
	return name
})

// category is Falco's group of a call, by its name.
func category(name string) string {
	switch name {
	case "open", "openat", "openat2", "open_by_handle_at", "creat", "close", "read", "readv", "pread", "preadv", "write", "writev", "pwrite",
		"pwritev", "link", "linkat", "symlink", "symlinkat", "unlink", "unlinkat", "rename", "renameat", "renameat2", "mkdir", "mkdirat",
		"rmdir", "chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat", "lchown", "chdir", "fchdir", "chroot", "mount", "umount",
		"umount2", "stat", "lstat", "fstat", "access", "truncate", "ftruncate", "fcntl", "flock", "memfd_create":
		return "file"
	case "socket", "socketpair", "bind", "connect", "listen", "accept", "accept4", "shutdown", "sendto", "sendmsg", "sendmmsg", "recvfrom",
		"recvmsg", "recvmmsg", "getsockname", "getpeername", "getsockopt", "setsockopt":
		return "net"
	case "execve", "execveat", "clone", "clone3", "fork", "vfork", "procexit", "prctl", "setns", "unshare", "setsid", "setpgid", "capset",
		"prlimit", "setrlimit", "ptrace", "pidfd_open", "pidfd_getfd":
		return "process"
	case "setuid", "setgid", "setresuid", "setresgid", "setreuid", "setregid":
		return "user"
	case "dup", "dup2", "dup3", "pipe", "pipe2", "eventfd", "eventfd2", "signalfd", "signalfd4":
		return "IPC"
	case "mmap", "mmap2", "munmap", "mprotect", "brk", "mlock", "mlock2", "munlock", "mlockall", "munlockall", "userfaultfd":
		return "memory"
	case "kill", "tkill", "tgkill":
		return "signal"
	case "poll", "ppoll", "select", "pselect6", "epoll_wait", "epoll_pwait", "epoll_create", "epoll_create1", "epoll_ctl", "io_uring_enter":
		return "wait"
	case "nanosleep", "clock_nanosleep":
		return "sleep"
	case "init_module", "finit_module", "delete_module", "bpf", "seccomp", "quotactl", "ioctl":
		return "system"
	}
	return "other"
}

// direction is r for a call that reads data of a descriptor, w for one that
// writes, empty for all others.
func direction(e *event.Event) string {
	switch e.TypeName() {
	case "read", "readv", "pread", "preadv", "recv", "recvfrom", "recvmsg", "recvmmsg":
		return "r"
	case "write", "writev", "pwrite", "pwritev", "send", "sendto", "sendmsg", "sendmmsg", "sendfile":
		return "w"
	}
	return ""
}

func waits(name string) bool {
	switch category(name) {
	case "wait", "sleep":
		return name != "epoll_create" && name != "epoll_create1" && name != "epoll_ctl"
	}
	return false
}

func failedIn(group string) func(*event.Event) Value {
	return func(e *event.Event) Value { return truth(e.Ret < 0 && category(e.TypeName()) == group) }
}
