//go:build linux

package capture

import (
	"strconv"

	"golang.org/x/sys/unix"

	"riposte/agent/event"
	"riposte/bpf"
)

func has(marks uint32, mark bpf.SyscallWireMark) bool { return marks&uint32(mark) != 0 }

func (d *decoder) open(raw []byte, e *event.Event) error {
	r, tail, ok := fixed[bpf.SyscallWireOpen](raw)
	if !ok {
		return errShort
	}
	rest := string(tail)
	name, ok1 := take(&rest, r.NameLen)
	path, ok2 := take(&rest, r.PathLen)
	base, ok3 := take(&rest, r.BaseLen)
	if !ok1 || !ok2 || !ok3 {
		return errShort
	}
	e.File = event.File{
		Kind:       kind(r.Imode, r.Marks),
		Num:        max(e.Ret, -1),
		NameRaw:    name,
		Base:       base,
		RealPath:   path,
		Flags:      uint32(r.Flags),
		Mode:       uint32(r.Mode),
		Dev:        uint64(r.Dev),
		Ino:        r.Ino,
		UpperLayer: has(r.Marks, bpf.SyscallWireMarkMARK_UPPER),
		Created:    has(r.Marks, bpf.SyscallWireMarkMARK_CREATED),
	}
	result(e, "fd", e.Ret)
	if e.Type == event.Openat || e.Type == event.Openat2 {
		directory(e, r.Dirfd)
	}
	text(e, "name", name)
	layer := layerFlags(r.Marks)
	mode := falcoMode(e.Type, r.Flags, r.Mode)
	if e.Type == event.Creat {
		both(e, "mode", mode, octal(mode))
		both(e, "dev", int64(r.Dev), strconv.FormatUint(uint64(r.Dev), 16))
		number(e, "ino", int64(r.Ino))
		both(e, "creat_flags", int64(layer), creatFlags.text(layer))
		return nil
	}
	flags := falcoOpen(uint32(r.Flags), e.File.Created) | layer<<fdLayerShift
	both(e, "flags", int64(flags), d.flags.get(flags, func() string { return openFlags.text(flags) }))
	both(e, "mode", mode, octal(mode))
	if e.Type == event.Openat2 {
		resolve := falcoResolve(r.Resolve)
		both(e, "resolve", int64(resolve), resolveFlags.text(resolve))
	}
	both(e, "dev", int64(r.Dev), strconv.FormatUint(uint64(r.Dev), 16))
	number(e, "ino", int64(r.Ino))
	return nil
}

// kind is Falco's letter. A failed open has no file and counts as one.
func kind(imode, marks uint32) byte {
	if has(marks, bpf.SyscallWireMarkMARK_MEMFD) {
		return event.KindMemfd
	}
	switch imode & unix.S_IFMT {
	case unix.S_IFDIR:
		return event.KindDirectory
	case unix.S_IFIFO:
		return event.KindPipe
	}
	return event.KindFile
}

// directory is the descriptor that a relative name starts from.
func directory(e *event.Event, fd int32) {
	if fd == unix.AT_FDCWD {
		both(e, "dirfd", int64(fd), "AT_FDCWD")
		return
	}
	number(e, "dirfd", int64(fd))
}

// falcoMode is 0 where the call ignores its mode.
func falcoMode(t event.Type, flags, mode uint64) int64 {
	if t != event.Creat && flags&(unix.O_CREAT|unix.O_TMPFILE&^unix.O_DIRECTORY) == 0 {
		return 0
	}
	return int64(uint32(mode) & 0o7777)
}

func octal(mode int64) string {
	if mode == 0 {
		return "0"
	}
	return "0" + strconv.FormatInt(mode, 8)
}
