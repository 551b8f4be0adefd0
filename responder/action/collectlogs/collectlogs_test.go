package collectlogs_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"riposte/deploy/e2e/kubetest"
	"riposte/responder/action"
	"riposte/responder/action/actiontest"
	"riposte/responder/action/collectlogs"
	"riposte/responder/action/kubeobject"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func collect(c *kubeobject.Client, typed kubernetes.Interface) action.Action {
	return collectlogs.New(c, typed)
}

// kubelet serves a node's logs, which the API server fetches from it. log is
// called with the path's last part and the query.
func kubelet(t *testing.T, cluster *kubetest.Cluster, node string, log func(w http.ResponseWriter, container string, query url.Values)) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		parts := strings.Split(r.URL.Path, "/") // /containerLogs/<namespace>/<pod>/<container>
		if len(parts) != 5 || parts[1] != "containerLogs" {
			http.NotFound(w, r)
			return
		}
		log(w, parts[4], r.URL.Query())
	}))
	t.Cleanup(server.Close)
	host, port, err := net.SplitHostPort(server.Listener.Addr().String())
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	nodes := cluster.Client.CoreV1().Nodes()
	made, err := nodes.Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}, metav1.CreateOptions{})
	require.NoError(t, err)
	made.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: host}}
	made.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(number)
	_, err = nodes.UpdateStatus(t.Context(), made, metav1.UpdateOptions{})
	require.NoError(t, err)
}

// restarted is a pod of two containers, of which one was restarted.
func restarted(t *testing.T, cluster *kubetest.Cluster, namespace, node string) action.Target {
	uid := cluster.CreatePod(t, namespace, "cart", node, func(pod *corev1.Pod) {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "side", Image: "x"})
		pod.Spec.InitContainers = []corev1.Container{{Name: "init", Image: "x"}}
	})
	pods := cluster.Client.CoreV1().Pods(namespace)
	pod, err := pods.Get(t.Context(), "cart", metav1.GetOptions{})
	require.NoError(t, err)
	pod.Status.Phase = corev1.PodRunning
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", RestartCount: 2}, {Name: "side"}}
	_, err = pods.UpdateStatus(t.Context(), pod, metav1.UpdateOptions{})
	require.NoError(t, err)
	return actiontest.Pod(namespace, "cart", uid)
}

type log struct {
	Container, Text, Error string
	Previous, Truncated    bool
}

func logs(t *testing.T, r action.Result) []log {
	t.Helper()
	var e struct{ Logs []log }
	require.NoError(t, json.Unmarshal(r.Evidence, &e))
	return e.Logs
}

func TestEachContainerAndItsPreviousLife(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, collect)
	kubelet(t, cluster, "logs-1", func(w http.ResponseWriter, container string, q url.Values) {
		if container == "init" {
			http.Error(w, "no such container", http.StatusNotFound)
			return
		}
		fmt.Fprintf(w, "%s previous=%s tail=%s \x00\xff evil\n", container, q.Get("previous"), q.Get("tailLines"))
	})
	target := restarted(t, cluster, "logs", "logs-1")
	r := actiontest.Request(a, target, `{"lines": 5}`)
	text, err := a.(action.Previewer).Preview(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, text, "4 logs of pod logs/cart")

	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.NotContains(t, string(result.Evidence), `\u0000`, "Postgres could not store it")
	got := logs(t, result)
	require.Len(t, got, 4)
	require.Equal(t, "init", got[0].Container)
	require.NotEmpty(t, got[0].Error)
	require.Equal(t, log{Container: "main", Text: "main previous= tail=5 \ufffd\ufffd evil\n"}, got[1])
	require.Equal(t, log{Container: "main", Previous: true, Text: "main previous=true tail=5 \ufffd\ufffd evil\n"}, got[2])
	require.Equal(t, "side", got[3].Container)
	require.False(t, result.VerifiedAt.IsZero())

	only, err := a.Execute(t.Context(), actiontest.Request(a, target, `{"container": "side"}`))
	require.NoError(t, err)
	require.Len(t, logs(t, only), 1)
	_, err = a.Execute(t.Context(), actiontest.Request(a, target, `{"container": "none"}`))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, `params.container: the pod has no container "none"`)
}

