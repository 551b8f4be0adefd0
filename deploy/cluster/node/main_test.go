package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The tests use the command as a user does, on a cluster of their own. It stays up
// from test to test; each needs it up and says so by needUp.
const testCluster = "test"

func TestMain(m *testing.M) {
	_ = os.Setenv("RIPOSTE_CLUSTER", testCluster)
	code := m.Run()
	if out, err := exec.Command("../cluster", "down").CombinedOutput(); err != nil {
		fmt.Fprintln(os.Stderr, "cluster down:", err, string(out))
		code = 1
	}
	os.Exit(code)
}

// needRoot skips where a cluster cannot be. The command itself says what else is
// missing, and then the test fails.
func needRoot(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a whole Kubernetes")
	}
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("a cluster needs root")
		}
		t.Skip("a cluster needs root")
	}
}

func needUp(t *testing.T) {
	t.Helper()
	needRoot(t)
	cluster(t, "up")
}

// cluster runs the command and returns what it said on both outputs.
func cluster(t *testing.T, args ...string) string {
	t.Helper()
	out, err := try(t, "", args...)
	require.NoError(t, err, "cluster %q: %s", args, out)
	return out
}

func try(t *testing.T, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "../cluster", args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return strings.TrimSpace(cluster(t, append([]string{"kubectl"}, args...)...))
}

func apply(t *testing.T, yaml string) {
	t.Helper()
	// What begins with a brace kubectl takes for JSON.
	out, err := try(t, "---\n"+yaml, "kubectl", "apply", "-f", "-")
	require.NoError(t, err, out)
}

// eventually asks until the answer is yes.
func eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ask(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			said, _ := try(t, "", "status")
			t.Fatalf("not within a minute: %s\n%s", what, said)
		}
	}
}

// namespace makes one with the label team, and removes it at the end of the test.
func namespace(t *testing.T, name, team string) {
	t.Helper()
	apply(t, fmt.Sprintf("{apiVersion: v1, kind: Namespace, metadata: {name: %s, labels: {team: %s}}}", name, team))
	t.Cleanup(func() {
		_, _ = exec.Command("../cluster", "kubectl", "delete", "namespace", name, "--wait=false").CombinedOutput()
	})
	eventually(t, "a service account in "+name, func() bool {
		_, err := try(t, "", "kubectl", "-n", name, "get", "serviceaccount", "default")
		return err == nil
	})
}

// pod starts a pod of the probe image and waits until it runs.
func pod(t *testing.T, namespace, name, args string) {
	t.Helper()
	apply(t, fmt.Sprintf(`
apiVersion: v1
kind: Pod
metadata: {name: %s, namespace: %s, labels: {app: %s}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: probe
    image: riposte.local/probe:1
    args: %s
    ports:
    - {name: http, containerPort: 8080}
    - {name: lines, containerPort: 8081}
    - {name: datagrams, containerPort: 8081, protocol: UDP}
`, name, namespace, name, args))
	kubectl(t, "-n", namespace, "wait", "--for=condition=Ready", "pod/"+name, "--timeout=60s")
}

func address(t *testing.T, namespace, pod string) string {
	t.Helper()
	return kubectl(t, "-n", namespace, "get", "pod", pod, "-o", "jsonpath={.status.podIP}")
}
