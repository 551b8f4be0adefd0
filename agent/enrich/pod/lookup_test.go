package pod

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"

	"riposte/agent/event"
	"riposte/deploy/e2e/kubetest"
	"riposte/deploy/logtest"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func run(t *testing.T, l *Lookup) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { l.Run(ctx) })
	stop = sync.OnceFunc(func() { cancel(); done.Wait() })
	t.Cleanup(stop)
	return stop
}

// eventually returns what uid is once it is known.
func eventually(t *testing.T, l *Lookup, uid string) event.Pod {
	t.Helper()
	require.Eventually(t, func() bool { _, ok := l.Pod(uid); return ok }, 20*time.Second, time.Millisecond)
	p, _ := l.Pod(uid)
	return p
}

func TestLookup(t *testing.T) {
	cluster := kubetest.Shared(t)
	labels := map[string]string{"app": "cart"}
	var probed map[string]event.Probes
	uid := cluster.CreatePod(t, "lookup", "cart", "lookup-1", kubetest.Labels(labels), kubetest.Owner("cart-6d5"), func(p *corev1.Pod) {
		p.Spec.Containers[0].LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/check", "-q"}}}}
		p.Spec.Containers[0].ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(80)}}}
		probed = map[string]event.Probes{p.Spec.Containers[0].Name: {Liveness: "/bin/check -q"}}
	})
	elsewhere := cluster.CreatePod(t, "lookup", "other", "lookup-2")

	user := cluster.As(t, "agent")
	cluster.Grant(t, "agent", "list pods", "watch pods")
	l, err := New(user, "lookup-1", slog.New(slog.NewTextHandler(t.Output(), nil)))
	require.NoError(t, err)
	_, ok := l.Pod(uid)
	require.False(t, ok, "nothing is known before Run")
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.False(t, l.WaitListed(ended))
	run(t, l)

	want := event.Pod{UID: uid, Namespace: "lookup", Name: "cart", Labels: labels, Owner: "ReplicaSet/cart-6d5", Probes: probed}
	require.True(t, l.WaitListed(t.Context()))
	first, ok := l.Pod(uid)
	require.True(t, ok, "whatever was there before is known once the list is")
	require.Equal(t, want, first)
	// This pod comes after the other node's, so when it is known the other would be too.
	later := cluster.CreatePod(t, "lookup", "later", "lookup-1")
	require.Empty(t, eventually(t, l, later).Owner)
	_, ok = l.Pod(elsewhere)
	require.False(t, ok, "pods of other nodes are none of this agent's business")

	cluster.ForceDelete(t, "lookup", "cart")
	successor := cluster.CreatePod(t, "lookup", "cart", "lookup-1")
	require.Empty(t, eventually(t, l, successor).Labels)
	got, ok := l.Pod(uid)
	require.True(t, ok, "its last events may come late")
	require.Equal(t, want, got)
}

func TestAPIServerAway(t *testing.T) {
	before := goleak.IgnoreCurrent()
	var log logtest.Log
	l, err := New(config(t, "https://127.0.0.1:1"), "node-1", slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	stop := run(t, l)
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "connection refused") }, 20*time.Second, time.Millisecond)
	_, ok := l.Pod("some-uid")
	require.False(t, ok)
	begin := time.Now()
	stop()
	require.Less(t, time.Since(begin), time.Second, "it stops at once, also between two tries")
	goleak.VerifyNone(t, before)
}

// The agent starts before its API server and learns the pods when it comes, also
// after the connection broke.
func TestAPIServerComesAndGoes(t *testing.T) {
	cluster := kubetest.Shared(t)
	first := cluster.CreatePod(t, "away", "first", "away-1")
	door := newDoor(t, cluster.Kubeconfig)
	var log logtest.Log
	l, err := New(door.kubeconfig, "away-1", slog.New(slog.NewTextHandler(&log, nil)))
	require.NoError(t, err)
	run(t, l)
	refused := func() bool { return strings.Contains(log.String(), "connection refused") }
	require.Eventually(t, refused, 20*time.Second, time.Millisecond)

	shut := door.open()
	eventually(t, l, first)
	shut()
	cluster.ForceDelete(t, "away", "first")
	second := cluster.CreatePod(t, "away", "first", "away-1")
	_, ok := l.Pod(first)
	require.True(t, ok, "what was known stays known")
	defer door.open()()
	require.Equal(t, "first", eventually(t, l, second).Name)
}

