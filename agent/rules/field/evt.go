package field

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"riposte/agent/event"
)

// genericFields belong to events of every source.
var genericFields = []Field{
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
	{Name: "evt.hostname", Type: Text, Scope: Host, Desc: "name of the node; FALCO_HOSTNAME sets it", get: ofEvent(func(*event.Event) Value { return text(hostname()) })},
	{Name: "evt.is_async", Type: Bool, Desc: "the event was made by the agent", get: ofEvent(func(e *event.Event) Value { return truth(e.Type == event.Asyncevent) })},
	{Name: "evt.reltime", Type: Uint64, Flags: Replayed, Desc: "nanoseconds since the capture began", get: ofEvent(sinceFirst(1, math.MaxInt64))},
	{Name: "evt.reltime.s", Type: Uint64, Flags: Replayed, Desc: "whole seconds since the capture began", get: ofEvent(sinceFirst(1e9, math.MaxInt64))},
	{Name: "evt.reltime.ns", Type: Uint64, Flags: Replayed, Desc: "the rest of that time, in nanoseconds", get: ofEvent(sinceFirst(1, 1e9))},
	{Name: "evt.pluginname", Type: Text, Desc: "plugin that made the event"},
	{Name: "evt.plugininfo", Type: Text, Desc: "the plugin's summary of the event"},
	{Name: "evt.asynctype", Type: Text, Flags: Replayed, Desc: "kind of an event that the agent made", get: ofEvent(asyncName)},
}