// A kubelet in an attacker's hands sends without end.
func TestBounds(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, collect)
	kubelet(t, cluster, "logs-2", func(w http.ResponseWriter, _ string, _ url.Values) {
		line := strings.Repeat("x", 1023) + "\n"
		for range 20 << 10 {
			if _, err := io.WriteString(w, line); err != nil {
				return
			}
		}
	})
	target := restarted(t, cluster, "bounds", "logs-2")
	result, err := a.Execute(t.Context(), actiontest.Request(a, target, `{"bytes": 100000}`))
	require.NoError(t, err)
	for _, l := range logs(t, result) {
		require.Len(t, l.Text, 100000)
		require.True(t, l.Truncated)
	}
	require.Equal(t, "kept 400000 bytes of 4 logs", result.Note)
}

func TestTheEndIsKept(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, collect)
	kubelet(t, cluster, "logs-3", func(w http.ResponseWriter, _ string, _ url.Values) {
		for i := range 1000 {
			fmt.Fprintf(w, "line %d\n", i)
		}
	})
	target := restarted(t, cluster, "end", "logs-3")
	result, err := a.Execute(t.Context(), actiontest.Request(a, target, `{"bytes": 18, "container": "side"}`))
	require.NoError(t, err)
	require.Equal(t, []log{{Container: "side", Text: "line 998\nline 999\n", Truncated: true}}, logs(t, result))
}

// While the logs are read the pod is replaced: what came are the logs of another.
func TestReplacedMeanwhile(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, collect)
	var target action.Target
	replaced := false
	kubelet(t, cluster, "logs-4", func(w http.ResponseWriter, _ string, _ url.Values) {
		if !replaced {
			replaced = true
			actiontest.Replace(t, cluster, target)
		}
		fmt.Fprintln(w, "whose?")
	})
	target = restarted(t, cluster, "replaced", "logs-4")
	result, err := a.Execute(t.Context(), actiontest.Request(a, target, `{"container": "side"}`))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, "there are no logs to keep: the pod was already gone and was replaced")
	require.Empty(t, result.Evidence)
}

func TestNoKubelet(t *testing.T) {
	cluster := kubetest.Shared(t)
	a := actiontest.Declared(t, cluster, collect)
	target := actiontest.Pod("silent", "cart", cluster.CreatePod(t, "silent", "cart", "no-such-node"))
	result, err := a.Execute(t.Context(), actiontest.Request(a, target, ""))
	require.Error(t, err, "without one log there is no success")
	require.Empty(t, result.Evidence)
	actiontest.Remove(t, cluster, target)
	_, err = a.Execute(t.Context(), actiontest.Request(a, target, ""))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, "the pod was already gone")
}

func TestRefused(t *testing.T) {
	cluster := kubetest.Shared(t)
	target := actiontest.Pod("refused", "cart", cluster.CreatePod(t, "refused", "cart", "node-1"))
	reader := actiontest.Connect(t, cluster.As(t, "reader"), collect)
	cluster.Grant(t, "reader", "get pods")
	_, err := reader.Execute(t.Context(), actiontest.Request(reader, target, ""))
	require.Equal(t, action.Permanent, action.KindOf(err))
	require.ErrorContains(t, err, `the responder lacks the permission "get pods/log"`)
}

func TestParams(t *testing.T) {
	for params, want := range map[string]string{
		`{"lines": 0}`:      "params.lines: 0 is not from 1 to 10000",
		`{"bytes": 300000}`: "params.bytes: 300000 is not from 1 to 262144",
		`{"line": 5}`:       `unknown key "line": collect_logs knows container, lines, bytes`,
	} {
		require.ErrorContains(t, collectlogs.New(nil, nil).Check(actiontest.Pod("a", "b", "c"), json.RawMessage(params)), want)
	}
}
