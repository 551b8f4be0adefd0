// Package event is one thing that a process did, as the agent's stages hand it
// on: capture fills what the kernel said, enrich adds the process, the rules
// read it. The package uses the standard library alone.
//
// An Event belongs to the stage that holds it and is reused: whoever keeps
// something of it beyond the call copies it. Process and Container live longer
// and are only written by enrich, on the pipeline's one goroutine.
package event

import "net/netip"

// Event is one system call at its exit, or one change in a process's life.
type Event struct {
	// Gen counts the changes of the process, and Epoch those of all that may be somebody's
	// ancestor, as they were when the kernel made the event; Gen is 0 where they are not
	// counted. See capture.Interest.
	Gen   uint32 `json:"-"`
	Epoch uint64 `json:"-"`
	// Num counts the events of this agent from 1.
	Num  uint64
	Type Type
	// Call is the name of a system call that has no Type of its own: its Type is
	// Syscall.
	Call string
	// TimeNS is when the call returned, Unix nanoseconds; KernelNS the same as
	// nanoseconds since boot, the clock of every process's start.
	TimeNS   int64
	KernelNS uint64
	CPU      uint16
	// Compat marks a 32-bit call on a 64-bit kernel.
	Compat bool
	// Recorded marks an event of a replayed recording.
	Recorded bool
	// Ret is the call's signed result; for ProcExit the exit status.
	Ret int64
	// Args are the parameters under Falco's names for this Type, in its order. Read
	// them with Params.
	Args []Arg
	// Fill, if set, makes Args when they are first asked for: a capture file's events
	// have many, and rules read few.
	Fill func(*Event) `json:"-"`
	// File is the object that the call created or used; Kind 0 if none.
	File File
	// Task is who did it, as the kernel says.
	Task Task
	// Exec is set at a successful exec, Fork at a fork.
	Exec *Exec
	Fork *Fork
	// Change is set after a call of the state set that succeeded: the thread's state as it is now.
	// Where Task's TID is its PID that is the process's, else one thread's alone,
	// for the kernel keeps credentials by the thread.
	Change *State
	// Cgroup is a new cgroup, or with Move the one that a process came into. Such an
	// event has no Type: it is for enrich alone, no rule sees it.
	Cgroup *Cgroup
	Move   *Move
	// FirstNS is when the capture's first event was and LastNS when the one before this,
	// Unix nanoseconds; 0 in live capture.
	FirstNS, LastNS int64
	// Files are the descriptors of the process, nil where they are not kept.
	Files Files
	// Data is the beginning of what was sent or received. It belongs to the event.
	Data []byte
	// Pending marks a request of io_uring that has no result yet: Ret and File.Num say
	// nothing.
	Pending bool
	// Proc is the process that did it, set by enrich, never nil after it. A
	// failed exec leaves it as the caller.
	Proc *Process
	// Clock is that of the table which Proc is in. Without one nothing that was found
	// out about a process is kept.
	Clock *Clock
	// Hosts, if set, are the domain names of an address among those that rules ask for.
	Hosts func(netip.Addr) []string `json:"-"`
	// RealView makes Name and its parts answer with File.RealPath: an event whose
	// lexical and real name differ is evaluated once with each.
	RealView bool
}

// TypeName is Falco's name of the event: its Type's, or its Call.
func (e *Event) TypeName() string {
	if e.Type == Syscall && e.Call != "" {
		return e.Call
	}
	return e.Type.String()
}

// Name is the file's name in the event's current view.
func (e *Event) Name() string {
	if e.RealView {
		return e.File.RealPath
	}
	return e.File.Name
}

// NameDiffers says that the name given and the file reached are not the same.
func (e *Event) NameDiffers() bool {
	return e.File.RealPath != "" && e.File.Name != "" && e.File.RealPath != e.File.Name
}

// Params are the parameters in Falco's order.
func (e *Event) Params() []Arg {
	if fill := e.Fill; fill != nil {
		e.Fill = nil
		fill(e)
	}
	return e.Args
}

// Arg finds a parameter by Falco's name.
func (e *Event) Arg(name string) (Arg, bool) {
	for _, a := range e.Params() {
		if a.Name == name {
			return a, true
		}
	}
	return Arg{}, false
}

// Reset empties the event for its next use and keeps the memory of Args.
func (e *Event) Reset() {
	args := e.Args[:0]
	*e = Event{} // in place: a literal with Args would be made elsewhere and copied
	e.Args = args
}

// Arg is one parameter: Text if the value is text or has a text form (flags
// joined by '|', an absolute path), Int the raw number if it has one. Raw is a path
// as it was passed, where Text is made of one.
type Arg struct {
	Name  string
	Text  string
	Int   int64
	IsInt bool
	Raw   string
}

// Task is the calling thread as the kernel knows it at the event.
type Task struct {
	PID, TID, PPID int32
	// VTID is the thread in its own pid namespace, 0 where it is not known.
	VTID int32
	// StartNS is the process's (thread group leader's) start since boot; with PID it
	// names one process for as long as the machine runs.
	StartNS  uint64
	UID, GID uint32
	// CgroupID is the inode of the task's cgroup v2 directory.
	CgroupID uint64
	Comm     string
}

