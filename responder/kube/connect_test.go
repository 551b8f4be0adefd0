package kube

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"riposte/deploy/e2e/kubetest"
)

const good = `apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:1"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
`

func TestConnectRefusesWrongFiles(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"empty":           {"", "current-context is not set"},
		"not YAML":        {"{", "yaml"},
		"not a config":    {"a: [b", "yaml"},
		"another kind":    {"apiVersion: v1\nkind: Pod\n", `no kind "Pod" is registered`},
		"no context":      {strings.Replace(good, "current-context: x", "", 1), "current-context is not set"},
		"wrong context":   {strings.Replace(good, "current-context: x", "current-context: z", 1), `current-context "z" is not among its contexts`},
		"wrong cluster":   {strings.Replace(good, "{cluster: c,", "{cluster: d,", 1), `names the cluster "d", which is not among its clusters`},
		"no server":       {strings.Replace(good, `{server: "https://127.0.0.1:1"}`, "{}", 1), `cluster "c" has no server`},
		"wrong user":      {strings.Replace(good, "user: u}", "user: v}", 1), `names the user "v", which is not among its users`},
		"wrong CA data":   {strings.Replace(good, `{server:`, `{certificate-authority-data: "IQ==", server:`, 1), "certificate"},
		"no CA file":      {strings.Replace(good, `{server:`, `{certificate-authority: /no/such/ca, server:`, 1), "/no/such/ca"},
		"nothing listens": {good, "API server https://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "config")
			require.NoError(t, os.WriteFile(file, []byte(tt.text), 0o600))
			_, err := Connect(t.Context(), file)
			require.ErrorContains(t, err, "kubeconfig "+file+": ")
			require.ErrorContains(t, err, tt.want)
			require.Equal(t, 1, strings.Count(err.Error(), file), "the file is named once: %v", err)
			require.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestConnectWithoutFile(t *testing.T) {
	_, err := Connect(t.Context(), "/no/such/config")
	require.EqualError(t, err, "kubeconfig /no/such/config: no such file or directory")
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	_, err = Connect(t.Context(), "")
	require.ErrorContains(t, err, "the pod's service account: unable to load in-cluster configuration")
}

func TestConnectDoesNotWaitForASilentServer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // takes connections and never answers
	require.NoError(t, err)
	defer listener.Close()
	file := filepath.Join(t.TempDir(), "config")
	text := strings.Replace(good, "127.0.0.1:1", listener.Addr().String(), 1)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	begin := time.Now()
	_, err = Connect(t.Context(), file)
	require.ErrorContains(t, err, "no answer within 5s")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(begin), 8*time.Second)
}

func TestConnect(t *testing.T) {
	cluster := kubetest.Shared(t)

	client, err := Connect(t.Context(), cluster.Kubeconfig)
	require.NoError(t, err)
	require.Contains(t, client.Server, "https://127.0.0.1:")
	_, err = client.CoreV1().Namespaces().Get(t.Context(), "default", metav1.GetOptions{})
	require.NoError(t, err)

	_, err = Connect(t.Context(), cluster.As(t, "stranger"))
	require.ErrorContains(t, err, "grant list and watch on pods")
	require.ErrorContains(t, err, `User "stranger" cannot list resource "pods"`)

	_, err = Connect(t.Context(), change(t, cluster, func(c *clientcmdapi.Config) {
		for _, user := range c.AuthInfos {
			user.Token = "wrong"
		}
	}))
	require.ErrorContains(t, err, "does not accept the credentials")

	_, err = Connect(t.Context(), change(t, cluster, func(c *clientcmdapi.Config) {
		for _, cluster := range c.Clusters {
			cluster.CertificateAuthorityData = nil
		}
	}))
	require.ErrorContains(t, err, "certificate signed by unknown authority")
}

// change writes a copy of the cluster's kubeconfig with something else in it.
func change(t *testing.T, cluster *kubetest.Cluster, edit func(*clientcmdapi.Config)) string {
	config, err := clientcmd.LoadFromFile(cluster.Kubeconfig)
	require.NoError(t, err)
	edit(config)
	file := filepath.Join(t.TempDir(), "config")
	require.NoError(t, clientcmd.WriteToFile(*config, file))
	return file
}