// evtFields belong to system calls.
var evtFields = []Field{
	{Name: "evt.dir", Type: Text, Flags: Deprecated, Desc: "always <, for an event is a call's exit", get: ofEvent(func(*event.Event) Value { return text("<") })},
	{Name: "evt.type", Type: Text, NoRight: true, NoTransform: true, Desc: "kind of the event", get: ofEvent(func(e *event.Event) Value { return text(e.TypeName()) })},
	{Name: "evt.category", Type: Text, Desc: "group that the kind belongs to, such as file, net or process", get: ofEvent(func(e *event.Event) Value { return text(category(e.TypeName())) })},
	{Name: "evt.cpu", Type: Int, Desc: "processor on which it happened", get: ofEvent(func(e *event.Event) Value { return number(int64(e.CPU)) })},
	{Name: "evt.args", Type: Text, Desc: "all parameters", get: ofEvent(allArgs)},
	{Name: "evt.arg", Type: Text, Arg: RequiredText, Desc: "one parameter, by name or number", get: oneArg},
	{Name: "evt.info", Type: Text, Desc: "all parameters", get: ofEvent(allArgs)},
	{Name: "evt.res", Type: Text, Desc: "SUCCESS, or the name of the error", get: ofEvent(func(e *event.Event) Value { return text(Result(e.Ret)) })},
	{Name: "evt.rawres", Type: Int, Desc: "result of the call, negative for an error", get: ofEvent(func(e *event.Event) Value { return number(e.Ret) })},
	{Name: "evt.failed", Type: Bool, Desc: "the call failed", get: ofEvent(func(e *event.Event) Value { return truth(e.Ret < 0) })},
	{Name: "evt.buffer", Type: Bytes, Desc: "data that was read or written", get: ofEvent(func(e *event.Event) Value { return text(string(e.Data)) })},
	{Name: "evt.buflen", Type: Uint64, Desc: "length of the data", get: ofEvent(func(e *event.Event) Value {
		return Value{OK: direction(e) != "" && e.File.Kind != 0 && e.Ret >= 0, Int: e.Ret}
	})},
	{Name: "evt.is_io", Type: Bool, Desc: "the call reads or writes data", get: ofEvent(func(e *event.Event) Value { return truth(direction(e) != "") })},
	{Name: "evt.is_io_read", Type: Bool, Desc: "the call reads data", get: ofEvent(func(e *event.Event) Value { return truth(direction(e) == "r") })},
	{Name: "evt.is_io_write", Type: Bool, Desc: "the call writes data", get: ofEvent(func(e *event.Event) Value { return truth(direction(e) == "w") })},
	{Name: "evt.is_open_read", Type: Bool, Desc: "an open for reading, alone or with writing", get: ofEvent(func(e *event.Event) Value { return truth(opens(e) && accessMode(e) != writeOnly) })},
	{Name: "evt.is_open_write", Type: Bool, Desc: "an open for writing, alone or with reading", get: ofEvent(func(e *event.Event) Value { return truth(opens(e) && accessMode(e) != readOnly) })},
	{Name: "evt.is_open_exec", Type: Bool, Desc: "an open or creat that may make an executable file", get: ofEvent(func(e *event.Event) Value {
		makes := e.Type == event.Creat || opens(e) && (e.File.Flags&flagCreate != 0 || e.File.Flags&flagTmpfile == flagTmpfile)
		return truth(makes && e.File.Mode&0o111 != 0)
	})},
	{Name: "evt.is_open_create", Type: Bool, Desc: "an open that made the file", get: ofEvent(func(e *event.Event) Value { return truth(e.File.Created) })},
	{Name: "evt.rawarg", Type: Int, Arg: RequiredText, NoRight: true, NoTransform: true, Desc: "one parameter by name as it is, not looked up: a number for flags and ids", get: oneRawArg},
	{Name: "evt.type.is", Type: Uint32, Arg: RequiredText, Desc: "1 for events of the named kind, else 0", get: func(e *event.Event, a Argument, _ int) Value { return truth(e.TypeName() == a.Text) }},
	{Name: "syscall.type", Type: Text, Desc: "kind of the event if it is a system call", get: ofEvent(func(e *event.Event) Value {
		if e.Type == event.ProcExit {
			return Value{}
		}
		return text(e.TypeName())
	})},
	{Name: "evt.io_dir", Type: Text, Desc: "r for a call that reads data, w for one that writes", get: ofEvent(func(e *event.Event) Value { return text(direction(e)) })},
	{Name: "evt.is_wait", Type: Bool, Desc: "the call waits", get: ofEvent(func(e *event.Event) Value { return truth(waits(e.TypeName())) })},
	{Name: "evt.is_syslog", Type: Bool, Desc: "the call writes to /dev/log", get: ofEvent(func(e *event.Event) Value {
		return truth(direction(e) == "w" && strings.Contains(e.File.Name, "/dev/log"))
	})},
	{Name: "evt.count", Type: Uint32, Desc: "always 1", get: ofEvent(func(*event.Event) Value { return truth(true) })},
	{Name: "evt.count.error", Type: Uint32, Desc: "1 for a call that failed, else 0", get: ofEvent(func(e *event.Event) Value { return truth(e.Ret < 0) })},
	{Name: "evt.count.error.file", Type: Uint32, Desc: "1 for a call on a file that failed", get: ofEvent(failedIn("file"))},
	{Name: "evt.count.error.net", Type: Uint32, Desc: "1 for a call on the network that failed", get: ofEvent(failedIn("net"))},
	{Name: "evt.count.error.memory", Type: Uint32, Desc: "1 for a call on memory that failed", get: ofEvent(failedIn("memory"))},
	{Name: "evt.count.error.other", Type: Uint32, Desc: "1 for any other call that failed", get: ofEvent(func(e *event.Event) Value {
		switch c := category(e.TypeName()); {
		case e.Ret < 0 && c != "file" && c != "net" && c != "memory":
			return truth(true)
		}
		return truth(false)
	})},
	{Name: "evt.count.exit", Type: Uint32, Desc: "1 for a call's exit, so always 1", get: ofEvent(func(*event.Event) Value { return truth(true) })},
	{Name: "evt.count.procinfo", Type: Uint32, Flags: Table, Desc: "for Falco's tables"},
	{Name: "evt.count.threadinfo", Type: Uint32, Flags: Table, Desc: "for Falco's tables"},
	{Name: "evt.around", Type: Uint64, Arg: RequiredIndex, Flags: Filter, NoRight: true, NoTransform: true, Desc: "evt.around[T] = D: the event is at most D milliseconds from T, nanoseconds since 1970", get: distance},
	{Name: "evt.abspath", Type: Text, Arg: OptionalText, Desc: "absolute path made of dirfd and name; evt.abspath.src and .dst where there are two", get: ofEvent(opened(func(e *event.Event) string { return e.Name() }))},
	{Name: "evt.deltatime", Type: Uint64, Flags: Replayed, Desc: "nanoseconds since the event before", get: ofEvent(sinceLast(1, math.MaxInt64))},
	{Name: "evt.deltatime.s", Type: Uint64, Flags: Replayed, Desc: "whole seconds since the event before", get: ofEvent(sinceLast(1e9, math.MaxInt64))},
	{Name: "evt.deltatime.ns", Type: Uint64, Flags: Replayed, Desc: "the rest of that time, in nanoseconds", get: ofEvent(sinceLast(1, 1e9))},
	{Name: "evt.outputtime", Type: Text, Flags: Print, Desc: "the same as evt.time", get: ofEvent(timeAs("15:04:05.000000000", false))},
	{Name: "evt.latency", Type: Uint64, Flags: Deprecated, Desc: "not to be had: calls are seen at their exit alone"},
	{Name: "evt.latency.s", Type: Uint64, Flags: Deprecated, Desc: "not to be had: calls are seen at their exit alone"},
	{Name: "evt.latency.ns", Type: Uint64, Flags: Deprecated, Desc: "not to be had: calls are seen at their exit alone"},
	{Name: "evt.latency.quantized", Type: Uint64, Flags: Deprecated | Table, Desc: "not to be had: calls are seen at their exit alone"},
	{Name: "evt.latency.human", Type: Text, Flags: Deprecated, Desc: "not to be had: calls are seen at their exit alone"},
	{Name: "evt.wait_latency", Type: Uint64, Flags: Deprecated, Desc: "not to be had: calls are seen at their exit alone"},
	{Name: "evt.buflen.in", Type: Uint64, Flags: Table, Desc: "for Falco's tables"},
	{Name: "evt.buflen.out", Type: Uint64, Flags: Table, Desc: "for Falco's tables"},
	{Name: "evt.buflen.file", Type: Uint64, Flags: Table, Desc: "for Falco's tables"},
	{Name: "evt.buflen.file.in", Type: Uint64, Flags: Table, Desc: "for Falco's tables"},
	{Name: "evt.buflen.file.out", Type: Uint64, Flags: Table, Desc: "for Falco's tables"},
	{Name: "evt.buflen.net", Type: Uint64, Flags: Table, Desc: "for Falco's tables"},
	{Name: "evt.buflen.net.in", Type: Uint64, Flags: Table, Desc: "for Falco's tables"},
	{Name: "evt.buflen.net.out", Type: Uint64, Flags: Table, Desc: "for Falco's tables"},
	{Name: "evt.infra.docker.name", Type: Text, Flags: Table, Desc: "for Falco's tables"},
	{Name: "evt.infra.docker.container.id", Type: Text, Flags: Table, Desc: "for Falco's tables"},
	{Name: "evt.infra.docker.container.name", Type: Text, Flags: Table, Desc: "for Falco's tables"},
	{Name: "evt.infra.docker.container.image", Type: Text, Flags: Table, Desc: "for Falco's tables"},
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
	return e.Type == event.Open || e.Type == event.Openat || e.Type == event.Openat2 || e.Type == event.OpenByHandleAt
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

// sinceFirst is the time since the capture's first event, divided by unit, as the rest
// of a division by within.
func sinceFirst(unit, within int64) func(*event.Event) Value {
	return func(e *event.Event) Value { return between(e.FirstNS, e.TimeNS, unit, within) }
}

// sinceLast is the same for the event before.
func sinceLast(unit, within int64) func(*event.Event) Value {
	return func(e *event.Event) Value { return between(e.LastNS, e.TimeNS, unit, within) }
}

func between(from, to, unit, within int64) Value {
	if from == 0 {
		return Value{}
	}
	return number(int((to - from) / unit % within))
}

func asyncName(e *event.Event) Value {
	if e.Type != event.Asyncevent {
		return Value{}
	}
	a, _ := e.Arg("name")
	return text(a.Text)
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

func oneRawArg(e *event.Event, a Argument, _ int) Value {
	arg := event.Arg{}
	if a.Index >= 0 {
		if a.Index >= len(e.Params()) {
			return Value{}
		}
		arg = e.Args[a.Index]
	} else {
		var ok bool
		if arg, ok = e.Arg(a.Text); !ok {
			return Value{}
		}
	}
	// Which of the two is compared depends on the parameter's type: see rawArg.
	if arg.Raw != "" {
		return Value{OK: true, Text: arg.Raw}
	}
	return Value{OK: true, Text: arg.Text, Int: arg.Int}
}

// distance is how far the event is from a moment, in milliseconds.
func distance(e *event.Event, a Argument, _ int) Value {
	d := e.TimeNS - int64(a.Index)
	if d < 0 {
		d = -d
	}
	return number(uint64(d+999_999) / 1_000_000)
}
