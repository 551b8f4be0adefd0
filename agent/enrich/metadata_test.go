package enrich

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/event"
)

func TestMetadataComesAfterTheFirstProcess(t *testing.T) {
	f := newFamily(t)
	require.Contains(t, f.runtimes.ids, other)
	c := f.p.Container
	require.Equal(t, event.MetadataAwaited, c.Metadata)
	f.Learn(other, &event.Container{
		Metadata: event.MetadataKnown, Name: "web", Repository: "shop/web", CgroupID: 1, StartNS: 1,
		Pod: &event.Pod{UID: uid, Name: "web-1", Namespace: "shop", Labels: map[string]string{"app": "web"}, SandboxID: hex64},
	}, false)
	require.Same(t, c, f.look(f.shell).Container)
	require.Equal(t, &event.Container{
		ID: other, CgroupID: podGroup, Cgroup: "/kubepods/pod" + uid + "/" + other, StartNS: 9 * second, Metadata: event.MetadataKnown, Name: "web", Repository: "shop/web",
		Pod: &event.Pod{UID: uid, Name: "web-1", Namespace: "shop", Labels: map[string]string{"app": "web"}, SandboxID: hex64},
	}, exported(c), "what the kernel says stays")

	f.Learn(other, nil, false)
	require.Equal(t, "web", c.Name, "a container that was removed is still what it was")
}

// exported is a copy without what the clock keeps in it.
func exported(c *event.Container) *event.Container {
	return &event.Container{ID: c.ID, CgroupID: c.CgroupID, Cgroup: c.Cgroup, StartNS: c.StartNS, Metadata: c.Metadata, Name: c.Name, Repository: c.Repository, Pod: c.Pod}
}

func TestMetadataComesFirst(t *testing.T) {
	r := &asked{}
	table := testTable(t, Options{Runtimes: r})
	const group = 70
	table.do(event.Event{KernelNS: 9 * second, Task: task(10, 1, 5*second, hostGroup, "runtime"), Cgroup: &event.Cgroup{ID: group, Path: "/k8s.io/" + other}})
	require.Contains(t, r.ids, other, "a new cgroup is asked for at once")
	require.True(t, r.patient[len(r.patient)-1])
	table.Learn(other, &event.Container{Metadata: event.MetadataKnown, Name: "web"}, false)
	n := len(r.ids)
	p := table.do(event.Event{Type: event.Close, KernelNS: 9 * second, Task: task(40, 10, 9*second, group, "web")}).Proc
	require.Equal(t, "web", p.Container.Name)
	require.Equal(t, event.MetadataKnown, p.Container.Metadata)
	require.Len(t, r.ids, n, "it is not asked for again")
}

func TestContainerThatNoRuntimeKnows(t *testing.T) {
	f := newFamily(t)
	f.Learn(other, nil, false)
	require.Equal(t, event.MetadataNone, f.p.Container.Metadata)
	n := len(f.runtimes.ids)
	f.do(event.Event{Type: event.Close, KernelNS: 100 * second, Task: f.shell})
	require.Len(t, f.runtimes.ids, n, "it is not asked for again")

	table := testTable(t, Options{Runtimes: &asked{nobody: true}})
	p := table.do(event.Event{Type: event.Close, KernelNS: 9 * second, Task: task(20, 10, 8*second, boxGroup, "sh")}).Proc
	require.Equal(t, event.MetadataNone, p.Container.Metadata, "nobody is there to answer")
}

func TestRuntimeThatFails(t *testing.T) {
	f := newFamily(t)
	f.Learn(other, nil, true)
	require.Equal(t, event.MetadataLate, f.p.Container.Metadata)
	n := len(f.runtimes.ids)
	f.do(event.Event{Type: event.Close, KernelNS: 20 * second, Task: f.shell})
	require.Len(t, f.runtimes.ids, n+1, "it is asked again, a little later")
	f.GiveUp(f.p.Container)
	f.Learn(other, &event.Container{Metadata: event.MetadataKnown, Name: "web"}, false)
	require.Equal(t, "web", f.p.Container.Name)
}

// TestPodOfLabels: whoever may start a Docker container may give it any label. The
// cgroup's path is believed.
func TestPodOfLabels(t *testing.T) {
	said := func(uid, sandbox string) *event.Container {
		return &event.Container{Metadata: event.MetadataKnown, Pod: &event.Pod{UID: uid, Name: "victim", SandboxID: sandbox}}
	}
	f := newFamily(t)
	f.Learn(other, said("of-another", ""), false)
	require.Equal(t, &event.Pod{UID: uid}, f.p.Container.Pod)
	f.Learn(other, said("of-another", hex64), false)
	require.Equal(t, &event.Pod{UID: uid}, f.p.Container.Pod)

	box := f.do(event.Event{Type: event.Close, KernelNS: 10 * second, Task: task(20, 10, 8*second, boxGroup, "sh")}).Proc.Container
	f.Learn(hex64, said("of-another", ""), false)
	require.Nil(t, box.Pod)
	f.Learn(hex64, said("of-kubelet", hex64), false)
	require.Equal(t, "of-kubelet", box.Pod.UID)
}

func TestPodFromBothSides(t *testing.T) {
	f := newFamily(t)
	f.Learn(other, &event.Container{Metadata: event.MetadataKnown, Pod: &event.Pod{UID: uid, Name: "web-1", Namespace: "shop", SandboxID: hex64}}, false)
	require.Equal(t, "web-1", f.p.Container.Pod.Name, "without the API server")
	f.podName = "web-1"
	f.do(event.Event{Type: event.Close, KernelNS: 11 * second, Task: f.shell})
	require.Equal(t, &event.Pod{UID: uid, Name: "web-1", Namespace: "shop", SandboxID: hex64}, f.p.Container.Pod)
}

func TestEarlyMetadataIsBounded(t *testing.T) {
	table := testTable(t, Options{Runtimes: &asked{}})
	for i := range maxEarly + 10 {
		table.Learn(fmt.Sprint("never started ", i), &event.Container{}, false)
	}
	require.Len(t, table.early, maxEarly)
	require.Equal(t, uint64(10), table.Counts()["metadata_forgotten"])
}
