//go:build linux

package capture

import (
	"golang.org/x/sys/unix"

	"riposte/agent/capture/flag"
	"riposte/bpf"
)

var (
	fileFlags     = flag.Tables()["file_flags"]
	creatFlags    = flag.Tables()["creat_flags"]
	cloneFlags    = flag.Tables()["clone_flags"]
	execFlags     = flag.Tables()["execve_flags"]
	uringSetup    = flag.Tables()["io_uring_setup_flags"]
	uringFeatures = flag.Tables()["io_uring_setup_feats"]
)

// flagKey is a flag parameter's table and value. The texts are remembered, for the
// same few come again and again.
type flagKey struct {
	first *flag.Name
	value uint32
	exact bool
}

func (d *decoder) flagText(t flag.Table, value uint32, exact bool) string {
	return d.flags.get(flagKey{&t[0], value, exact}, func() string {
		if exact {
			return t.Exact(value)
		}
		return t.Text(value)
	})
}

// Falco's numbers for what the kernel's flags mean on every architecture.
const (
	falcoRead    = 1 << 0
	falcoWrite   = 1 << 1
	falcoCreated = 1 << 14
)

// The layer of an overlay stands in two tables at different places.
const (
	layerUpper   = 1
	layerLower   = 2
	fdLayerShift = 15
)

// pair is a kernel's flag and Falco's. A flag of several bits counts when all of them
// are set.
type pair struct{ kernel, falco uint32 }

func convert(flags uint32, pairs []pair) uint32 {
	var f uint32
	for _, p := range pairs {
		if flags&p.kernel == p.kernel {
			f |= p.falco
		}
	}
	return f
}

var openPairs = []pair{
	{unix.O_CREAT, 1 << 2},
	{unix.O_APPEND, 1 << 3},
	{unix.O_DSYNC, 1 << 4},
	{unix.O_EXCL, 1 << 5},
	{unix.O_NONBLOCK, 1 << 6},
	{unix.O_SYNC, 1 << 7},
	{unix.O_TRUNC, 1 << 8},
	{unix.O_DIRECT, 1 << 9},
	{unix.O_DIRECTORY, 1 << 10},
	{kernelLargeFile, 1 << 11},
	{unix.O_CLOEXEC, 1 << 12},
	{unix.O_TMPFILE, 1 << 13},
}

// kernelLargeFile is the bit in the kernel; the C library hides it on 64 bit.
const kernelLargeFile = 0o100000

func falcoOpen(flags uint32, created bool) uint32 {
	f := convert(flags, openPairs)
	switch flags & unix.O_ACCMODE {
	case unix.O_RDONLY:
		f |= falcoRead
	case unix.O_WRONLY:
		f |= falcoWrite
	case unix.O_RDWR:
		f |= falcoRead | falcoWrite
	}
	if created {
		f |= falcoCreated
	}
	return f
}

// falcoCloexec is for calls that take the flags of an open but not its access mode.
func falcoCloexec(flags uint32) uint32 { return convert(flags, openPairs) }

// resolveCached is newer (5.12) than the constants that we use.
const resolveCached = 0x20

var resolvePairs = []pair{
	{unix.RESOLVE_BENEATH, 1},
	{unix.RESOLVE_IN_ROOT, 2},
	{unix.RESOLVE_NO_MAGICLINKS, 4},
	{unix.RESOLVE_NO_SYMLINKS, 8},
	{unix.RESOLVE_NO_XDEV, 16},
	{resolveCached, 32},
}

func falcoResolve(flags uint32) uint32 { return convert(flags, resolvePairs) }

var clonePairs = []pair{
	{unix.CLONE_FILES, 1 << 0},
	{unix.CLONE_FS, 1 << 1},
	{unix.CLONE_IO, 1 << 2},
	{unix.CLONE_NEWIPC, 1 << 3},
	{unix.CLONE_NEWNET, 1 << 4},
	{unix.CLONE_NEWNS, 1 << 5},
	{unix.CLONE_NEWPID, 1 << 6},
	{unix.CLONE_NEWUTS, 1 << 7},
	{unix.CLONE_PARENT, 1 << 8},
	{unix.CLONE_PARENT_SETTID, 1 << 9},
	{unix.CLONE_PTRACE, 1 << 10},
	{unix.CLONE_SIGHAND, 1 << 11},
	{unix.CLONE_SYSVSEM, 1 << 12},
	{unix.CLONE_THREAD, 1 << 13},
	{unix.CLONE_UNTRACED, 1 << 14},
	{unix.CLONE_VM, 1 << 15},
	{unix.CLONE_NEWUSER, 1 << 20},
	{unix.CLONE_CHILD_CLEARTID, 1 << 23},
	{unix.CLONE_CHILD_SETTID, 1 << 24},
	{unix.CLONE_SETTLS, 1 << 25},
	{unix.CLONE_VFORK, 1 << 27},
	{unix.CLONE_NEWCGROUP, 1 << 28},
}

func falcoClone(flags uint32) uint32 { return convert(flags, clonePairs) }

// ptraceRequests are the kernel's requests from 0 on, then those from
// ptraceExtended on, by Falco's numbers; 0 is one that it does not know.
var (
	ptraceRequests = [...]uint32{
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0, 26, 27, 28, 29, 11, 12, 30, 31, 0, 32, 0, 0, 13, 33, 34, 0, 0, 0, 35, 36, 37, 38,
	}
	ptraceExtendedRequests = [...]uint32{14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25}
)

const ptraceExtended = 0x4200

func falcoPtrace(request uint32) uint32 {
	switch {
	case request < uint32(len(ptraceRequests)):
		return ptraceRequests[request]
	case request-ptraceExtended < uint32(len(ptraceExtendedRequests)):
		return ptraceExtendedRequests[request-ptraceExtended]
	}
	return 0
}

// mountFlags drops the number that old programs put above the flags.
func mountFlags(flags uint32) uint32 {
	if flags&unix.MS_MGC_MSK == unix.MS_MGC_VAL {
		flags &^= unix.MS_MGC_MSK
	}
	return flags
}

// layer is the overlay's layer as a flag.
func layer(marks uint32) uint32 {
	switch {
	case has(marks, bpf.SyscallWireMarkMARK_UPPER):
		return layerUpper
	case has(marks, bpf.SyscallWireMarkMARK_LOWER):
		return layerLower
	}
	return 0
}
