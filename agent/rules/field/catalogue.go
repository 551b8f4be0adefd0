package field

import (
	"net/netip"
	"slices"

	"riposte/agent/event"
)

// Class is a group of fields.
type Class struct {
	Name, Desc string
	// Source is the kind of events that have the fields, empty for all.
	Source string
	Fields []Field
}

var classes = []Class{
	{Name: "evt", Desc: "every event", Fields: genericFields},
	{Name: "syscall", Desc: "the system call", Source: "syscall", Fields: evtFields},
	{Name: "process", Desc: "the process and thread that made the call", Source: "syscall", Fields: procFields},
	{Name: "user", Desc: "the user whose rights the process has", Source: "syscall", Fields: userFields},
	{Name: "group", Desc: "the group whose rights the process has", Source: "syscall", Fields: groupFields},
	{Name: "fd", Desc: "the file or socket that the call made or used", Source: "syscall", Fields: fdFields},
	{Name: "fs.path", Desc: "the paths that the call works on", Source: "syscall", Fields: pathFields},
	{Name: "fdlist", Desc: "the descriptors of a poll", Source: "syscall", Fields: fdlistFields},
	{Name: "util", Desc: "for Falco's tables", Source: "syscall", Fields: utilFields},
	{Name: "container", Desc: "the container and pod of the process (Falco's container plugin)", Source: "syscall", Fields: containerFields},
	{Name: "k8smeta", Desc: "the pod and what it belongs to (Falco's k8smeta plugin)", Source: "syscall", Fields: metaFields},
	{Name: "k8saudit", Desc: "requests to the Kubernetes API (Falco's k8saudit plugin)", Source: "k8s_audit", Fields: auditFields},
	{Name: "riposte", Desc: "Riposte's own", Source: "syscall", Fields: ownFields},
}

var (
	all    = flatten()
	byName = index()
	names  = sortedNames()
)

func flatten() []Field {
	var list []Field
	for _, c := range classes {
		for i := range c.Fields {
			c.Fields[i].Class = c.Name
		}
		list = append(list, c.Fields...)
	}
	return list
}

func index() map[string]*Field {
	m := make(map[string]*Field, len(all))
	for i := range all {
		f := &all[i]
		if m[f.Name] != nil {
			panic("two fields are called " + f.Name)
		}
		m[f.Name] = f
	}
	return m
}

func sortedNames() []string {
	n := make([]string, 0, len(byName))
	for name := range byName {
		n = append(n, name)
	}
	slices.Sort(n)
	return n
}

// Classes lists the catalogue in groups. It must not be changed.
func Classes() []Class { return classes }

// All lists the catalogue, class by class. The entries must not be changed.
func All() []Field { return all }

// Names lists all names in order. The list must not be changed.
func Names() []string { return names }

// Lookup finds an entry by its name, without "[...]".
func Lookup(name string) (*Field, bool) {
	f, ok := byName[name]
	return f, ok
}

// The helpers below make values and readers, so that the tables stay one line an entry.

func text(s string) Value { return Value{OK: s != "", Text: s} }

func textOrEmpty(s string) Value { return Value{OK: true, Text: s} }

func number[T ~int | ~int32 | ~int64 | ~uint32 | ~uint64](n T) Value {
	return Value{OK: true, Int: int64(n)}
}

func truth(b bool) Value {
	if b {
		return Value{OK: true, Int: 1}
	}
	return Value{OK: true}
}

func address(a netip.Addr) Value { return Value{OK: a.IsValid(), Addr: a.Unmap()} }

type reader = func(e *event.Event, a Argument, i int) Value

// ofEvent reads what any event has.
func ofEvent(get func(e *event.Event) Value) reader {
	return func(e *event.Event, _ Argument, _ int) Value { return get(e) }
}

// ofFile is NULL for an event without a file descriptor's object.
func ofFile(get func(e *event.Event, f *event.File) Value) reader {
	return func(e *event.Event, _ Argument, _ int) Value {
		if e.File.Kind == 0 {
			return Value{}
		}
		return get(e, &e.File)
	}
}

// ofProc is NULL for an event whose process is not known.
func ofProc(get func(p *event.Process) Value) reader {
	return func(e *event.Event, _ Argument, _ int) Value {
		if e.Proc == nil {
			return Value{}
		}
		return get(e.Proc)
	}
}

// ofParent is NULL for a process without a known parent.
func ofParent(get func(p *event.Process) Value) reader {
	return ofProc(func(p *event.Process) Value {
		if p.Parent == nil {
			return Value{}
		}
		return get(p.Parent)
	})
}

// maxAncestors bounds a walk up the tree, also should it ever be a ring.
const maxAncestors = 128

// ofAncestor reads the [n]th ancestor, 0 being the process itself. Without an
// argument its values are all ancestors, nearest first, the process excluded.
func ofAncestor(get func(p *event.Process) Value) reader {
	return func(e *event.Event, a Argument, i int) Value {
		n := i + 1
		if a.Set {
			n = a.Index
		}
		p := e.Proc
		for ; p != nil && n > 0; n-- {
			p = p.Parent
		}
		if p == nil || !a.Set && i >= maxAncestors {
			return Value{}
		}
		return get(p)
	}
}

// ofContainer is NULL for an event whose process is not known.
func ofContainer(get func(c *event.Container) Value) reader {
	return ofProc(func(p *event.Process) Value {
		if p.Container == nil {
			return Value{}
		}
		return get(p.Container)
	})
}

// ofCheck says whether the process runs a check of its container.
func ofCheck(line func(c *event.Container) string) reader {
	return ofProc(func(p *event.Process) Value {
		return truth(p.Container != nil && p.RunsCheck(line(p.Container)))
	})
}

// ofPod is NULL outside Kubernetes.
func ofPod(get func(p *event.Pod, a Argument) Value) reader {
	return func(e *event.Event, a Argument, _ int) Value {
		if e.Proc == nil || e.Proc.Container == nil || e.Proc.Container.Pod == nil {
			return Value{}
		}
		return get(e.Proc.Container.Pod, a)
	}
}
