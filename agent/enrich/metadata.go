package enrich

import (
	"maps"
	"strings"

	"riposte/agent/event"
)

// maxEarly bounds the metadata of containers that no process was seen in: those that
// were made and not started, and those that have ended.
const maxEarly = 4096

// begin gives a new container what is known of it already, or asks for it.
func (t *Table) begin(known *container, cgroup string) {
	if t.o.Runtimes == nil {
		return
	}
	if facts, ok := t.early[known.c.ID]; ok {
		delete(t.early, known.c.ID)
		fill(known, facts)
		return
	}
	if t.o.Runtimes.Ask(known.c.ID, late(cgroup)) {
		known.c.Metadata = event.MetadataAwaited
	}
}

// askEarly asks for a container whose cgroup was made just now: with luck the answer
// is there before its first program.
func (t *Table) askEarly(path string) {
	if t.o.Runtimes == nil {
		return
	}
	dir, id, _ := t.split(path)
	if dir != path || id == "" || t.containers[id] != nil {
		return
	}
	if _, ok := t.early[id]; !ok {
		t.o.Runtimes.Ask(id, late(path))
	}
}

// late says that a runtime may start a container of this cgroup before it has made
// its record of it: containerd does so with a pod's sandbox.
func late(cgroup string) bool {
	return strings.Contains(cgroup, "/k8s.io/") || strings.Contains(cgroup, "kubepods")
}

// Learn takes the runtimes' answer about a container: its metadata, nil if none of
// them knows it; failed if one that may know it could not answer.
func (t *Table) Learn(id string, facts *event.Container, failed bool) {
	if facts != nil {
		t.place(id, facts)
	}
	known := t.containers[id]
	switch {
	case known == nil:
		// That nobody knows it is not kept: its record may come before its first process.
		if facts != nil {
			t.keepEarly(id, facts)
		}
		return
	case facts != nil:
		t.mu.Lock()
		fill(known, facts)
		t.mu.Unlock()
	case known.c.Metadata == event.MetadataKnown:
		return // it was removed while its last processes run
	default:
		t.mu.Lock()
		known.c.Metadata = event.MetadataNone
		if failed {
			known.c.Metadata = event.MetadataLate
		}
		t.mu.Unlock()
	}
	t.clock.ContainerChanged(known.c)
}

// GiveUp says that the rules no longer wait for a container's metadata. It is taken
// all the same when it comes.
func (t *Table) GiveUp(c *event.Container) {
	t.mu.Lock()
	if c.Metadata == event.MetadataAwaited {
		c.Metadata = event.MetadataLate
	}
	t.mu.Unlock()
}

func (t *Table) keepEarly(id string, facts *event.Container) {
	if len(t.early) >= maxEarly {
		for other := range t.early { // any of them
			delete(t.early, other)
			t.count("metadata_forgotten")
			break
		}
	}
	t.early[id] = facts
}

// fill adds a runtime's facts to what the kernel says of a container. The pod that the
// cgroup's path names is believed; a label only where both agree, or where a CRI
// runtime, which kubelet alone talks to, names a pod and the path none.
func fill(known *container, facts *event.Container) {
	c := *facts
	old := known.c
	c.ID, c.CgroupID, c.Cgroup, c.StartNS = old.ID, old.CgroupID, old.Cgroup, old.StartNS
	c.Pod = old.Pod
	if said := facts.Pod; said != nil && (said.UID == known.uid || known.uid == "" && said.SandboxID != "") {
		c.Pod = said
		if old.Pod != nil {
			c.Pod = mergePods(old.Pod, said)
		}
	}
	probe(&c)
	*old = c
}

// probe gives a container the probes that its pod has for it.
func probe(c *event.Container) {
	if c.Pod == nil {
		return
	}
	if own, ok := c.Pod.Probes[c.Name]; ok {
		c.Liveness, c.Readiness = own.Liveness, own.Readiness
	}
}

// mergePods takes each thing from the first that has it.
func mergePods(first, second *event.Pod) *event.Pod {
	p := *first
	for _, s := range []struct {
		to   *string
		from string
	}{{&p.UID, second.UID}, {&p.Namespace, second.Namespace}, {&p.Name, second.Name}, {&p.Owner, second.Owner}, {&p.SandboxID, second.SandboxID}} {
		if *s.to == "" {
			*s.to = s.from
		}
	}
	if p.Labels == nil {
		p.Labels = second.Labels
	}
	if p.Probes == nil {
		p.Probes = second.Probes
	}
	return &p
}

// refresh asks again for what is not known of a process's container, or may have
// changed.
func (t *Table) refresh(p *entry, now uint64) {
	known := p.in
	if known == nil {
		return
	}
	if known.c.Metadata == event.MetadataLate && now >= known.runtimeNS+askRuntime {
		known.runtimeNS = now
		t.o.Runtimes.Ask(known.c.ID, false)
	}
	t.refreshPod(known, now)
}

// refreshPod fills in what the API server says about a container's pod.
func (t *Table) refreshPod(known *container, now uint64) {
	if t.o.Pods == nil || known.c.Pod == nil {
		return
	}
	wait := renewPod
	if known.c.Pod.Name == "" || known.c.Pod.Owner == "" {
		wait = askPod
	}
	if known.podNS != 0 && now < known.podNS+wait {
		return
	}
	known.podNS = now
	pod, ok := t.o.Pods.Pod(known.c.Pod.UID)
	if !ok {
		return
	}
	pod.UID = known.c.Pod.UID
	merged := mergePods(&pod, known.c.Pod)
	if samePod(merged, known.c.Pod) {
		return
	}
	t.mu.Lock()
	known.c.Pod = merged
	probe(known.c)
	t.mu.Unlock()
	t.clock.ContainerChanged(known.c)
}

func samePod(a, b *event.Pod) bool {
	return a.UID == b.UID && a.Namespace == b.Namespace && a.Name == b.Name && a.Owner == b.Owner && a.SandboxID == b.SandboxID &&
		maps.Equal(a.Labels, b.Labels) && maps.Equal(a.Probes, b.Probes)
}
