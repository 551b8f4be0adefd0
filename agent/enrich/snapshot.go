package enrich

import (
	"fmt"
	"maps"
	"slices"

	"riposte/agent/event"
)

// Snapshot fills the table with the processes that run now, or ran when the recording
// began. Call it once, after capture was attached and before its events are applied:
// then no process falls between the two.
func (t *Table) Snapshot() error {
	t.cgroups.walk()
	seeds, err := t.running()
	if err != nil {
		return fmt.Errorf("process snapshot: %w", err)
	}
	// The oldest first: a container's start is that of its first process.
	slices.SortFunc(seeds, func(a, b Seed) int {
		if a.Process.StartNS != b.Process.StartNS {
			if a.Process.StartNS < b.Process.StartNS {
				return -1
			}
			return 1
		}
		return int(a.Process.PID) - int(b.Process.PID)
	})
	added := make([]*entry, 0, len(seeds))
	for i := range seeds {
		if t.byPID[seeds[i].Process.PID] != nil {
			continue
		}
		p := &entry{Process: seeds[i].Process, coarse: t.files != nil}
		p.Container = event.Host
		if t.add(p) {
			added = append(added, p)
			t.move(p, seeds[i].CgroupID)
			t.lookLegacy(p)
		}
	}
	for _, p := range added {
		t.adopt(p, p.PPID)
		p.Own = p.parent != nil && t.ownChild(p, p.parent)
		t.nameUsers(p)
	}
	t.log.Info("process snapshot", "processes", len(added), "containers", len(t.containers))
	return nil
}

func (t *Table) running() ([]Seed, error) {
	if t.o.Recording != nil {
		return slices.Clone(t.o.Recording.Processes), nil
	}
	pids, err := t.files.pids()
	if err != nil {
		return nil, err
	}
	seeds := make([]Seed, 0, len(pids))
	for _, pid := range pids {
		// A zombie's end was told before we could hear of it: it would stay for ever.
		if st, ok := parseStat(t.files.read(pid, "stat")); !ok || st.ended {
			continue
		}
		s, ok := t.files.process(pid)
		if !ok {
			continue // it has ended
		}
		if path, ok := t.files.cgroup(pid); ok {
			s.CgroupID, _ = t.cgroups.id(path)
		}
		seeds = append(seeds, s)
	}
	return seeds, nil
}

// Record is the table as a recording's beginning: all living processes and the
// paths of their cgroups.
func (t *Table) Record() *Recording {
	r := &Recording{Cgroups: map[uint64]string{}}
	for _, p := range t.byPID {
		s := Seed{Process: p.Process, CgroupID: p.cgroup}
		s.Process.Parent, s.Process.Container, s.Process.Verdicts, s.Process.Interest = nil, nil, event.Verdicts{}, event.Interest{}
		r.Processes = append(r.Processes, s)
	}
	slices.SortFunc(r.Processes, func(a, b Seed) int { return int(a.Process.PID) - int(b.Process.PID) })
	maps.Copy(r.Cgroups, t.cgroups.byID)
	return r
}

// CgroupPath is the path of a cgroup that an event named, if it was found.
func (t *Table) CgroupPath(id uint64) (string, bool) {
	path, ok := t.cgroups.byID[id]
	return path, ok
}

// ContainerDir is the id of the container's own directory for a cgroup in or below
// it, 0 for the host's.
func (t *Table) ContainerDir(id uint64) uint64 {
	if known := t.groups[id]; known != nil {
		return known.c.CgroupID
	}
	return 0
}
