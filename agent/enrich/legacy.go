package enrich

import (
	"os"
	"path/filepath"
	"strings"

	"riposte/agent/event"
)

// A runtime that only uses cgroups v1 leaves its containers where cgroup v2 has
// everything else. The kernel's programs tell the cgroup v2 alone, so such a container
// is looked for in /proc: when a process is first seen and when it starts a program.
// Its children are in it too.

// hasLegacy says whether any cgroup v1 hierarchy is in use.
func (f *procFiles) hasLegacy() bool {
	b, err := os.ReadFile(filepath.Join(f.root, "self", "cgroup"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, "0::") {
			return true
		}
	}
	return false
}

// legacyPath is the path of a process in the first v1 hierarchy that names a container. It
// is empty where cgroup v2 names one as well, which the events tell by themselves.
func (t *Table) legacyPath(pid int32) (path string) {
	for line := range strings.Lines(t.files.read(pid, "cgroup")) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(f) != 3 {
			continue
		}
		_, id, _ := t.split(f[2])
		switch {
		case id == "":
		case f[0] == "0":
			return ""
		case path == "":
			path = f[2]
		}
	}
	return path
}

// legacyGroups are the paths of a process in the v1 hierarchies, by controller.
func (f *procFiles) legacyGroups(pid int32, start uint64) map[string]string {
	groups := map[string]string{}
	for line := range strings.Lines(f.read(pid, "cgroup")) {
		_, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		names, path, _ := strings.Cut(rest, ":")
		for name := range strings.SplitSeq(names, ",") {
			if name == "blkio" {
				name = "io" // as v2 and Falco call it
			}
			groups[name] = path
		}
	}
	// Asked afterwards, so that it was this process all the time.
	if st, ok := parseStat(f.read(pid, "stat")); !ok || st.start != start/clockTick*clockTick {
		return nil
	}
	return groups
}

// lookLegacy finds the container of a process of which cgroup v2 knows none.
func (t *Table) lookLegacy(p *entry) {
	if !t.legacy || p.Exited || p.in != nil && !p.in.legacy {
		return
	}
	dir, id, uid := t.split(t.legacyPath(p.PID))
	if id == "" {
		return // or it has ended: then what it inherited holds
	}
	known := t.containers[id]
	if known == nil {
		known = t.found(&container{c: &event.Container{ID: id, StartNS: p.StartNS}, uid: uid, legacy: true}, dir)
	}
	if known != p.in {
		t.join(p, known)
	}
}
