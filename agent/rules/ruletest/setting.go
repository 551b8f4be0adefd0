package ruletest

import (
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"riposte/agent/event"
	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

// scene is what a setting changes: an event with its process and container.
type scene struct {
	event     *event.Event
	process   *event.Process
	container *event.Container
	world     *world
	// shared is set as long as the container belongs to a named process.
	shared bool
	// set are the settings that were given, for the defaults of the others.
	set map[string]bool
}

type setter func(s *scene, value string) error

func textOf(get func(s *scene) *string) setter {
	return func(s *scene, value string) error {
		*get(s) = value
		return nil
	}
}

func numberOf[T int32 | uint32 | int64 | uint64](get func(s *scene) *T) setter {
	return func(s *scene, value string) error {
		n, err := strconv.ParseInt(value, 0, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", value)
		}
		*get(s) = T(n)
		return nil
	}
}

func truthOf(get func(s *scene) *bool) setter {
	return func(s *scene, value string) (err error) {
		if *get(s), err = strconv.ParseBool(value); err != nil {
			return fmt.Errorf("%q is not true or false", value)
		}
		return nil
	}
}

func addrOf(get func(s *scene) *netip.AddrPort) setter {
	return func(s *scene, value string) (err error) {
		if *get(s), err = netip.ParseAddrPort(value); err != nil {
			return fmt.Errorf("%q is not an address with a port, such as 10.0.0.1:443 or [::1]:443", value)
		}
		return nil
	}
}

func podOf(get func(p *event.Pod) *string) setter {
	return textOf(func(s *scene) *string {
		if s.container.Pod == nil {
			s.container.Pod = &event.Pod{}
		}
		return get(s.container.Pod)
	})
}

// containerSettings are what a container can be given.
var containerSettings = map[string]setter{
	"container.id":               textOf(func(s *scene) *string { return &s.container.ID }),
	"container.name":             textOf(func(s *scene) *string { return &s.container.Name }),
	"container.image":            textOf(func(s *scene) *string { return &s.container.Image }),
	"container.image.repository": textOf(func(s *scene) *string { return &s.container.Repository }),
	"container.image.tag":        textOf(func(s *scene) *string { return &s.container.Tag }),
	"container.start":            numberOf(func(s *scene) *uint64 { return &s.container.StartNS }),
	"k8s.ns.name":                podOf(func(p *event.Pod) *string { return &p.Namespace }),
	"k8s.pod.name":               podOf(func(p *event.Pod) *string { return &p.Name }),
	"k8s.pod.uid":                podOf(func(p *event.Pod) *string { return &p.UID }),
}

// processSettings are what a process can be given.
var processSettings = map[string]setter{
	"parent": func(s *scene, value string) (err error) {
		s.process.Parent, err = s.world.process(value)
		if err == nil && !s.set["proc.ppid"] {
			s.process.PPID = s.process.Parent.PID
		}
		return err
	},
	"container": func(s *scene, value string) (err error) {
		s.container, err = s.world.container(value)
		s.process.Container, s.shared = s.container, true
		return err
	},
	"proc.args": func(s *scene, value string) (err error) {
		s.process.Args, err = words(value)
		return err
	},
	"proc.duration": func(s *scene, value string) error {
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil || n > kernelNow {
			return fmt.Errorf("%q is not a number of nanoseconds", value)
		}
		s.process.StartNS, s.process.StartKnown = kernelNow-n, true
		return nil
	},
	"proc.name":               textOf(func(s *scene) *string { return &s.process.Comm }),
	"proc.exe":                textOf(func(s *scene) *string { return &s.process.Exe }),
	"proc.exepath":            textOf(func(s *scene) *string { return &s.process.ExePath }),
	"proc.cwd":                textOf(func(s *scene) *string { return &s.process.CWD }),
	"proc.pid":                numberOf(func(s *scene) *int32 { return &s.process.PID }),
	"proc.ppid":               numberOf(func(s *scene) *int32 { return &s.process.PPID }),
	"proc.vpid":               numberOf(func(s *scene) *int32 { return &s.process.VPID }),
	"proc.sid":                numberOf(func(s *scene) *int32 { return &s.process.SID }),
	"proc.pgid":               numberOf(func(s *scene) *int32 { return &s.process.PGID }),
	"proc.vpgid":              numberOf(func(s *scene) *int32 { return &s.process.VPGID }),
	"proc.tty":                numberOf(func(s *scene) *uint32 { return &s.process.TTY }),
	"user.uid":                numberOf(func(s *scene) *uint32 { return &s.process.EUID }),
	"user.loginuid":           numberOf(func(s *scene) *uint32 { return &s.process.LoginUID }),
	"group.gid":               numberOf(func(s *scene) *uint32 { return &s.process.GID }),
	"proc.is_exe_upper_layer": truthOf(func(s *scene) *bool { return &s.process.ExeUpperLayer }),
	"proc.is_exe_from_memfd":  truthOf(func(s *scene) *bool { return &s.process.ExeMemfd }),
	"proc.is_exe_writable":    truthOf(func(s *scene) *bool { return &s.process.ExeWritable }),
}

// eventSettings are what an event can be given.
var eventSettings = map[string]setter{
	"evt.num":    numberOf(func(s *scene) *uint64 { return &s.event.Num }),
	"evt.rawres": numberOf(func(s *scene) *int64 { return &s.event.Ret }),
	"evt.res": func(s *scene, value string) error {
		n, ok := field.Errno(value)
		if !ok && value != "SUCCESS" {
			return fmt.Errorf("unknown result %q: use SUCCESS or an error's name such as ENOENT", value)
		}
		s.event.Ret = -n
		return nil
	},
	"fd.num":            numberOf(func(s *scene) *int64 { return &s.event.File.Num }),
	"fd.name":           textOf(func(s *scene) *string { return &s.event.File.Name }),
	"fd.nameraw":        textOf(func(s *scene) *string { return &s.event.File.NameRaw }),
	"fd.realpath":       textOf(func(s *scene) *string { return &s.event.File.RealPath }),
	"fd.ino":            numberOf(func(s *scene) *uint64 { return &s.event.File.Ino }),
	"fd.dev":            numberOf(func(s *scene) *uint64 { return &s.event.File.Dev }),
	"fd.is_upper_layer": truthOf(func(s *scene) *bool { return &s.event.File.UpperLayer }),
	"fd.created":        truthOf(func(s *scene) *bool { return &s.event.File.Created }),
	"fd.local":          addrOf(func(s *scene) *netip.AddrPort { return &s.event.File.Socket.Local }),
	"fd.remote":         addrOf(func(s *scene) *netip.AddrPort { return &s.event.File.Socket.Remote }),
	"fd.typechar": func(s *scene, value string) error {
		if len(value) != 1 {
			return errors.New("fd.typechar is one letter")
		}
		s.event.File.Kind = value[0]
		return nil
	},
	"fd.l4proto": func(s *scene, value string) error {
		n, ok := map[string]uint8{"tcp": 6, "udp": 17, "icmp": 1, "raw": 255}[value]
		if !ok {
			return errors.New("fd.l4proto is tcp, udp, icmp or raw")
		}
		s.event.File.Socket.L4 = n
		return nil
	},
	"fd.role": func(s *scene, value string) error {
		r, ok := map[string]event.Role{"client": event.RoleClient, "server": event.RoleServer, "unknown": event.RoleUnknown}[value]
		if !ok {
			return errors.New("fd.role is client, server or unknown")
		}
		s.event.File.Socket.Role = r
		return nil
	},
	"open.flags": func(s *scene, value string) error {
		s.event.File.Flags = 0
		for name := range strings.SplitSeq(value, "|") {
			bits, ok := openFlags[name]
			if !ok {
				return fmt.Errorf("unknown flag %q", name)
			}
			s.event.File.Flags |= bits
		}
		return nil
	},
	"open.mode": func(s *scene, value string) error {
		n, err := strconv.ParseUint(value, 8, 32)
		if err != nil {
			return fmt.Errorf("%q is not an octal number", value)
		}
		s.event.File.Mode = uint32(n)
		return nil
	},
}

// openFlags are the kernel's numbers.
var openFlags = map[string]uint32{
	"O_RDONLY": 0, "O_WRONLY": 1, "O_RDWR": 2, "O_CREAT": 0o100, "O_EXCL": 0o200, "O_TRUNC": 0o1000, "O_APPEND": 0o2000,
	"O_DIRECTORY": 0o200000, "O_CLOEXEC": 0o2000000, "O_TMPFILE": 0o20200000,
}

// apply makes one setting, given as "name = value".
func (s *scene) apply(line string, tables ...map[string]setter) error {
	name, value, ok := strings.Cut(line, "=")
	if !ok {
		return fmt.Errorf("expecting name = value, not %q", strings.TrimSpace(line))
	}
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if name != "proc.args" {
		value = unquote(value)
	}
	if arg, ok := strings.CutPrefix(name, "evt.arg."); ok && s.event != nil {
		a := event.Arg{Name: arg, Text: value}
		if n, err := strconv.ParseInt(value, 0, 64); err == nil {
			a = event.Arg{Name: arg, Int: n, IsInt: true}
		}
		s.event.Args = append(s.event.Args, a)
		return nil
	}
	if label, ok := strings.CutPrefix(name, "k8s.pod.label["); ok && strings.HasSuffix(label, "]") {
		if s.container.Pod == nil {
			s.container.Pod = &event.Pod{}
		}
		labels := maps.Clone(s.container.Pod.Labels)
		if labels == nil {
			labels = map[string]string{}
		}
		labels[strings.TrimSuffix(label, "]")] = value
		s.container.Pod.Labels = labels
		return nil
	}
	var known []string
	for _, t := range tables {
		if set := t[name]; set != nil {
			s.own(name)
			s.set[name] = true
			return set(s, value)
		}
		known = slices.AppendSeq(known, maps.Keys(t))
	}
	slices.Sort(known)
	if near := syntax.Nearest(name, known); near != "" {
		return fmt.Errorf("%s cannot be set here: did you mean %s?", name, near)
	}
	return fmt.Errorf("%s cannot be set here: use one of %s", name, strings.Join(known, ", "))
}

// own copies a container that others use before it is changed.
func (s *scene) own(name string) {
	if s.shared && containerSettings[name] != nil {
		c := *s.container
		if c.Pod != nil {
			pod := *c.Pod
			c.Pod = &pod
		}
		s.container, s.process.Container, s.shared = &c, &c, false
	}
}
