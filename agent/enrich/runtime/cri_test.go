//go:build linux

package runtime_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"riposte/agent/enrich/runtime"
	"riposte/agent/enrich/runtime/runtimetest"
	"riposte/agent/event"
)

func TestCRI(t *testing.T) {
	d := runtimetest.Containerd(t)
	before := d.RunPod(t, "before")

	var h heard
	l := follow(t, runtime.Options{CRI: []string{d.Socket}, Docker: []string{}, Tell: h.tell})

	pod := &event.Pod{UID: before.Config.GetMetadata().GetUid(), Namespace: "shop", Name: "before", Labels: map[string]string{"app": "before"}, SandboxID: before.ID}
	t.Run("a sandbox that was there before", func(t *testing.T) {
		c := h.last(t, before.ID).Facts
		require.Equal(t, "containerd", c.Type)
		require.Equal(t, "before", c.Name)
		require.Equal(t, pod, c.Pod)
		require.Equal(t, event.Yes, c.HostNetwork)
	})
	t.Run("a container", func(t *testing.T) {
		shared := t.TempDir()
		require.NoError(t, unix.Mount(shared, shared, "", unix.MS_BIND, ""))
		t.Cleanup(func() { require.NoError(t, unix.Unmount(shared, unix.MNT_DETACH)) })
		require.NoError(t, unix.Mount("", shared, "", unix.MS_SHARED, ""))
		id := before.Create(t, &cri.ContainerConfig{
			Metadata: &cri.ContainerMetadata{Name: "web"},
			Labels:   map[string]string{"io.kubernetes.container.name": "web", "io.kubernetes.pod.name": "before", "io.kubernetes.pod.namespace": "shop", "io.kubernetes.pod.uid": pod.UID},
			Envs:     []*cri.KeyValue{{Key: "MODE", Value: []byte("test")}},
			Mounts:   []*cri.Mount{{HostPath: shared, ContainerPath: "/host", Readonly: true, Propagation: cri.MountPropagation_PROPAGATION_HOST_TO_CONTAINER}},
			Linux:    &cri.LinuxContainerConfig{SecurityContext: &cri.LinuxContainerSecurityContext{Privileged: true}},
		})
		require.True(t, l.Ask(id, false))
		c := h.last(t, id).Facts
		require.NotNil(t, c)
		require.Equal(t, []string{"containerd", "web", runtimetest.Image, "riposte.test:5000/tools/tiny", "1.0", d.ImageID}, []string{c.Type, c.Name, c.Image, c.Repository, c.Tag, c.ImageID})
		require.Equal(t, pod, c.Pod)
		require.Equal(t, "web", c.Labels["io.kubernetes.container.name"])
		require.Contains(t, c.Env, "MODE=test")
		require.Contains(t, c.Env, "IN_IMAGE=yes")
		require.Equal(t, []event.ContainerMount{{Source: shared, Destination: "/host", Propagation: "rslave"}}, c.Mounts)
		require.Equal(t, event.Yes, c.Privileged)
		require.Equal(t, []event.Known{event.Yes, event.No, event.No}, []event.Known{c.HostNetwork, c.HostPID, c.HostIPC})
		require.Zero(t, c.StartTS)
		require.WithinDuration(t, time.Now(), time.Unix(0, c.CreatedNS), time.Minute)
	})
	t.Run("a sandbox whose record comes late", func(t *testing.T) {
		require.True(t, l.Ask(nobody, true))
		require.Nil(t, h.last(t, nobody).Facts)
	})
	t.Run("a runtime without events is asked now and then", func(t *testing.T) {
		later := d.RunPod(t, "later")
		require.Equal(t, "later", h.last(t, later.ID).Facts.Pod.Name)
		id := later.Create(t, &cri.ContainerConfig{Metadata: &cri.ContainerMetadata{Name: "fresh"}})
		require.Equal(t, "fresh", h.last(t, id).Facts.Name)
	})
}

// TestRuntimeGoesAndComesBack: a question is answered even then.
func TestRuntimeGoesAndComesBack(t *testing.T) {
	d := runtimetest.Containerd(t)
	pod := d.RunPod(t, "stays")
	var h heard
	l := follow(t, runtime.Options{CRI: []string{d.Socket}, Docker: []string{}, Tell: h.tell})
	require.NotNil(t, h.last(t, pod.ID).Facts)

	d.Kill()
	require.Eventually(t, func() bool { return !l.Ask(nobody, false) }, 20*time.Second, time.Millisecond, "nobody is there to answer")
	d.Restart()
	require.Eventually(t, func() bool { return l.Ask(pod.ID, false) }, 20*time.Second, time.Millisecond)
}

func TestNoRuntime(t *testing.T) {
	l := follow(t, runtime.Options{CRI: []string{t.TempDir() + "/none.sock"}, Docker: []string{}, Tell: func(runtime.Answer) { t.Error("an answer from nobody") }})
	require.False(t, l.Ask(nobody, true))
}
