package accept_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"riposte/responder/api/client"
)

const (
	root      = "../../../.."
	namespace = "riposte"
)

// people approve, each with a token of their own.
var people = []string{"alice", "bob"}

// readme returns the commands of a section of the chart's README.
func readme(t *testing.T, section string) string {
	t.Helper()
	text, err := os.ReadFile("../../riposte/README.md")
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(text), "\n## "+section+"\n")
	require.True(t, found, "no section %q", section)
	_, rest, found = strings.Cut(rest, "\n```sh\n")
	require.True(t, found, "section %q has no commands", section)
	commands, _, found := strings.Cut(rest, "\n```\n")
	require.True(t, found)
	return commands
}

// shell runs commands in the repository's root, as a reader of the README would.
func shell(t *testing.T, commands string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", commands)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s\n%s", commands, out)
	t.Logf("%s\n%s", commands, out)
}

// install is the README's trial, with the values of testdata. It returns a client of the
// API for the responders' own token, and one for each of the people.
func (c *cluster) install(t *testing.T) (own *client.Client, persons map[string]*client.Client) {
	t.Helper()
	c.namespace(t, namespace)
	var lines strings.Builder
	for _, name := range people {
		fmt.Fprintf(&lines, "%s  %s approver\n", name, personsToken(name))
	}
	_, err := c.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "people"}, StringData: map[string]string{"people": lines.String()},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	c.volume(t, "trial-nats", "5Gi")
	c.volume(t, "trial-postgres", "10Gi")

	values, err := filepath.Abs("testdata/values.yaml")
	require.NoError(t, err)
	shell(t, readme(t, "To try it")+" --values "+values)
	for _, name := range []string{"deployment/riposte-responder", "daemonset/riposte-agent"} {
		c.rollout(t, name)
	}

	c.migratedAtOnce(t)

	keys, err := c.CoreV1().Secrets(namespace).Get(t.Context(), "riposte-keys", metav1.GetOptions{})
	require.NoError(t, err)
	service, err := c.CoreV1().Services(namespace).Get(t.Context(), "riposte", metav1.GetOptions{})
	require.NoError(t, err)
	server := fmt.Sprintf("http://%s:7411", service.Spec.ClusterIP)
	own = connect(t, server, string(keys.Data["token"]))
	persons = map[string]*client.Client{}
	for _, name := range people {
		persons[name] = connect(t, server, personsToken(name))
	}
	return own, persons
}

// migratedAtOnce looks that the migration has waited for the bundled database, instead of
// failing until it was there.
func (c *cluster) migratedAtOnce(t *testing.T) {
	t.Helper()
	pods, err := c.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/component=responder"})
	require.NoError(t, err)
	require.NotEmpty(t, pods.Items)
	for _, pod := range pods.Items {
		require.Len(t, pod.Status.InitContainerStatuses, 1)
		require.Zero(t, pod.Status.InitContainerStatuses[0].RestartCount, pod.Name)
	}
}

func personsToken(name string) string { return strings.Repeat(name, 8) }

func connect(t *testing.T, server, token string) *client.Client {
	t.Helper()
	c, err := client.New(server, token)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// volume is a folder of the node for a claim without a storage class, of which this
// cluster has none.
func (c *cluster) volume(t *testing.T, name, size string) {
	t.Helper()
	folder := filepath.Join("/var/lib/accept", name)
	require.NoError(t, os.MkdirAll(folder, 0o777))
	require.NoError(t, os.Chmod(folder, 0o777)) // whatever the umask: hostPath knows no fsGroup
	_, err := c.CoreV1().PersistentVolumes().Create(t.Context(), &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.PersistentVolumeSpec{
			Capacity:                      corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)},
			AccessModes:                   []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			PersistentVolumeSource:        corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: folder}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// rollout waits as the chart's notes say, and tells why it was in vain.
func (c *cluster) rollout(t *testing.T, name string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "kubectl", "-n", namespace, "rollout", "status", name, "--timeout=6m").CombinedOutput()
	if err == nil {
		return
	}
	var why strings.Builder
	why.Write(out)
	for _, args := range [][]string{{"get", "pods", "-o", "wide"}, {"describe", "pods"}, {"logs", name, "--tail=40", "--all-containers"}} {
		out, _ := exec.CommandContext(t.Context(), "kubectl", append([]string{"-n", namespace}, args...)...).CombinedOutput()
		why.WriteString("\n")
		why.Write(out)
	}
	t.Fatalf("%s: %s", name, why.String())
}
