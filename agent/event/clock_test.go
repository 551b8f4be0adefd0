package event_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
)

func TestClockKnowsWhatAProcessDependsOn(t *testing.T) {
	var c event.Clock
	box := &event.Container{}
	grand, parent, p, other := &event.Process{Container: event.Host}, &event.Process{Container: event.Host}, &event.Process{Container: box}, &event.Process{Container: event.Host}
	for child, of := range map[*event.Process]*event.Process{p: parent, parent: grand, other: nil} {
		c.Adopt(child, of)
	}
	for name, change := range map[string]func(){
		"itself":       func() { c.Changed(p) },
		"parent":       func() { c.Changed(parent) },
		"grandparent":  func() { c.Changed(grand) },
		"container":    func() { c.ContainerChanged(box) },
		"reparented":   func() { c.Adopt(p, parent) },
		"parent moved": func() { c.Adopt(parent, grand) },
	} {
		then := c.Now()
		require.False(t, c.Since(p, then), name)
		change()
		require.True(t, c.Since(p, then), name)
		require.False(t, c.Since(p, c.Now()), name)
	}
	then := c.Now()
	c.Changed(other)
	c.ContainerChanged(event.Host)
	require.False(t, c.Since(p, then), "another process is nobody's business")
	require.True(t, c.Since(other, then))
}

func TestACopyIsAnotherProcess(t *testing.T) {
	var c event.Clock
	parent, other := &event.Process{}, &event.Process{}
	c.Adopt(&event.Process{}, parent)
	p := *parent
	c.Born(&p)
	c.Adopt(&p, parent)
	c.Adopt(other, parent)
	then := c.Now()
	c.Changed(&p)
	require.True(t, c.Since(&p, then))
	require.False(t, c.Since(other, then), "the copy has no children of its own")
}

func TestClockEndsInARing(t *testing.T) {
	var c event.Clock
	a, b := &event.Process{}, &event.Process{}
	c.Adopt(a, b)
	c.Adopt(b, a)
	then := c.Now()
	x := &event.Process{}
	c.Adopt(x, a)
	c.Changed(x)
	require.True(t, c.Since(a, then-1))
}
