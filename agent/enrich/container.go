package enrich

import (
	"maps"
	"time"

	"riposte/agent/event"
)

const (
	// keepEmpty is how long a container is known after its last process was forgotten.
	keepEmpty = time.Minute
	// A pod that is not known yet is asked for again after askPod; one that is known
	// after renewPod, for its labels may change.
	askPod   = uint64(50 * time.Millisecond)
	renewPod = uint64(10 * time.Second)
	// A runtime that could not answer is asked again after this.
	askRuntime = uint64(10 * time.Second)
	maxGroups  = 1 << 16
	noCgroupID = 0
)

// container is one container and how many entries point to it.
type container struct {
	c       *event.Container
	held    int
	emptyNS uint64
	// podNS and runtimeNS are when its pod and its metadata were asked for last.
	podNS, runtimeNS uint64
	// uid is its pod's, as the cgroup's path has it.
	uid string
}

// Container finds a container by the runtime's full id and returns a copy, which
// stays as it is. Any goroutine may call it.
func (t *Table) Container(id string) (event.Container, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	known, ok := t.containers[id]
	if !ok {
		return event.Container{}, false
	}
	c := *known.c
	if c.Pod != nil {
		pod := *c.Pod
		pod.Labels = maps.Clone(pod.Labels)
		c.Pod = &pod
	}
	return c, true
}

// move puts a process into the container of a cgroup.
func (t *Table) move(p *entry, cgroup uint64) {
	if cgroup == p.cgroup || cgroup == noCgroupID {
		return
	}
	t.unhold(p)
	p.cgroup = cgroup
	into := event.Host
	if known := t.containerAt(cgroup, p); known != nil {
		known.held++
		into = known.c
	}
	if set(&p.Container, into) {
		t.clock.Changed(&p.Process)
	}
}

// moved puts a process where someone else has moved it.
func (t *Table) moved(e *event.Event) {
	p := t.byPID[e.Move.PID]
	if p != nil && p.same(e.Move.StartNS) {
		t.move(p, e.Cgroup.ID)
	}
}

// unhold lets go of the process's container.
func (t *Table) unhold(p *entry) {
	known := t.groups[p.cgroup]
	if known == nil || p.Container != known.c {
		return
	}
	known.held--
	if known.held == 0 {
		known.emptyNS = max(p.exitNS, p.StartNS)
	}
}

// containerAt finds the container of a cgroup, or nil for the host. p is a process
// in it.
func (t *Table) containerAt(cgroup uint64, p *entry) *container {
	if known, ok := t.groups[cgroup]; ok {
		return known
	}
	path, ok := t.cgroups.path(cgroup, p.PID)
	if !ok {
		t.count("cgroup_unknown")
		return nil
	}
	if len(t.groups) >= maxGroups {
		t.forgetHostGroups()
	}
	dir, id, uid := splitCgroup(path)
	if id == "" {
		t.groups[cgroup] = nil
		return nil
	}
	known := t.containers[id]
	if known == nil {
		own, ok := t.cgroups.id(dir)
		if !ok {
			own = cgroup // the directory has gone; its child's id is the best we have
		}
		known = &container{c: &event.Container{ID: id, CgroupID: own, Cgroup: dir, StartNS: p.StartNS}, uid: uid}
		if uid != "" {
			known.c.Pod = &event.Pod{UID: uid}
		}
		t.begin(known)
		t.mu.Lock()
		t.containers[id] = known
		t.mu.Unlock()
	}
	t.groups[cgroup] = known
	return known
}

// forgetContainers drops containers that nothing has pointed to for a while.
func (t *Table) forgetContainers(now uint64) {
	gone := map[*container]bool{}
	t.mu.Lock()
	for id, known := range t.containers {
		if known.held == 0 && known.emptyNS+uint64(keepEmpty) < now {
			delete(t.containers, id)
			gone[known] = true
		}
	}
	t.mu.Unlock()
	if len(gone) == 0 {
		return
	}
	maps.DeleteFunc(t.groups, func(_ uint64, known *container) bool { return gone[known] })
}

// forgetHostGroups makes room: a cgroup of the host is quickly looked up again.
func (t *Table) forgetHostGroups() {
	maps.DeleteFunc(t.groups, func(_ uint64, known *container) bool { return known == nil })
}
