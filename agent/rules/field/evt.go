package field

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"riposte/agent/event"
	"riposte/agent/rules/syntax"
)

var evtFields = []Field{
	{Name: "evt.num", Type: Uint64, Desc: "number of the event, from 1", get: ofEvent(func(e *event.Event) Value { return number(e.Num) })},
	{Name: "evt.time", Type: Text, Desc: "local time of day with nanoseconds", get: ofEvent(timeAs("15:04:05.000000000", false))},
	{Name: "evt.time.s", Type: Text, Desc: "local time of day", get: ofEvent(timeAs("15:04:05", false))},
	{Name: "evt.time.iso8601", Type: Text, Desc: "time in UTC as ISO 8601 with nanoseconds", get: ofEvent(timeAs("2006-01-02T15:04:05.000000000-0700", true))},
	{Name: "evt.datetime", Type: Text, Desc: "local date and time with nanoseconds", get: ofEvent(timeAs("2006-01-02 15:04:05.000000000", false))},
	{Name: "evt.datetime.s", Type: Text, Desc: "local date and time", get: ofEvent(timeAs("2006-01-02 15:04:05", false))},
	{Name: "evt.rawtime", Type: Uint64, Desc: "nanoseconds since 1970", get: ofEvent(func(e *event.Event) Value { return number(e.TimeNS) })},
	{Name: "evt.rawtime.s", Type: Uint64, Desc: "whole seconds since 1970", get: ofEvent(func(e *event.Event) Value { return number(e.TimeNS / 1e9) })},
	{Name: "evt.rawtime.ns", Type: Uint64, Desc: "nanoseconds within the second", get: ofEvent(func(e *event.Event) Value { return number(e.TimeNS % 1e9) })},
	{Name: "evt.source", Type: Text, Desc: "source of the event, syscall", get: ofEvent(func(*event.Event) Value { return text("syscall") })},
	{Name: "evt.hostname", Type: Text, Scope: Host, Desc: "name of the node"},
	{Name: "evt.dir", Type: Text, Desc: "always <, for an event is a call's exit (deprecated)", get: ofEvent(func(*event.Event) Value { return text("<") })},
	{Name: "evt.type", Type: Text, NoRight: true, NoTransform: true, Desc: "kind of the event", get: ofEvent(func(e *event.Event) Value { return text(e.Type.String()) })},
	{Name: "evt.category", Type: Text, Desc: "group that the kind belongs to"},
	{Name: "evt.cpu", Type: Int, Desc: "processor on which it happened", get: ofEvent(func(e *event.Event) Value { return number(int64(e.CPU)) })},
	{Name: "evt.args", Type: Text, Desc: "all parameters", get: ofEvent(allArgs)},
	{Name: "evt.arg", Type: Text, Arg: RequiredText, Desc: "one parameter, by name or number", get: oneArg},
	{Name: "evt.info", Type: Text, Desc: "all parameters", get: ofEvent(allArgs)},
	{Name: "evt.res", Type: Text, Desc: "SUCCESS, or the name of the error", get: ofEvent(func(e *event.Event) Value { return text(Result(e.Ret)) })},
	{Name: "evt.rawres", Type: Int, Desc: "result of the call, negative for an error", get: ofEvent(func(e *event.Event) Value { return number(e.Ret) })},
	{Name: "evt.failed", Type: Bool, Desc: "the call failed", get: ofEvent(func(e *event.Event) Value { return truth(e.Ret < 0) })},
	{Name: "evt.buffer", Type: Bytes, Desc: "data that was read or written"},
	{Name: "evt.buflen", Type: Uint64, Desc: "length of the data"},
	{Name: "evt.is_io", Type: Bool, Desc: "the call reads or writes"},
	{Name: "evt.is_io_read", Type: Bool, Desc: "the call reads"},
	{Name: "evt.is_io_write", Type: Bool, Desc: "the call writes"},
	{Name: "evt.is_syscall", Type: Bool, Desc: "the event is a system call", get: ofEvent(func(e *event.Event) Value { return truth(e.Type != event.ProcExit) })},
	{Name: "evt.is_async", Type: Bool, Desc: "the event was made by the agent", get: ofEvent(func(*event.Event) Value { return truth(false) })},
	{Name: "evt.is_open_read", Type: Bool, Desc: "an open for reading, alone or with writing", get: ofEvent(func(e *event.Event) Value { return truth(opens(e) && accessMode(e) != writeOnly) })},
	{Name: "evt.is_open_write", Type: Bool, Desc: "an open for writing, alone or with reading", get: ofEvent(func(e *event.Event) Value { return truth(opens(e) && accessMode(e) != readOnly) })},
	{Name: "evt.is_open_exec", Type: Bool, Desc: "an open or creat that may make an executable file", get: ofEvent(func(e *event.Event) Value {
		makes := e.Type == event.Creat || opens(e) && (e.File.Flags&flagCreate != 0 || e.File.Flags&flagTmpfile == flagTmpfile)
		return truth(makes && e.File.Mode&0o111 != 0)
	})},
	{Name: "evt.is_open_create", Type: Bool, Desc: "an open that made the file", get: ofEvent(func(e *event.Event) Value { return truth(e.File.Created) })},
}

// The kernel's open flags; the same numbers on every architecture that the agent runs on.
const (
	readOnly  = 0
	writeOnly = 1

	flagAccess = 3
	flagCreate = 0o100
	// flagTmpfile is more than one bit: it includes O_DIRECTORY.
	flagTmpfile = 0o20200000
)

func opens(e *event.Event) bool {
	return e.Type == event.Open || e.Type == event.Openat || e.Type == event.Openat2
}

func accessMode(e *event.Event) uint32 { return e.File.Flags & flagAccess }

func timeAs(layout string, utc bool) func(*event.Event) Value {
	return func(e *event.Event) Value {
		t := time.Unix(0, e.TimeNS)
		if utc {
			t = t.UTC()
		}
		return text(t.Format(layout))
	}
}

func argText(a event.Arg) string {
	if a.Text == "" && a.IsInt {
		return strconv.FormatInt(a.Int, 10)
	}
	return a.Text
}

func oneArg(e *event.Event, a Argument, _ int) Value {
	if a.Index >= 0 {
		if a.Index >= len(e.Params()) {
			return Value{}
		}
		return textOrEmpty(argText(e.Args[a.Index]))
	}
	v, ok := e.Arg(a.Text)
	if !ok {
		return Value{}
	}
	return textOrEmpty(argText(v))
}

// allArgs prints name=value, or name=number(text) where both are known.
func allArgs(e *event.Event) Value {
	var b strings.Builder
	for i, a := range e.Params() {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(a.Name)
		b.WriteByte('=')
		if a.IsInt && a.Text != "" {
			fmt.Fprintf(&b, "%d(%s)", a.Int, a.Text)
		} else {
			b.WriteString(argText(a))
		}
	}
	return textOrEmpty(b.String())
}

// argNames are the names of all parameters of all events.
var argNames = strings.Fields(argNameList)

// argIndex is the number that a parameter is named by, or -1 if it is named by a
// name, which must be one of Falco's.
func argIndex(name string) (int, error) {
	if n, err := strconv.ParseUint(name, 10, 8); err == nil {
		return int(n), nil
	}
	if slices.Contains(argNames, name) {
		return -1, nil
	}
	if near := syntax.Nearest(name, argNames); near != "" {
		return 0, fmt.Errorf("unknown event argument %s: did you mean %s?", name, near)
	}
	return 0, fmt.Errorf("unknown event argument %s", name)
}
