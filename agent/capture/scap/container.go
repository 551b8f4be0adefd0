package scap

import (
	"strings"

	"riposte/agent/enrich"
	"riposte/agent/event"
)

const (
	maxContainers = 1 << 16
	maxCgroups    = 1 << 14
	// maxListed bounds what the lists of cgroups take in memory.
	maxListed = 64 << 20
	// maxField bounds each text of a container.
	maxField = 1024
)

// containers are known by the first characters of their ids.
type containers struct {
	byID map[string]*event.Container
	// byCgroups remembers what a process's cgroups led to.
	byCgroups map[string]membership
	// weight is what the details of all containers take in memory, and all lists of
	// cgroups that were ever made.
	weight, listed int
	lost           map[string]uint64
	clock          *event.Clock
}

// membership is a list of cgroups and the container that it belongs to.
type membership struct {
	container *event.Container
	cgroups   []string
}

func newContainers(lost map[string]uint64, clock *event.Clock) containers {
	return containers{lost: lost, clock: clock, byID: map[string]*event.Container{}, byCgroups: map[string]membership{}}
}

// of finds the container of a list of cgroups: "subsystem=path", each ending in NUL.
func (c *containers) of(cgroups []byte, startNS uint64) membership {
	if known, ok := c.byCgroups[string(cgroups)]; ok {
		return known
	}
	m := membership{event.Host, words(cgroups)}
	for _, group := range m.cgroups {
		_, path, _ := strings.Cut(group, "=")
		id, pod := enrich.ParseCgroup(path)
		if id == "" {
			continue
		}
		found := c.add(id)
		m.container = found
		found.ID = id
		if found.Cgroup == "" {
			found.Cgroup, found.StartNS = clip(path, maxText), startNS
		}
		if pod != "" && found.Pod == nil {
			found.Pod = &event.Pod{UID: pod}
		}
		c.clock.ContainerChanged(found)
		break
	}
	c.listed += len(cgroups) + wordBytes*len(m.cgroups)
	if c.listed > maxListed {
		c.lost[lostDetails]++
		m.cgroups = nil
	}
	if len(c.byCgroups) >= maxCgroups {
		clear(c.byCgroups)
	}
	if len(cgroups) <= maxText {
		c.byCgroups[string(cgroups)] = m
	}
	return m
}

func (c *containers) add(id string) *event.Container {
	known := c.byID[short(id)]
	if known == nil {
		known = &event.Container{ID: id}
		if len(c.byID) < maxContainers {
			c.byID[short(id)] = known
		}
	}
	return known
}