// door is an address in front of the API server that can be shut.
type door struct {
	t                           *testing.T
	server, address, kubeconfig string
}

func newDoor(t *testing.T, file string) *door {
	config, err := clientcmd.LoadFromFile(file)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := &door{t: t, address: listener.Addr().String(), kubeconfig: filepath.Join(t.TempDir(), "config")}
	require.NoError(t, listener.Close())
	for _, c := range config.Clusters {
		d.server = strings.TrimPrefix(c.Server, "https://")
		c.Server = "https://" + d.address
	}
	require.NoError(t, clientcmd.WriteToFile(*config, d.kubeconfig))
	return d
}

// open lets connections through until shut is called, which breaks those that are open.
func (d *door) open() (shut func()) {
	listener, err := net.Listen("tcp", d.address)
	require.NoError(d.t, err)
	var done sync.WaitGroup
	ctx, cancel := context.WithCancel(context.Background())
	done.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", d.server)
			if err != nil {
				_ = client.Close()
				continue
			}
			context.AfterFunc(ctx, func() { _ = client.Close(); _ = server.Close() })
			done.Go(func() { _, _ = io.Copy(server, client); _ = server.Close() })
			done.Go(func() { _, _ = io.Copy(client, server); _ = client.Close() })
		}
	})
	return func() { _ = listener.Close(); cancel(); done.Wait() }
}

func TestNewRefuses(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	_, err := New("/no/such/config", "node-1", log)
	require.EqualError(t, err, "kubeconfig /no/such/config: no such file or directory")

	for text, want := range map[string]string{
		"":                             "no configuration has been provided",
		"{":                            "yaml",
		"apiVersion: v1\nkind: Pod":    `no kind "Pod"`,
		"apiVersion: v1\nkind: Config": "no configuration has been provided",
		strings.ReplaceAll(kubeconfig("https://127.0.0.1:1"), "user: u}", "user: v}"): `user "v" was not found`,
	} {
		file := filepath.Join(t.TempDir(), "config")
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := New(file, "node-1", log)
		require.ErrorContains(t, err, "kubeconfig "+file+": ")
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "\n")
	}
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	_, err = New("", "node-1", log)
	require.ErrorContains(t, err, "the pod's service account: ")
}

func TestDeletedAreForgotten(t *testing.T) {
	l, err := New(config(t, "https://127.0.0.1:1"), "node-1", slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	now := time.Unix(0, 0)
	l.now = func() time.Time { return now }
	pod := func(uid string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cart", UID: types.UID(uid)}}
	}
	l.set(pod("first"))
	l.update(pod("first"), pod("second"))
	l.remove(cache.DeletedFinalStateUnknown{Key: "shop/cart", Obj: pod("second")})
	require.Len(t, l.pods, 2)
	now = now.Add(keepDeleted)
	l.set(pod("third"))
	require.Len(t, l.pods, 1)
	for i := range maxDeleted + 5 {
		l.set(pod(strconv.Itoa(i)))
		l.remove(pod(strconv.Itoa(i)))
	}
	require.Len(t, l.pods, 1+maxDeleted)
	require.Len(t, l.deleted, maxDeleted)
	_, ok := l.Pod("4")
	require.False(t, ok, "the first deleted goes first")
}

func BenchmarkPod(b *testing.B) {
	l := &Lookup{pods: map[string]event.Pod{}}
	for i := range 250 {
		l.pods[strconv.Itoa(i)] = event.Pod{Name: "cart"}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := l.Pod("123"); !ok {
			b.Fatal("lost")
		}
	}
}

func kubeconfig(server string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`, server)
}

func config(t *testing.T, server string) string {
	file := filepath.Join(t.TempDir(), "config")
	require.NoError(t, os.WriteFile(file, []byte(kubeconfig(server)), 0o600))
	return file
}
