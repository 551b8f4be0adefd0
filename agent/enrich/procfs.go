package enrich

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"riposte/agent/cgroupns"
	"riposte/agent/event"
)

// argsMax is how much of a command line is kept, as in the kernel's programs.
const argsMax = 4096

// procFiles reads what /proc says about processes. Any of them may end meanwhile, so
// whatever cannot be read is left empty.
type procFiles struct {
	root string
	// view is from where paths of cgroups are told.
	view cgroupns.View
}

func (f *procFiles) file(pid int32, name string) string {
	return filepath.Join(f.root, strconv.Itoa(int(pid)), name)
}

func (f *procFiles) read(pid int32, name string) string {
	b, err := os.ReadFile(f.file(pid, name))
	if err != nil {
		return ""
	}
	return string(b)
}

// pids lists the running processes.
func (f *procFiles) pids() ([]int32, error) {
	dir, err := os.Open(f.root)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	pids := make([]int32, 0, len(names))
	for _, name := range names {
		if pid, err := strconv.ParseInt(name, 10, 32); err == nil {
			pids = append(pids, int32(pid))
		}
	}
	return pids, nil
}

// parent is the parent's pid now.
func (f *procFiles) parent(pid int32) (int32, bool) {
	st, ok := parseStat(f.read(pid, "stat"))
	return st.ppid, ok
}

// cgroup is the path in the cgroup v2 hierarchy.
func (f *procFiles) cgroup(pid int32) (string, bool) {
	shown, ok := cgroupns.Shown(f.read(pid, "cgroup"))
	return f.view.Path(shown), ok
}

// process is all that /proc knows of a process; its cgroup id is not known here.
func (f *procFiles) process(pid int32) (Seed, bool) {
	var s Seed
	st, ok := parseStat(f.read(pid, "stat"))
	if !ok {
		return s, false
	}
	p := &s.Process
	p.PID, p.PPID, p.StartNS = pid, st.ppid, st.start
	p.PGID, p.SID, p.TTY, p.Comm = st.pgid, st.sid, st.tty, st.comm
	p.VPID, p.VPGID = pid, st.pgid
	f.status(pid, &s)
	if argv, cut := f.block(pid, "cmdline"); len(argv) > 0 {
		p.Exe, p.Args, p.ArgsTruncated = argv[0], argv[1:], cut
	}
	p.Env, _ = f.block(pid, "environ")
	root, _ := os.Readlink(f.file(pid, "root"))
	p.Root = root
	p.ExePath = f.link(pid, "exe", root)
	p.CWD = f.link(pid, "cwd", root)
	p.Namespaces = f.namespaces(pid)
	p.LoginUID = noLogin
	if n, err := strconv.ParseUint(strings.TrimSpace(f.read(pid, "loginuid")), 10, 32); err == nil {
		p.LoginUID = uint32(n)
	}
	f.binary(pid, p)
	return s, true
}

// block reads texts that end in NUL each, and no more of them than the kernel's
// programs do.
func (f *procFiles) block(pid int32, name string) (texts []string, cut bool) {
	file, err := os.Open(f.file(pid, name))
	if err != nil {
		return nil, false
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, argsMax+1))
	if err != nil || len(b) == 0 {
		return nil, false
	}
	if cut = len(b) > argsMax; cut {
		b = b[:argsMax]
	}
	return strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00"), cut
}

// namespaces reads links such as "mnt:[4026531841]".
func (f *procFiles) namespaces(pid int32) (n event.Namespaces) {
	for name, to := range map[string]*uint32{
		"mnt": &n.Mount, "pid": &n.PID, "pid_for_children": &n.PIDForChildren, "net": &n.Net, "user": &n.User, "ipc": &n.IPC, "uts": &n.UTS, "cgroup": &n.Cgroup,
	} {
		link, err := os.Readlink(f.file(pid, filepath.Join("ns", name)))
		if err != nil {
			continue
		}
		_, id, _ := strings.Cut(strings.TrimSuffix(link, "]"), "[")
		*to = uint32(number(id))
	}
	return n
}

// link reads a path as the process itself sees it: below its own root.
func (f *procFiles) link(pid int32, name, root string) string {
	to, err := os.Readlink(f.file(pid, name))
	if err != nil {
		return ""
	}
	to = strings.TrimSuffix(to, " (deleted)")
	if root != "" && root != "/" {
		if below, ok := strings.CutPrefix(to, root); ok && (below == "" || below[0] == '/') {
			to = "/" + strings.TrimPrefix(below, "/")
		}
	}
	return to
}

// status has the users, and the numbers within the innermost pid namespace last.
func (f *procFiles) status(pid int32, s *Seed) {
	for line := range strings.Lines(f.read(pid, "status")) {
		name, rest, _ := strings.Cut(line, ":")
		values := strings.Fields(rest)
		if len(values) == 0 {
			continue
		}
		last := number(values[len(values)-1])
		switch name {
		case "Uid":
			s.Process.UID = uint32(number(values[0]))
			if len(values) > 1 {
				s.Process.EUID = uint32(number(values[1]))
			}
		case "Gid":
			s.Process.GID = uint32(number(values[0]))
			if len(values) > 1 {
				s.Process.EGID = uint32(number(values[1]))
			}
		case "CapInh":
			s.Process.Caps.Inheritable = hexadecimal(values[0])
		case "CapPrm":
			s.Process.Caps.Permitted = hexadecimal(values[0])
		case "CapEff":
			s.Process.Caps.Effective, s.Process.Caps.Known = hexadecimal(values[0]), true
		case "NSpid":
			s.Process.VPID = int32(last)
		case "NSpgid":
			s.Process.VPGID = int32(last)
		}
	}
}

func number(s string) uint64 {
	n, _ := strconv.ParseUint(s, 10, 64)
	return n
}

func hexadecimal(s string) uint64 {
	n, _ := strconv.ParseUint(s, 16, 64)
	return n
}

// stat is the part of /proc/PID/stat that we use.
type stat struct {
	comm            string
	ppid, pgid, sid int32
	tty             uint32
	start           uint64 // in whole ticks, but nanoseconds
	// ended says that it is a zombie, or about to be one, without other threads.
	ended bool
}

// exiting is the kernel's flag PF_EXITING.
const exiting = 4

// parseStat reads a line of /proc/PID/stat. The name in it may hold anything, so the
// last parenthesis ends it.
func parseStat(line string) (stat, bool) {
	b := []byte(line)
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 0 || end < open {
		return stat{}, false
	}
	f := strings.Fields(line[end+1:])
	if len(f) < 20 {
		return stat{}, false
	}
	signed := func(s string) int32 {
		n, _ := strconv.ParseInt(s, 10, 32)
		return int32(n)
	}
	return stat{
		comm: line[open+1 : end],
		ppid: signed(f[1]), pgid: signed(f[2]), sid: signed(f[3]), tty: uint32(signed(f[4])),
		start: number(f[19]) * clockTick,
		ended: number(f[6])&exiting != 0 && number(f[17]) <= 1,
	}, true
}
