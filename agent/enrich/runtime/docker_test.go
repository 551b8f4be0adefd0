//go:build linux

package runtime_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/enrich/runtime"
	"riposte/agent/enrich/runtime/runtimetest"
	"riposte/agent/event"
)

// heard collects answers.
type heard struct {
	mu  sync.Mutex
	all map[string][]runtime.Answer
}

func (h *heard) tell(a runtime.Answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all == nil {
		h.all = map[string][]runtime.Answer{}
	}
	h.all[a.ID] = append(h.all[a.ID], a)
}

// newest is the last answer about id, if there is one yet.
func (h *heard) newest(id string) (a runtime.Answer, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := h.all[id]
	if len(all) == 0 {
		return a, false
	}
	return all[len(all)-1], true
}

// last waits for an answer about id and returns the newest.
func (h *heard) last(t *testing.T, id string) runtime.Answer {
	t.Helper()
	require.Eventually(t, func() bool { _, ok := h.newest(id); return ok }, 20*time.Second, time.Millisecond, "no answer about %s", id)
	a, _ := h.newest(id)
	return a
}

// follow runs a Lookup for the test's time and waits until it is connected.
func follow(t *testing.T, o runtime.Options) *runtime.Lookup {
	l := runtime.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { l.Run(ctx); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	short, done := context.WithTimeout(t.Context(), 20*time.Second)
	defer done()
	require.True(t, l.WaitListed(short))
	return l
}

const nobody = "00000000000000000000000000000000000000000000000000000000000000ff"

func TestDocker(t *testing.T) {
	d := runtimetest.Docker(t)
	create := func(args ...string) string {
		return strings.TrimSpace(d.Docker(append([]string{"create"}, args...)...))
	}
	before := create("--name", "before", "--privileged", "--network=none", "--pid=host", runtimetest.Image)

	var h heard
	l := follow(t, runtime.Options{CRI: []string{}, Docker: []string{d.Socket}, Tell: h.tell})

	t.Run("one that was there before", func(t *testing.T) {
		c := h.last(t, before).Facts
		require.Equal(t, "before", c.Name)
		require.Equal(t, event.Yes, c.Privileged)
		require.Equal(t, []event.Known{event.Yes, event.No, event.No}, []event.Known{c.HostPID, c.HostNetwork, c.HostIPC})
		require.Zero(t, c.StartTS, "it was never started")
		require.NotZero(t, c.CreatedNS)
	})
	t.Run("one that comes", func(t *testing.T) {
		shared := t.TempDir()
		id := create("--name", "web", "--network=host", "-l", "team=shop", "-e", "MODE=test", "-v", shared+":/srv:ro", "--health-cmd", "true",
			"-l", "io.kubernetes.pod.uid=u-1", "-l", "io.kubernetes.pod.name=web-1", "-l", "io.kubernetes.pod.namespace=shop", runtimetest.Image)
		c := h.last(t, id).Facts // of the runtime's own event: nobody has asked
		require.NotNil(t, c)
		require.Equal(t, event.MetadataKnown, c.Metadata)
		require.Equal(t, id, c.ID)
		require.Equal(t, []string{"docker", "web", runtimetest.Image, "riposte.test:5000/tools/tiny", "1.0", d.ImageID}, []string{c.Type, c.Name, c.Image, c.Repository, c.Tag, c.ImageID})
		require.Equal(t, map[string]string{
			"team": "shop", "from": "image", "io.kubernetes.pod.uid": "u-1", "io.kubernetes.pod.name": "web-1", "io.kubernetes.pod.namespace": "shop",
		}, c.Labels)
		require.Contains(t, c.Env, "MODE=test")
		require.Contains(t, c.Env, "IN_IMAGE=yes")
		require.Equal(t, []event.ContainerMount{{Source: shared, Destination: "/srv", Mode: "ro", Propagation: "rprivate"}}, c.Mounts)
		require.Equal(t, event.No, c.Privileged)
		require.Equal(t, event.Yes, c.HostNetwork)
		require.Equal(t, "/bin/sh -c true", c.Healthcheck)
		require.Equal(t, &event.Pod{UID: "u-1", Name: "web-1", Namespace: "shop"}, c.Pod)
		created := time.Unix(0, c.CreatedNS)
		require.WithinDuration(t, time.Now(), created, time.Minute)
	})
	t.Run("asked for", func(t *testing.T) {
		require.True(t, l.Ask(nobody, false))
		a := h.last(t, nobody)
		require.Nil(t, a.Facts)
		require.False(t, a.Failed)
		require.Zero(t, l.Counts()["metadata_failed"])

		started := strings.TrimSpace(d.Docker("run", "-d", "--network=none", runtimetest.Image, "/etc/passwd"))
		require.Eventually(t, func() bool {
			a, ok := h.newest(started)
			return ok && a.Facts != nil && a.Facts.StartTS != 0
		}, 20*time.Second, time.Millisecond)
		d.Docker("rm", "-f", started)
	})
}
