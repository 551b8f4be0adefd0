//go:build linux

package runtime_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/enrich/runtime"
	"riposte/agent/enrich/runtime/runtimetest"
	"riposte/agent/event"
)

// TestContainerdNamespaces are containers that CRI knows nothing of.
func TestContainerdNamespaces(t *testing.T) {
	d := runtimetest.Containerd(t)
	d.Import("default")
	d.Import("tools")
	d.RunCtr("default", "before")

	var h heard
	l := follow(t, runtime.Options{CRI: []string{d.Socket}, Docker: []string{}, Tell: h.tell})
	before := h.last(t, "before").Facts
	require.Equal(t, []string{"containerd", "before", runtimetest.Image, "riposte.test:5000/tools/tiny", "1.0", "/default/before"},
		[]string{before.Type, before.Name, before.Image, before.Repository, before.Tag, before.Cgroup})
	require.Equal(t, []event.Known{event.Yes, event.No, event.No, event.NotKnown}, []event.Known{before.HostNetwork, before.HostPID, before.HostIPC, before.Privileged})
	require.Contains(t, before.ImageDigest, "sha256:")
	require.Contains(t, before.Env, "IN_IMAGE=yes")
	require.WithinDuration(t, time.Now(), time.Unix(0, before.CreatedNS), time.Minute)

	t.Run("one that comes", func(t *testing.T) {
		shared := t.TempDir()
		d.RunCtr("tools", "later", "--label", "team=shop", "--mount", "type=bind,src="+shared+",dst=/srv,options=rbind:ro:rslave")
		c := h.last(t, "tools/later").Facts // of the runtime's own event: nobody has asked
		require.Equal(t, "/tools/later", c.Cgroup)
		require.Equal(t, "shop", c.Labels["team"])
		// What ctr adds for a shared network is a mount as any other.
		require.Contains(t, c.Mounts, event.ContainerMount{Source: shared, Destination: "/srv", Propagation: "rslave"})
	})
	t.Run("one with a random id", func(t *testing.T) {
		id := strings.Repeat("0badc0de", 8)
		d.RunCtr("tools", id, "--label", "nerdctl/name=shop")
		require.Equal(t, "shop", h.last(t, id).Facts.Name)
		require.True(t, l.Ask(id, false))
	})
	t.Run("one of CRI is told once, with its pod", func(t *testing.T) {
		pod := d.RunPod(t, "front")
		require.Equal(t, "front", h.last(t, pod.ID).Facts.Pod.Name)
		_, twice := h.newest("k8s.io/" + pod.ID)
		require.False(t, twice)
	})
	t.Run("asked for", func(t *testing.T) {
		require.True(t, l.Ask("tools/later", false))
		require.True(t, l.Ask("tools/none", false))
		require.Nil(t, h.last(t, "tools/none").Facts)
		require.False(t, h.last(t, "tools/none").Failed)
	})
}
