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
	// maxContainers bounds the containers that nothing points to any more with the others.
	maxContainers = 1 << 14
	noCgroupID    = 0
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
	// legacy marks one that only cgroup v1 knows.
	legacy bool
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

// ContainerAt finds the container that a cgroup's path below the root is in, as
// Container does.
func (t *Table) ContainerAt(path string) (event.Container, bool) {
	t.mu.RLock()
	_, id, _ := t.split(path)
	t.mu.RUnlock()
	return t.Container(id)
}

// move puts a process into the container of a cgroup.
func (t *Table) move(p *entry, cgroup uint64) {
	if cgroup == p.cgroup || cgroup == noCgroupID {
		return
	}
	p.cgroup = cgroup
	into := t.containerAt(cgroup, p)
	if into == nil && p.in != nil && p.in.legacy {
		return // cgroup v2 knows nothing of it
	}
	t.join(p, into)
}

// join puts a process into a container; nil is the host.
func (t *Table) join(p *entry, into *container) {
	t.unhold(p)
	p.in = into
	c := event.Host
	if into != nil {
		into.held++
		c = into.c
	}
	if set(&p.Container, c) {
		p.Own = false
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
	if p.in == nil {
		return
	}
	p.in.held--
	if p.in.held == 0 {
		p.in.emptyNS = max(p.exitNS, p.StartNS)
	}
	p.in = nil
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
	dir, id, uid := t.split(path)
	if id == "" {
		t.groups[cgroup] = nil
		return nil
	}
	own, ok := t.cgroups.id(dir)
	if !ok {
		own = cgroup // the directory has gone; its child's id is the best we have
	}
	known := t.containers[id]
	if known != nil && known.legacy {
		t.mu.Lock()
		known.legacy, known.c.CgroupID, known.c.Cgroup = false, own, dir
		t.mu.Unlock()
		t.clock.ContainerChanged(known.c)
	}
	if known == nil {
		known = t.found(&container{c: &event.Container{ID: id, CgroupID: own, Cgroup: dir, StartNS: p.StartNS}, uid: uid}, dir)
	}
	t.groups[cgroup] = known
	return known
}

// found adds a container that was not known; path is its cgroup's.
func (t *Table) found(known *container, path string) *container {
	if known.uid != "" {
		known.c.Pod = &event.Pod{UID: known.uid}
	}
	t.begin(known, path)
	if len(t.containers) >= maxContainers {
		t.count("container_forgotten_early")
		t.dropContainers(func(*container) bool { return true })
	}
	t.mu.Lock()
	t.containers[known.c.ID] = known
	t.mu.Unlock()
	return known
}

// forgetContainers drops containers that nothing has pointed to for a while.
func (t *Table) forgetContainers(now uint64) {
	t.dropContainers(func(known *container) bool { return known.emptyNS+uint64(keepEmpty) < now })
}

// dropContainers drops those that nothing points to and that may go.
func (t *Table) dropContainers(may func(*container) bool) {
	gone, ids := map[*container]bool{}, map[string]bool{}
	t.mu.Lock()
	for id, known := range t.containers {
		if known.held == 0 && may(known) {
			delete(t.containers, id)
			gone[known], ids[id] = true, true
		}
	}
	maps.DeleteFunc(t.named, func(_, id string) bool { return ids[id] })
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
