package main

import (
	"bufio"
	"fmt"
	"io"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNetworkPolicy asks real packets. There are three pods: server and friend in
// namespace a, stranger in namespace b.
func TestNetworkPolicy(t *testing.T) {
	needUp(t)
	namespace(t, "a", "red")
	namespace(t, "b", "blue")
	pod(t, "a", "server", "[serve, ':8080']")
	pod(t, "a", "friend", "[sleep]")
	pod(t, "b", "stranger", "[sleep]")
	server := address(t, "a", "server")
	web, lines := server+":8080", server+":8081"

	friend := func(t *testing.T, how, to string) bool { return reaches(t, "a", "friend", how, to) }
	stranger := func(t *testing.T, how, to string) bool { return reaches(t, "b", "stranger", how, to) }
	require.True(t, friend(t, "tcp", web) && friend(t, "udp", lines) && stranger(t, "tcp", lines), "without a policy all flows")

	t.Run("an open connection is cut", func(t *testing.T) {
		held := holdOpen(t, "b", "stranger", lines)
		policy(t, `{podSelector: {matchLabels: {app: server}}, policyTypes: [Ingress, Egress]}`)
		require.Error(t, held.Wait(), "the held connection went on")
		require.False(t, friend(t, "tcp", web))
		require.False(t, reaches(t, "a", "server", "tcp", apiService+":443"), "nothing goes out either")
		require.Contains(t, kubectl(t, "-n", "a", "get", "pod", "server"), "1/1", "the node itself may")
	})
	t.Run("and all flows again without it", func(t *testing.T) {
		eventually(t, "the server answers", func() bool { return friend(t, "tcp", web) && stranger(t, "tcp", web) })
	})
	t.Run("namespaceSelector, named port", func(t *testing.T) {
		policy(t, `{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}}], ports: [{port: lines}]}]}`)
		eventually(t, "the policy is in force", func() bool { return !friend(t, "tcp", lines) })
		require.True(t, stranger(t, "tcp", lines))
		require.False(t, stranger(t, "tcp", web), "another port")
		require.False(t, stranger(t, "udp", lines), "another protocol")
	})
	t.Run("namespaceSelector and podSelector together", func(t *testing.T) {
		policy(t, `{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: friend}}}]}]}`)
		eventually(t, "the policy is in force", func() bool { return !stranger(t, "tcp", web) })
		require.True(t, friend(t, "tcp", web))
	})
	t.Run("podSelector is of its own namespace", func(t *testing.T) {
		policy(t, `{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{podSelector: {}}]}]}`)
		eventually(t, "the policy is in force", func() bool { return !stranger(t, "tcp", web) })
		require.True(t, friend(t, "tcp", web))
	})
	t.Run("ipBlock with an exception", func(t *testing.T) {
		policy(t, fmt.Sprintf(`{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{ipBlock: {cidr: %s, except: [%s/32]}}]}]}`, podCIDR, address(t, "a", "friend")))
		eventually(t, "the policy is in force", func() bool { return !friend(t, "tcp", web) })
		require.True(t, stranger(t, "tcp", web))
	})
	t.Run("endPort", func(t *testing.T) {
		policy(t, `{podSelector: {matchLabels: {app: server}}, ingress: [{ports: [{port: 8081, endPort: 8090}]}]}`)
		eventually(t, "the policy is in force", func() bool { return !friend(t, "tcp", web) })
		require.True(t, friend(t, "tcp", lines) && stranger(t, "tcp", lines))
	})
	t.Run("UDP alone", func(t *testing.T) {
		policy(t, `{podSelector: {matchLabels: {app: server}}, ingress: [{ports: [{protocol: UDP}]}]}`)
		eventually(t, "the policy is in force", func() bool { return !friend(t, "tcp", lines) })
		require.True(t, friend(t, "udp", lines))
	})
	t.Run("egress to a named port", func(t *testing.T) {
		policy(t, `{podSelector: {matchLabels: {app: friend}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: server}}}], ports: [{port: http}]}]}`)
		eventually(t, "the policy is in force", func() bool { return !friend(t, "tcp", lines) })
		require.True(t, friend(t, "tcp", web))
		require.False(t, friend(t, "tcp", apiService+":443"), "the API server is on the node itself")
		require.True(t, stranger(t, "tcp", lines), "another pod is free")
	})
	t.Run("two policies add up", func(t *testing.T) {
		policy(t, `{podSelector: {matchLabels: {app: server}}, ingress: [{ports: [{port: 8080}]}]}`)
		eventually(t, "the policy is in force", func() bool { return !friend(t, "tcp", lines) })
		named(t, "more", `{podSelector: {}, ingress: [{ports: [{port: 8081}]}]}`)
		eventually(t, "the second is in force", func() bool { return friend(t, "tcp", lines) })
		require.True(t, friend(t, "tcp", web))
	})
	t.Run("through a Service", func(t *testing.T) {
		apply(t, `{apiVersion: v1, kind: Service, metadata: {name: server, namespace: a}, spec: {selector: {app: server}, ports: [{port: 80, targetPort: 8080}]}}`)
		service := kubectl(t, "-n", "a", "get", "service", "server", "-o", "jsonpath={.spec.clusterIP}") + ":80"
		eventually(t, "the Service answers", func() bool { return stranger(t, "tcp", service) })
		policy(t, `{podSelector: {matchLabels: {app: server}}, ingress: [{from: [{podSelector: {}}]}]}`)
		eventually(t, "the policy is in force", func() bool { return !stranger(t, "tcp", service) })
		require.True(t, friend(t, "tcp", service))
		require.True(t, reaches(t, "a", "server", "tcp", service), "a pod reaches itself")
	})
}

// policy makes one in namespace a, for the time of the test.
func policy(t *testing.T, spec string) {
	t.Helper()
	named(t, "tested", spec)
}

func named(t *testing.T, name, spec string) {
	t.Helper()
	apply(t, fmt.Sprintf("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: %s, namespace: a}, spec: %s}", name, spec))
	t.Cleanup(func() {
		out, err := exec.Command("../cluster", "kubectl", "-n", "a", "delete", "networkpolicy", name).CombinedOutput()
		if err != nil {
			t.Errorf("policy %s: %v: %s", name, err, out)
		}
	})
}

// reaches says whether a pod gets an answer; probe waits two seconds for one.
func reaches(t *testing.T, namespace, pod, how, to string) bool {
	t.Helper()
	_, err := try(t, "", "kubectl", "-n", namespace, "exec", pod, "--", "probe", how, to)
	return err == nil
}

// holdOpen opens a connection and returns when data has gone there and back.
func holdOpen(t *testing.T, namespace, pod, to string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "../cluster", "kubectl", "-n", namespace, "exec", pod, "--", "probe", "hold", to)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	lines := bufio.NewReader(stdout)
	for range 3 {
		_, err := lines.ReadString('\n')
		require.NoError(t, err)
	}
	go func() { _, _ = io.Copy(io.Discard, lines) }() // ends with the process
	return cmd
}
