package field

import (
	"math"
	"strings"

	"riposte/agent/event"
)

// standard reads one of the first three descriptors of the process.
func standard(fd int64, get func(*event.File) Value) reader {
	return ofEvent(func(e *event.Event) Value {
		if e.Files == nil {
			return Value{}
		}
		f, ok := e.Files.File(fd)
		if !ok {
			return Value{}
		}
		return get(&f)
	})
}

func fileKind(f *event.File) Value { return text(kindName(f.Kind)) }

func filePath(f *event.File) Value { return text(f.Name) }

// fdTypes are the kinds of all descriptors, or the kind of one.
func fdTypes(e *event.Event, a Argument, _ int) Value {
	if e.Files == nil {
		return Value{}
	}
	if a.Set {
		f, ok := e.Files.File(int64(a.Index))
		if !ok {
			return Value{}
		}
		return ListOf([]string{kindName(f.Kind)})
	}
	var kinds []string
	for _, k := range e.Files.Kinds() {
		kinds = append(kinds, kindName(k))
	}
	return ListOf(kinds)
}

func fdCount(e *event.Event) Value {
	if e.Files == nil {
		return Value{}
	}
	return number(e.Files.Len())
}

// fdUsage is how much of its limit a process uses, in percent.
func fdUsage(e *event.Event) Value {
	if e.Files == nil || e.Proc == nil || e.Proc.Resources == nil || e.Proc.Resources.FDLimit <= 0 {
		return Value{}
	}
	used := 100 * float64(e.Files.Len()) / float64(e.Proc.Resources.FDLimit)
	return Value{OK: true, Int: int64(math.Float64bits(used))}
}

// ofResources is NULL where a process's use of the machine is not known.
func ofResources(get func(*event.Resources) Value) reader {
	return ofProc(func(p *event.Process) Value {
		if p.Resources == nil {
			return Value{}
		}
		return get(p.Resources)
	})
}

// ofFirst reads what is known of a process's first thread. Of the others it is NULL.
func ofFirst(get func(*event.Resources) Value) reader {
	read := ofResources(get)
	return func(e *event.Event, a Argument, i int) Value {
		if e.Task.TID != e.Task.PID {
			return Value{}
		}
		return read(e, a, i)
	}
}

// memoryOf is 0 for all threads but the first, whose memory is the process's.
func memoryOf(get func(*event.Resources) Value) reader {
	read := ofResources(get)
	return func(e *event.Event, a Argument, i int) Value {
		v := read(e, a, i)
		if v.OK && e.Task.TID != e.Task.PID {
			v.Int = 0
		}
		return v
	}
}

func vmSize(r *event.Resources) Value { return number(r.VMSize) }

func vmRSS(r *event.Resources) Value { return number(r.VMRSS) }

// cgroup is the path of one hierarchy, such as cpu or memory.
func cgroup(e *event.Event, a Argument, _ int) Value {
	if e.Proc == nil || e.Proc.Resources == nil {
		return Value{}
	}
	for _, c := range e.Proc.Resources.Cgroups {
		if name, path, ok := strings.Cut(c, "="); ok && name == a.Text {
			return text(path)
		}
	}
	return Value{}
}
