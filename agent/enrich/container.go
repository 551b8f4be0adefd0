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
	// after refreshPod, for its labels may change.
	askPod     = uint64(50 * time.Millisecond)
	renewPod   = uint64(10 * time.Second)
	maxGroups  = 1 << 16
	noCgroupID = 0
)

// container is one container and how many entries point to it.
type container struct {
	c       *event.Container
	held    int
	emptyNS uint64
	askedNS uint64
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
	_, id, _ := splitCgroup(path)
	return t.Container(id)
}

// move puts a process into the container of a cgroup.
func (t *Table) move(p *entry, cgroup uint64) {
	if cgroup == p.cgroup || cgroup == noCgroupID {
		return
	}
	t.unhold(p)
	p.cgroup = cgroup
	known := t.containerAt(cgroup, p)
	if known == nil {
		p.Container = event.Host
		return
	}
	known.held++
	p.Container = known.c
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
		known = &container{c: &event.Container{ID: id, CgroupID: own, Cgroup: dir, StartNS: p.StartNS}}
		if uid != "" {
			known.c.Pod = &event.Pod{UID: uid}
		}
		t.mu.Lock()
		t.containers[id] = known
		t.mu.Unlock()
	}
	t.groups[cgroup] = known
	return known
}

// refreshPod fills in what the API server says about a container's pod.
func (t *Table) refreshPod(p *entry, now uint64) {
	if p.Container == event.Host || t.o.Pods == nil || p.Container.Pod == nil {
		return
	}
	known := t.groups[p.cgroup]
	if known == nil {
		return
	}
	wait := renewPod
	if known.c.Pod.Name == "" {
		wait = askPod
	}
	if known.askedNS != 0 && now < known.askedNS+wait {
		return
	}
	known.askedNS = now
	pod, ok := t.o.Pods.Pod(known.c.Pod.UID)
	if !ok {
		return
	}
	pod.UID = known.c.Pod.UID
	t.mu.Lock()
	known.c.Pod = &pod
	t.mu.Unlock()
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
