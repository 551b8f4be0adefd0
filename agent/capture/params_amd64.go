//go:build linux

package capture

import (
	"fmt"
	"strconv"
	"strings"

	"riposte/agent/capture/flag"
	"riposte/agent/event"
	"riposte/bpf"
)

// param is one parameter of a call.
type param struct {
	name string
	// put appends the parameter to the event.
	put func(d *decoder, c *record, e *event.Event, p *param)
	// n is the argument that it comes from, m a second one or where a path counts from.
	n, m  int
	table flag.Table
	// convert makes Falco's number of the kernel's.
	convert func(uint32) uint32
}

// Bases of a path besides the argument that holds a directory's descriptor.
const cwd = 6

// kinds are the words of a call's params.
var kinds = map[string]func(*decoder, *record, *event.Event, *param){
	"res": putRes, "new": putNew, "fd": putFD, "dir": putDir, "path": putPath, "text": putText, "string": putString, "flags": putFlags,
	"enum": putEnum, "open": putOpen, "openmode": putOpenMode, "mode": putMode, "dev": putDev, "ino": putIno, "own": putOwnPath, "layer": putLayer,
	"num": putInt, "int": putInt, "pid": putInt, "uint": putUint, "long": putLong, "signal": putSignal, "bytes": putBytes,
	"data": putBytes, "control": putControl, "tuple": putTuple, "addr": putAddr, "size": putSize, "queue": putQueue, "uring": putUring,
	"cap": putCap, "name": putNewName, "prctl": putPrctl, "clone": putClone, "task": putTask,
}

// conversions are of the tables whose numbers are not the kernel's.
var conversions = map[string]func(uint32) uint32{
	"file_flags": falcoCloexec, "clone_flags": falcoClone, "openat2_flags": falcoResolve, "mount_flags": mountFlags, "ptrace_requests": falcoPtrace,
}

// parseParams reads a call's params: name:kind, with "=2" for the argument it comes
// from, "@1" or "@cwd" for where a path counts from, "+1" for the argument with the
// length, and "/table" for the names of its flags.
func parseParams(s string) []param {
	words := strings.Fields(s)
	params := make([]param, 0, len(words))
	for _, word := range words {
		name, rest, _ := strings.Cut(word, ":")
		rest, table, _ := strings.Cut(rest, "/")
		kind, place, _ := strings.Cut(rest, "=")
		p := param{name: name, put: kinds[kind], m: none, table: flag.Tables()[table], convert: conversions[table]}
		if p.put == nil || table != "" && p.table == nil {
			panic("parameter " + word)
		}
		place, base, _ := strings.Cut(place, "@")
		place, length, _ := strings.Cut(place, "+")
		switch {
		case base == "cwd":
			p.m = cwd
		case base+length != "":
			p.m = argument(base + length)
		}
		if kind != "task" {
			p.n = argument(place)
		}
		params = append(params, p)
	}
	return params
}

func argument(s string) int {
	if s == "" {
		return none
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(fmt.Sprintf("argument %q of a parameter", s))
	}
	return n
}

// shape is how the kernel's side is told about the call.
func (c *call) shape() bpf.SyscallWireShape {
	s := bpf.SyscallWireShape{Call: uint8(c.typ), Handler: c.handler, Tier: c.tier, Flags: c.flags, Special: c.special}
	names := 0
	for word := range strings.FieldsSeq(c.params) {
		p := parseParams(word)[0]
		kind, _, _ := strings.Cut(strings.TrimPrefix(word, p.name+":"), "=")
		place := uint8(p.n + 1)
		switch kind {
		case "path", "text":
			s.Name[names] = place
			if p.m != none {
				s.Dir[names] = uint8(p.m + 1)
			}
			names++
		case "fd":
			s.Fd = place
		case "new":
			s.Fd = uint8(bpf.SyscallWireFdFD_RESULT)
		case "string":
			s.Data = place
		case "bytes":
			s.Data, s.DataLen = place, uint8(p.m+1)
		case "uring":
			s.Data, s.DataSize = 2, uringParams
		}
	}
	return s
}