// Exec is what the kernel knew of the new program when the exec had succeeded.
type Exec struct {
	State
	// Path is the binary's own path (d_path), Args the argument vector with argv[0],
	// Env the environment as NAME=value. Both are cut at 4,096 bytes.
	Path         string
	Args         []string
	Truncated    bool
	Env          []string
	EnvTruncated bool
	// UpperLayer: the binary lies in an overlay's upper layer, so it came after the
	// image; LowerLayer: it is the image's; Memfd: it has no file name at all;
	// Unlinked: its name is gone; Writable: the caller may write to it.
	UpperLayer, LowerLayer, Memfd, Unlinked, Writable bool
	// Setuid and Setgid are the binary's own permission bits.
	Setuid, Setgid bool
	Ino            uint64
	// CtimeNS and MtimeNS are the binary's inode's, Unix nanoseconds.
	CtimeNS, MtimeNS int64
}

// State is what a call can change about a task, read from the task itself.
type State struct {
	Credentials
	Namespaces Namespaces
	// CWD is the working directory, Root the root directory as the task's mount
	// namespace has it: "/" unless it has called chroot.
	CWD, Root string
	// TTY is the terminal's device number, 0 for none.
	TTY       uint32
	SID, PGID int32
	// VPID, VTID, VPGID and VSID are as the task's own pid namespace has them; 0 for
	// what lies outside.
	VPID, VTID, VPGID, VSID int32
	// LoginUID is 4294967295 when nobody logged in.
	LoginUID uint32
}

// Credentials are a task's user and group ids and capabilities.
type Credentials struct {
	UID, EUID, SUID, FSUID uint32
	GID, EGID, SGID, FSGID uint32
	Caps                   Capabilities
}

// Namespaces are numbered as in the links of /proc/PID/ns; 0 for one that the kernel
// did not tell.
type Namespaces struct {
	Mount, PID, PIDForChildren, Net, User, IPC, UTS, Cgroup uint32
}

// Fork names the child of a fork; the parent is the event's Task.
type Fork struct {
	// PPID is the new process's parent: the caller, or with CLONE_PARENT the
	// caller's parent.
	PID, PPID, VPID int32
	StartNS         uint64
	CgroupID        uint64
}

// Move names a process that came into another cgroup; who moved it is the event's
// Task. The cgroup is the event's Cgroup.
type Move struct {
	PID     int32
	StartNS uint64
}

// Cgroup is a cgroup v2 directory.
type Cgroup struct {
	ID uint64
	// Path is below the root of the hierarchy, with a leading '/'.
	Path string
}

// Kinds of File are Falco's fd.typechar.
const (
	KindFile      byte = 'f'
	KindDirectory byte = 'd'
	KindIPv4      byte = '4'
	KindIPv6      byte = '6'
	KindUnix      byte = 'u'
	KindPipe      byte = 'p'
	KindMemfd     byte = 'm'
	KindNetlink   byte = 'n'
	KindEvent     byte = 'e'
	KindSignal    byte = 's'
	KindEpoll     byte = 'l'
	KindInotify   byte = 'i'
	KindTimer     byte = 't'
	KindBpf       byte = 'b'
	KindUring     byte = 'r'
	KindPidfd     byte = 'P'
	KindOther     byte = 'o'
)

// File is the object behind an event's file descriptor.
type File struct {
	Kind byte
	// Num is the descriptor, -1 when the call failed.
	Num int64
	// Name is Falco's fd.name: the argument joined with cwd or dirfd and cleaned
	// lexically, no symlink resolved. For a socket it is Falco's tuple text.
	Name string
	// NameRaw is the argument as it was passed.
	NameRaw string
	// Base is the directory that a relative NameRaw counts from, the caller's or
	// dirfd's; empty for an absolute name and where the kernel could not say.
	Base string
	// RealPath is the opened file's own path, read from the kernel's object; empty
	// when the call failed or the event has no such object.
	RealPath string
	// Flags and Mode are the call's, as the kernel's numbers for this architecture.
	Flags uint32
	Mode  uint32
	Dev   uint64
	Ino   uint64
	// UpperLayer says that the file lies in an overlay's upper layer, LowerLayer in
	// one of the others. Unlinked: no directory holds it any more.
	UpperLayer, LowerLayer, Unlinked bool
	// Created says that this open made the file.
	Created bool
	Socket  Socket
}

// Files are the open descriptors of a process.
type Files interface {
	// File is false for a descriptor that is not open.
	File(fd int64) (File, bool)
	// Kinds has the letter of each kind once, by the lowest descriptors.
	Kinds() []byte
	// Len counts the descriptors.
	Len() int
}

// Socket is the tuple of a socket. An address that is not known is the zero value.
type Socket struct {
	Local, Remote netip.AddrPort
	// L4 is the protocol number: 6 TCP, 17 UDP, 1 ICMP; 0 unknown.
	L4 uint8
	// Role says which end this process is.
	Role Role
	// Connected says that the socket has a peer of its own; Renamed that this event
	// changed its tuple.
	Connected, Renamed bool
}

// Role is a socket's side.
type Role uint8

// Roles of a socket. Without one, fd.sip and its like are missing.
const (
	RoleUnknown Role = iota
	RoleClient
	RoleServer
)
