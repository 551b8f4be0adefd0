package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"riposte/agent/alert"
	"riposte/agent/bus"
	"riposte/deploy/e2e/kubetest"
	"riposte/deploy/standalone"
	"riposte/deploy/standalone/natsd/natsdtest"
	"riposte/deploy/standalone/postgres"
	"riposte/deploy/standalone/sandbox"
	"riposte/responder"
	"riposte/responder/action/deletepod"
	"riposte/responder/api/client"
)

// unlimited lifts the guard's budgets: a benchmark is about how fast, not how much.
const unlimited = `budgets:
  playbook: {count: 100000}
  workload: {count: 100000}
  namespace: {count: 100000}
  node: {count: 100000}
  cluster: {count: 100000}
`

// deletions tells when the API server said of each pod that it is to be deleted.
type deletions struct {
	mu   sync.Mutex
	at   map[string]time.Time
	more chan struct{}
}

func watchDeletions(b *testing.B, cluster *kubetest.Cluster, namespace string) *deletions {
	b.Helper()
	d := &deletions{at: map[string]time.Time{}, more: make(chan struct{}, 1)}
	w, err := cluster.Client.CoreV1().Pods(namespace).Watch(context.Background(), metav1.ListOptions{})
	require.NoError(b, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range w.ResultChan() {
			pod, ok := e.Object.(*corev1.Pod)
			if !ok || pod.DeletionTimestamp == nil && e.Type != watch.Deleted {
				continue
			}
			d.mu.Lock()
			if _, known := d.at[string(pod.UID)]; !known {
				d.at[string(pod.UID)] = time.Now()
			}
			d.mu.Unlock()
			select {
			case d.more <- struct{}{}:
			default:
			}
		}
	}()
	b.Cleanup(func() { w.Stop(); <-done })
	return d
}

// await returns when all these pods are being deleted, and when each began to be.
func (d *deletions) await(b *testing.B, uids ...string) (at []time.Time) {
	b.Helper()
	late := time.After(time.Minute)
	for {
		at = at[:0]
		d.mu.Lock()
		for _, uid := range uids {
			if t, ok := d.at[uid]; ok {
				at = append(at, t)
			}
		}
		d.mu.Unlock()
		if len(at) == len(uids) {
			return at
		}
		select {
		case <-d.more:
		case <-late:
			b.Fatalf("%d of %d pods are deleted", len(at), len(uids))
		}
	}
}

// report prints a distribution as metrics.
func report(b *testing.B, all []time.Duration) {
	b.Helper()
	slices.Sort(all)
	at := func(percent int) float64 { return float64(all[(len(all)-1)*percent/100].Microseconds()) / 1000 }
	b.ReportMetric(at(50), "p50-ms")
	b.ReportMetric(at(90), "p90-ms")
	b.ReportMetric(at(99), "p99-ms")
	b.ReportMetric(at(100), "max-ms")
}

// way is the way of an alert without the kernel: an agent's connection to a durable
// NATS, a responder, a durable PostgreSQL, an API server.
type way struct {
	cluster *kubetest.Cluster
	agent   *bus.Conn
	boot    string
	seq     uint64
}

func newWay(b *testing.B) *way {
	b.Helper()
	dir := dataDir(b)
	data, err := standalone.OpenData(dir)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, data.Close()) })
	require.NoError(b, os.WriteFile(data.Path("guard.yaml"), []byte(unlimited), 0o600))
	db, err := postgres.Start(b.Context(), postgres.Options{Dir: data.Path("postgres")})
	require.NoError(b, err)
	b.Cleanup(func() { _ = db.Stop() })
	nats := natsdtest.Start(b, "c", "node-1")
	order, _, err := data.OrderKey()
	require.NoError(b, err)
	token, err := data.Token()
	require.NoError(b, err)

	w := &way{cluster: kubetest.Start(b), boot: uuid.NewString()}
	w.cluster.CreateNode(b, "node-1")
	w.cluster.CreateNamespace(b, "shop")
	r, err := responder.New(responder.Options{
		Cluster: "c", Instance: "one", DatabaseURL: db.URL(), NATS: nats.URL(), NATSKeyFile: nats.SeedFile(natsdtest.Responder), OrderKeyFile: order, TokenFile: token,
		Listen: "127.0.0.1:0", Kubeconfig: w.cluster.Kubeconfig, GuardFile: data.Path("guard.yaml"),
	})
	require.NoError(b, err)
	require.NoError(b, r.Start(b.Context()))
	b.Cleanup(func() { require.NoError(b, r.Stop(context.Background())) })
	w.agent, err = bus.Connect(bus.Options{URL: nats.URL(), SeedFile: nats.SeedFile("node-1"), Cluster: "c", Node: "node-1"})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, w.agent.Close()) })
	<-w.agent.Up()
	return w
}

