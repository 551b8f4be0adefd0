package ruletest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"riposte/agent/event"
	"riposte/agent/rules/syntax"
)

// The moment of every event, as Unix time and since boot.
const (
	timeNow   = 1_767_225_600_000_000_000
	kernelNow = 1_000_000_000_000
)

// world is the named processes and containers.
type world struct {
	processes  map[string]*event.Process
	containers map[string]*event.Container
}

func newWorld() *world {
	return &world{processes: map[string]*event.Process{}, containers: map[string]*event.Container{"host": event.Host}}
}

func (w *world) clone() *world {
	return &world{processes: maps.Clone(w.processes), containers: maps.Clone(w.containers)}
}

func find[T any](what, name string, m map[string]*T) (*T, error) {
	if v := m[name]; v != nil {
		return v, nil
	}
	if near := syntax.Nearest(name, slices.Sorted(maps.Keys(m))); near != "" {
		return nil, fmt.Errorf("no %s is called %q: did you mean %q?", what, name, near)
	}
	return nil, fmt.Errorf("no %s is called %q: define it above with '%s %s'", what, name, what, name)
}

func (w *world) process(name string) (*event.Process, error) {
	return find("process", name, w.processes)
}

func (w *world) container(name string) (*event.Container, error) {
	return find("container", name, w.containers)
}

// addContainer reads "container NAME".
func (w *world) addContainer(s *statement) error {
	c := &event.Container{ID: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}
	sc := &scene{process: &event.Process{}, container: c, world: w, set: map[string]bool{}}
	for _, line := range s.block {
		if skip(line) {
			continue
		}
		if err := sc.apply(line, containerSettings); err != nil {
			return err
		}
	}
	w.containers[s.rest] = c
	return nil
}

// addProcess reads "process NAME"; its proc.name is that name unless it is set.
func (w *world) addProcess(s *statement) error {
	p := w.newProcess(s.rest)
	sc := &scene{process: p, container: p.Container, world: w, shared: true, set: map[string]bool{}}
	for _, line := range s.block {
		if skip(line) {
			continue
		}
		if err := sc.apply(line, processSettings, containerSettings); err != nil {
			return err
		}
	}
	complete(p, sc.set)
	w.processes[s.rest] = p
	return nil
}

func (w *world) newProcess(name string) *event.Process {
	pid := int32(100 + len(w.processes))
	return &event.Process{PID: pid, VPID: pid, SID: pid, PGID: pid, VPGID: pid, Comm: name, LoginUID: 1<<32 - 1, CWD: "/", Container: event.Host}
}

// complete fills what follows from other settings.
func complete(p *event.Process, set map[string]bool) {
	if p.Exe == "" {
		p.Exe = p.Comm
	}
	if p.ExePath == "" {
		p.ExePath = "/usr/bin/" + p.Comm
	}
	if p.Parent != nil && !set["container"] && p.Container == event.Host {
		p.Container = p.Parent.Container
	}
}

func skip(line string) bool {
	line = strings.TrimSpace(line)
	return line == "" || line[0] == '#'
}

// newEvent reads "event TYPE [by PROCESS]".
func (w *world) newEvent(s *statement) (*event.Event, error) {
	f := strings.Fields(s.rest)
	if len(f) != 1 && (len(f) != 3 || f[1] != "by") {
		return nil, errors.New("expecting: event TYPE by PROCESS")
	}
	typ, ok := event.TypeOf(f[0])
	if !ok {
		var known []string
		for _, t := range event.Types() {
			known = append(known, t.String())
		}
		return nil, fmt.Errorf("event type %s is not captured: use one of %s", f[0], strings.Join(known, ", "))
	}
	p := w.newProcess("process")
	if len(f) == 3 {
		named, err := w.process(f[2])
		if err != nil {
			return nil, err
		}
		c := *named
		p = &c
	}
	e := &event.Event{Num: 1, Type: typ, TimeNS: timeNow, KernelNS: kernelNow, Proc: p}
	sc := &scene{event: e, process: p, container: p.Container, world: w, shared: true, set: map[string]bool{}}
	for _, line := range s.block {
		if skip(line) {
			continue
		}
		if err := sc.apply(line, eventSettings, processSettings, containerSettings); err != nil {
			return nil, err
		}
	}
	complete(p, sc.set)
	sc.fill()
	return e, nil
}

// fill adds what an event of its type has and the test did not say.
func (s *scene) fill() {
	e, f := s.event, &s.event.File
	e.Task = event.Task{PID: s.process.PID, TID: s.process.PID, PPID: s.process.PPID, Comm: s.process.Comm}
	socket := f.Socket.Remote.IsValid() || f.Socket.Local.IsValid()
	switch {
	case f.Kind != 0:
	case socket && (f.Socket.Remote.Addr().Is6() || f.Socket.Local.Addr().Is6()):
		f.Kind = event.KindIPv6
	case socket:
		f.Kind = event.KindIPv4
	case s.set["fd.name"] && e.Type == event.Connect:
		f.Kind = event.KindUnix
	case s.set["fd.name"]:
		f.Kind = event.KindFile
	}
	if socket {
		if !s.set["fd.l4proto"] {
			f.Socket.L4 = 6
		}
		if !s.set["fd.role"] && e.Type == event.Connect {
			f.Socket.Role = event.RoleClient
		}
		if f.Name == "" {
			f.Name = f.Socket.Local.String() + "->" + f.Socket.Remote.String()
			if f.Socket.Role == event.RoleServer {
				f.Name = f.Socket.Remote.String() + "->" + f.Socket.Local.String()
			}
		}
	}
	if f.Kind == 0 {
		return
	}
	opens := f.Kind == event.KindFile || f.Kind == event.KindDirectory
	if !s.set["fd.num"] {
		if f.Num = 3; e.Ret < 0 && opens {
			f.Num = -1
		}
	}
	if opens && !s.set["evt.rawres"] && !s.set["evt.res"] {
		e.Ret = f.Num
	}
	if opens && !s.set["fd.nameraw"] {
		f.NameRaw = f.Name
	}
	if opens && !s.set["fd.realpath"] && e.Ret >= 0 {
		f.RealPath = f.Name
	}
}
