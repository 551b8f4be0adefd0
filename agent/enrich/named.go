package enrich

import (
	"strings"

	"riposte/agent/event"
)

// A container that somebody has named himself (ctr run ... web) sits in a cgroup whose
// path looks like any other. Its runtime says which one; who is in it is looked at anew.

// maxNamed bounds them.
const maxNamed = 4096

// split is splitCgroup for named containers too.
func (t *Table) split(path string) (dir, id, pod string) {
	if dir, id, pod = splitCgroup(path); id != "" || len(t.named) == 0 {
		return dir, id, pod
	}
	for end := 1; end <= len(path); end++ {
		if end < len(path) && path[end] != '/' {
			continue
		}
		if named, ok := t.named[path[:end]]; ok {
			dir, id = path[:end], named // of nested ones the innermost
		}
	}
	return dir, id, pod
}

// place notes the cgroup that a runtime says a container is in, where the path itself
// does not show it.
func (t *Table) place(id string, facts *event.Container) {
	dir := facts.Cgroup
	facts.Cgroup = ""
	if !strings.HasPrefix(dir, "/") || dir == "/" || t.named[dir] == id {
		return
	}
	if _, own, _ := splitCgroup(dir); own != "" {
		return
	}
	if len(t.named) >= maxNamed {
		t.count("metadata_forgotten")
		return
	}
	t.mu.Lock()
	t.named[dir] = id
	t.mu.Unlock()
	t.forgetHostGroups()
	t.placing++
}

// replace looks anew for a process's container where it is on the host and a container
// was named since.
func (t *Table) replace(p *entry, cgroup uint64) {
	if p.placed == t.placing {
		return
	}
	p.placed = t.placing
	if p.in != nil || p.Exited {
		return
	}
	p.cgroup = noCgroupID
	t.move(p, cgroup)
	t.lookLegacy(p)
}