// attack publishes a Critical alert about a pod as the agent does.
func (w *way) attack(b *testing.B, name, uid string) {
	b.Helper()
	w.seq++
	now := time.Now()
	a := &alert.Alert{
		UUID: uuid.Must(uuid.NewV7()).String(), Time: now, Rule: "A sensitive file was read", Priority: alert.Critical, Source: "syscall", Hostname: "node-1",
		Output: "Critical a sensitive file was read (file=/etc/shadow)", OutputFields: map[string]any{"fd.name": "/etc/shadow", "proc.name": "cat"},
		Riposte: &alert.Riposte{
			Schema: alert.Schema, Cluster: "c", Node: "node-1", BootID: w.boot, Seq: w.seq, KernelTimeNS: now.UnixNano(), AlertTimeNS: now.UnixNano(),
			Process:   &alert.Process{PID: 4242, StartNS: w.seq, Name: "cat", Exe: "cat", ExePath: "/bin/cat", Args: []string{"/etc/shadow"}},
			Container: &alert.Container{ID: strings.Repeat("ab", 32), CgroupID: w.seq, StartNS: w.seq},
			Pod:       &alert.Pod{Namespace: "shop", Name: name, UID: uid},
		},
	}
	body, err := a.MarshalJSON()
	require.NoError(b, err)
	require.NoError(b, w.agent.Publish(alert.Subject("c", "node-1", a.Priority), a.Riposte.MessageID(), body, func(err error) {
		if err != nil {
			b.Error(err)
		}
	}))
}

// BenchmarkAlertToDelete is the time from the agent's publish until the API server
// tells its watchers of the deletion, one pod at a time.
func BenchmarkAlertToDelete(b *testing.B) {
	w := newWay(b)
	d := watchDeletions(b, w.cluster, "shop")
	w.cluster.FinishDeletions(b, "node-1", nil)
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		name := fmt.Sprintf("cart-%d", i)
		uid := w.cluster.CreatePod(b, "shop", name, "node-1")
		b.StartTimer()
		begin := time.Now()
		w.attack(b, name, uid)
		took = append(took, d.await(b, uid)[0].Sub(begin))
	}
	report(b, took)
}

// BenchmarkBurst is how long 500 pods live after 500 alerts about them at once.
func BenchmarkBurst(b *testing.B) {
	const pods = 500
	w := newWay(b)
	d := watchDeletions(b, w.cluster, "shop")
	w.cluster.FinishDeletions(b, "node-1", nil)
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		var names, uids []string
		for j := range pods {
			names = append(names, fmt.Sprintf("cart-%d-%d", i, j))
			uids = append(uids, w.cluster.CreatePod(b, "shop", names[j], "node-1"))
		}
		b.StartTimer()
		begin := time.Now()
		for j := range pods {
			w.attack(b, names[j], uids[j])
		}
		took = append(took, slices.MaxFunc(d.await(b, uids...), time.Time.Compare).Sub(begin))
	}
	report(b, took)
}

// BenchmarkSystemCallToDelete is the time from the kernel's return from the system
// call, by its own clock, until the API server tells its watchers of the deletion:
// eBPF, rules, NATS, decision, guard, record and action.
func BenchmarkSystemCallToDelete(b *testing.B) {
	needRoot(b)
	cluster := kubetest.Start(b)
	cluster.CreateNode(b, "node-1")
	cluster.CreateNamespace(b, "shop")
	cluster.Grant(b, "riposte", append([]string{"list pods", "watch pods"}, deletepod.New(nil).Spec().Permissions...)...)
	d := watchDeletions(b, cluster, "shop")
	s := start(b, func(o *standalone.Options) {
		o.Node, o.Kubeconfig, o.Throwaway = "node-1", cluster.As(b, "riposte"), false
		require.NoError(b, os.WriteFile(filepath.Join(o.Data, "guard.yaml"), []byte(unlimited), 0o600))
	})
	cluster.FinishDeletions(b, "node-1", nil)
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		uid := cluster.CreatePod(b, "shop", fmt.Sprintf("cart-%d", i), "node-1")
		box, err := sandbox.Start(sandbox.Options{Root: cgroupRoot(b), Cgroup: "kubepods/besteffort/pod" + uid + "/%s"})
		require.NoError(b, err)
		b.StartTimer()
		require.NoError(b, box.Type(standalone.Attack))
		deleted := d.await(b, uid)[0]
		b.StopTimer()
		took = append(took, deleted.Sub(kernelTime(b, s, uid)))
		require.NoError(b, box.Close())
		b.StartTimer()
	}
	report(b, took)
}

// kernelTime is when the system call returned that the pod's first Critical alert is about.
func kernelTime(b *testing.B, s *standalone.Stack, uid string) time.Time {
	b.Helper()
	p, err := s.Client().Alerts(b.Context(), client.AlertFilter{Priority: "critical", Namespace: "shop", Limit: 20})
	require.NoError(b, err)
	var first time.Time
	for _, a := range p.Items {
		if a.PodUID == uid && (first.IsZero() || a.Time.Before(first)) {
			first = a.Time
		}
	}
	require.False(b, first.IsZero(), "no alert about the pod")
	return first
}
