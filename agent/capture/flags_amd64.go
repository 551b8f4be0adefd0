//go:build linux

package capture

import (
	"strings"

	"golang.org/x/sys/unix"

	"riposte/bpf"
)

// flag is one name of Falco's tables with its number there.
type flag struct {
	name string
	bit  uint32
}

// table is in Falco's order, which is the order of the text.
type table []flag

// text joins the names of the bits that are set. A name takes its bits away, so that
// O_RDWR is not followed by O_RDONLY; the name for 0 stands alone.
func (t table) text(bits uint32) string {
	var b strings.Builder
	left := bits
	for _, f := range t {
		if f.bit == 0 && bits != 0 || left&f.bit != f.bit {
			continue
		}
		left &^= f.bit
		if b.Len() > 0 {
			b.WriteByte('|')
		}
		b.WriteString(f.name)
	}
	return b.String()
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

var openFlags = table{
	{"O_LARGEFILE", 1 << 11},
	{"O_DIRECTORY", 1 << 10},
	{"O_DIRECT", 1 << 9},
	{"O_TRUNC", 1 << 8},
	{"O_SYNC", 1 << 7},
	{"O_NONBLOCK", 1 << 6},
	{"O_EXCL", 1 << 5},
	{"O_DSYNC", 1 << 4},
	{"O_APPEND", 1 << 3},
	{"O_CREAT", 1 << 2},
	{"O_RDWR", falcoRead | falcoWrite},
	{"O_WRONLY", falcoWrite},
	{"O_RDONLY", falcoRead},
	{"O_CLOEXEC", 1 << 12},
	{"O_NONE", 0},
	{"O_TMPFILE", 1 << 13},
	{"O_F_CREATED", falcoCreated},
	{"FD_UPPER_LAYER", layerUpper << fdLayerShift},
	{"FD_LOWER_LAYER", layerLower << fdLayerShift},
}

var creatFlags = table{{"FD_UPPER_LAYER_CREAT", layerUpper}, {"FD_LOWER_LAYER_CREAT", layerLower}}

var resolveFlags = table{
	{"RESOLVE_BENEATH", 1},
	{"RESOLVE_IN_ROOT", 2},
	{"RESOLVE_NO_MAGICLINKS", 4},
	{"RESOLVE_NO_SYMLINKS", 8},
	{"RESOLVE_NO_XDEV", 16},
	{"RESOLVE_CACHED", 32},
}

// kernelOpen pairs this architecture's bits with Falco's. A flag of several bits
// counts when all of them are set.
var kernelOpen = []struct{ kernel, falco uint32 }{
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

// kernelResolve pairs openat2's bits with Falco's.
var kernelResolve = []struct{ kernel, falco uint32 }{
	{unix.RESOLVE_BENEATH, 1},
	{unix.RESOLVE_IN_ROOT, 2},
	{unix.RESOLVE_NO_MAGICLINKS, 4},
	{unix.RESOLVE_NO_SYMLINKS, 8},
	{unix.RESOLVE_NO_XDEV, 16},
	{resolveCached, 32},
}

// resolveCached is newer (5.12) than the constants that we use.
const resolveCached = 0x20

func falcoResolve(flags uint64) uint32 {
	var f uint32
	for _, p := range kernelResolve {
		if flags&uint64(p.kernel) != 0 {
			f |= p.falco
		}
	}
	return f
}

// kernelLargeFile is the bit in the kernel; the C library hides it on 64 bit.
const kernelLargeFile = 0o100000

func falcoOpen(flags uint32, created bool) uint32 {
	var f uint32
	switch flags & unix.O_ACCMODE {
	case unix.O_RDONLY:
		f = falcoRead
	case unix.O_WRONLY:
		f = falcoWrite
	case unix.O_RDWR:
		f = falcoRead | falcoWrite
	}
	for _, p := range kernelOpen {
		if flags&p.kernel == p.kernel {
			f |= p.falco
		}
	}
	if created {
		f |= falcoCreated
	}
	return f
}

func layerFlags(marks uint32) uint32 {
	switch {
	case has(marks, bpf.SyscallWireMarkMARK_UPPER):
		return layerUpper
	case has(marks, bpf.SyscallWireMarkMARK_LOWER):
		return layerLower
	}
	return 0
}
