//go:build linux

package runtime

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"riposte/agent/enrich/runtime/runtimetest"
	"riposte/agent/event"
)

// A container is announced when it is made, not when it starts, and its record is there
// for one who tries again a moment later. A sandbox is not.
func TestContainersAreAnnouncedBeforeTheyStart(t *testing.T) {
	d := runtimetest.Containerd(t)
	c := newCRI(d.Socket)
	name, err := c.open(t.Context())
	require.NoError(t, err)
	t.Cleanup(c.close)
	require.Contains(t, name, "containerd")

	ctx, cancel := context.WithCancel(t.Context())
	announced := make(chan string, 1024)
	var running sync.WaitGroup
	running.Go(func() { _ = c.announce(ctx, func(id string) { announced <- id }) })
	t.Cleanup(running.Wait)
	t.Cleanup(cancel)

	pod := d.RunPod(t, "front")
	made := map[string]bool{}
	var first string
	for first == "" { // nothing says when it listens
		made[pod.Create(t, &cri.ContainerConfig{Metadata: &cri.ContainerMetadata{Name: "web", Attempt: uint32(len(made))}})] = true
		select {
		case first = <-announced:
		case <-time.After(100 * time.Millisecond):
		}
	}
	require.True(t, made[first])
	var facts *event.Container
	require.Eventually(t, func() bool {
		facts, err = c.inspect(t.Context(), first)
		return err == nil
	}, 20*time.Second, time.Millisecond)
	require.Equal(t, "web", facts.Name)
	require.Equal(t, "front", facts.Pod.Name)
	require.Zero(t, facts.StartTS)

	d.RunPod(t, "behind")
	last := pod.Create(t, &cri.ContainerConfig{Metadata: &cri.ContainerMetadata{Name: "last"}})
	made[last] = true
	for id := first; id != last; id = <-announced {
		require.True(t, made[id], "a sandbox is no container")
	}

	require.NoError(t, (&criEngine{kind: "cri-o"}).announce(t.Context(), nil), "another runtime has no such events")
}
