//go:build linux

package capture

import (
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"riposte/agent/event"
	"riposte/bpf"
)

func opens(t event.Type) bool {
	return t == event.Open || t == event.Openat || t == event.Openat2 || t == event.Creat || t == event.OpenByHandleAt
}

// file takes a record of a call that makes or uses a file.
func (c *record) file(tail []byte, e *event.Event) error {
	o, tail, ok := fixed[bpf.SyscallWireObject](tail)
	if !ok {
		return errShort
	}
	t := textsOf(tail)
	c.object = o
	c.takeNames(&t)
	c.path, c.origin = t.text(o.PathLen), t.text(o.OriginLen)
	c.data = t.bytes(c.DataLen)
	switch {
	case opens(e.Type):
		c.opened(e)
	case e.Type == event.Bpf && !bpfMakes(c.Args[0]): // the result is no descriptor
	case o.Imode != 0:
		c.used(e)
	}
	return t.err()
}

// opened is the file that a call has opened, or should have: then it counts as one.
func (c *record) opened(e *event.Event) {
	flags, mode := c.openFlags(e.Type)
	c.describe(&e.File)
	if e.File.Kind == 0 {
		e.File.Kind = event.KindFile
	}
	e.File.Num = max(e.Ret, -1)
	e.File.NameRaw = c.names[0]
	e.File.Base = c.bases[0]
	e.File.Flags, e.File.Mode = flags, mode
	if c.origin != "" && event.Absolute(c.names[0], c.bases[0]) == c.path {
		// The name is the path: no symlink was followed, but a bind mount crossed. Where
		// both were, the mount's path stays, for it is what most rules know.
		e.File.RealPath = c.origin
	}
}

// used is an object that a call has by its descriptor alone, so its name is its path.
func (c *record) used(e *event.Event) {
	c.describe(&e.File)
	e.File.Num = e.Ret
	if c.typ.shape.Fd != uint8(bpf.SyscallWireFdFD_RESULT) {
		e.File.Num = int64(int32(c.Args[c.typ.shape.Fd-1]))
	}
	e.File.Name = e.File.RealPath
	if e.Type == event.MemfdCreate { // as Falco has it
		e.File.Name, e.File.RealPath = c.names[0], ""
	}
}

// describe fills in what the object says of itself.
func (c *record) describe(f *event.File) {
	o := &c.object
	f.Dev, f.Ino = uint64(o.Dev), o.Ino
	f.UpperLayer = has(c.Marks, bpf.SyscallWireMarkMARK_UPPER)
	f.LowerLayer = has(c.Marks, bpf.SyscallWireMarkMARK_LOWER)
	f.Unlinked = has(c.Marks, bpf.SyscallWireMarkMARK_UNLINKED)
	f.Created = has(c.Marks, bpf.SyscallWireMarkMARK_CREATED)
	if o.Imode != 0 || o.Ino != 0 {
		f.Kind = kind(o.Imode, c.Marks, c.path)
	}
	if !has(c.Marks, bpf.SyscallWireMarkMARK_ANONYMOUS) {
		f.RealPath = c.path
	}
}

// kind is Falco's letter.
func kind(imode, marks uint32, path string) byte {
	switch {
	case has(marks, bpf.SyscallWireMarkMARK_MEMFD):
		return event.KindMemfd
	case has(marks, bpf.SyscallWireMarkMARK_ANONYMOUS):
		return anonymousKind(path)
	}
	switch imode & unix.S_IFMT {
	case unix.S_IFDIR:
		return event.KindDirectory
	case unix.S_IFIFO:
		return event.KindPipe
	}
	return event.KindFile
}

// anonymousKind goes by the name that the kernel gives an object without a file.
func anonymousKind(path string) byte {
	switch name := strings.Trim(path, "/[]"); {
	case name == "eventpoll":
		return event.KindEpoll
	case name == "eventfd":
		return event.KindEvent
	case name == "signalfd":
		return event.KindSignal
	case name == "timerfd":
		return event.KindTimer
	case name == "io_uring":
		return event.KindUring
	case name == "userfaultfd":
		return event.KindUnix // as Falco has it
	case name == "inotify":
		return event.KindInotify
	case name == "pidfd", name == "":
		return event.KindPidfd // pidfs gives it no name
	case strings.HasPrefix(name, "bpf"), name == "btf":
		return event.KindBpf
	}
	return event.KindOther
}

// bpfMakes says whether the command of bpf returns a descriptor.
func bpfMakes(cmd uint64) bool {
	switch cmd {
	case unix.BPF_MAP_CREATE, unix.BPF_PROG_LOAD, unix.BPF_OBJ_GET, unix.BPF_PROG_GET_FD_BY_ID, unix.BPF_MAP_GET_FD_BY_ID,
		unix.BPF_RAW_TRACEPOINT_OPEN, unix.BPF_BTF_LOAD, unix.BPF_BTF_GET_FD_BY_ID, unix.BPF_LINK_CREATE, unix.BPF_LINK_GET_FD_BY_ID,
		unix.BPF_ENABLE_STATS, unix.BPF_ITER_CREATE:
		return true
	}
	return false
}

// described is Falco's text of a descriptor.
func described(f *event.File) string {
	kind := string(rune(f.Kind))
	if f.Kind == event.KindIPv4 || f.Kind == event.KindIPv6 {
		switch f.Socket.L4 {
		case unix.IPPROTO_TCP:
			kind += "t"
		case unix.IPPROTO_UDP:
			kind += "u"
		}
	}
	return "<" + kind + ">" + f.Name
}

// openFlags are the kernel's flags and the mode of any call that opens.
func (c *record) openFlags(t event.Type) (flags, mode uint32) {
	switch t {
	case event.Open:
		return uint32(c.Args[1]), uint32(c.Args[2])
	case event.Creat:
		return unix.O_CREAT | unix.O_WRONLY | unix.O_TRUNC, uint32(c.Args[1])
	case event.OpenByHandleAt:
		return uint32(c.Args[2]), 0
	}
	return uint32(c.Args[2]), uint32(c.Args[3])
}

func putOpen(d *decoder, c *record, e *event.Event, p *param) {
	flags := falcoOpen(e.File.Flags, e.File.Created) | layer(c.Marks)<<fdLayerShift
	both(e, p.name, int64(flags), d.flagText(fileFlags, flags, false))
}

// putOpenMode is 0 where the call ignores its mode.
func putOpenMode(_ *decoder, _ *record, e *event.Event, p *param) {
	mode := int64(e.File.Mode & 0o7777)
	if e.Type != event.Creat && e.File.Flags&(unix.O_CREAT|unix.O_TMPFILE&^unix.O_DIRECTORY) == 0 {
		mode = 0
	}
	both(e, p.name, mode, octal(mode))
}

func putDev(_ *decoder, c *record, e *event.Event, p *param) {
	both(e, p.name, int64(c.object.Dev), strconv.FormatUint(uint64(c.object.Dev), 16))
}

func putIno(_ *decoder, c *record, e *event.Event, p *param) {
	number(e, p.name, int64(c.object.Ino))
}

func putLayer(d *decoder, c *record, e *event.Event, p *param) {
	flags := layer(c.Marks)
	both(e, p.name, int64(flags), d.flagText(creatFlags, flags, false))
}

// putOwnPath is the path of a file that was opened without a name.
func putOwnPath(_ *decoder, c *record, e *event.Event, p *param) { text(e, p.name, c.path) }
