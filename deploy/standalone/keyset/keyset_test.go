package keyset_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	agentbus "riposte/agent/bus"
	"riposte/agent/contain"
	"riposte/deploy/e2e/kubetest"
	"riposte/deploy/standalone/keyset"
	"riposte/deploy/standalone/natsd/natsdtest"
	"riposte/responder/bus"
	"riposte/responder/kube"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }

func run(args ...string) error {
	c := keyset.New()
	c.SilenceErrors, c.SilenceUsage = true, true
	c.SetOut(&bytes.Buffer{})
	c.SetArgs(args)
	return c.Execute()
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	require.NoError(t, err)
	return b
}

// What is there stays, what is missing is made, and the public halves follow.
func TestAFolderOfKeys(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	require.NoError(t, run("make", "--dir", dir))
	before := map[string][]byte{}
	private := []string{keyset.ResponderSeed, keyset.AccountSeed, keyset.OrderKey, keyset.CheckpointKey, keyset.Token}
	for _, name := range private {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
		before[name] = read(t, filepath.Join(dir, name))
	}
	require.NoError(t, os.Remove(filepath.Join(dir, keyset.OrderKey)))
	require.NoError(t, run("make", "--dir", dir))
	for _, name := range private {
		same := bytes.Equal(before[name], read(t, filepath.Join(dir, name)))
		require.Equal(t, name != keyset.OrderKey, same, name)
	}
	block, _ := pem.Decode(read(t, filepath.Join(dir, keyset.OrderPublic)))
	require.NotNil(t, block)
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(t, err)
	require.True(t, private25519(t, dir).Public().(ed25519.PublicKey).Equal(public), "the public half is the new one's")

	// Agents believe the key before this one too, for as long as it is there.
	keys, err := contain.ReadKeys(filepath.Join(dir, keyset.OrderPublic))
	require.NoError(t, err)
	require.NoError(t, os.Rename(filepath.Join(dir, keyset.OrderKey), filepath.Join(dir, keyset.OldOrderKey)))
	require.NoError(t, run("make", "--dir", dir))
	both, err := contain.ReadKeys(filepath.Join(dir, keyset.OrderPublic))
	require.NoError(t, err)
	require.Len(t, both, 2)
	require.Equal(t, keys[0], both[1])
	require.NoError(t, os.WriteFile(filepath.Join(dir, keyset.OldOrderKey), []byte("junk"), 0o600))
	require.ErrorContains(t, run("make", "--dir", dir), keyset.OldOrderKey)
	require.NoError(t, os.Remove(filepath.Join(dir, keyset.OldOrderKey)))
	require.NoError(t, run("make", "--dir", dir))
	require.NoFileExists(t, filepath.Join(dir, keyset.OldOrderKey))
	keys, err = contain.ReadKeys(filepath.Join(dir, keyset.OrderPublic))
	require.NoError(t, err)
	require.Equal(t, both[:1], keys)

	require.NoError(t, os.WriteFile(filepath.Join(dir, keyset.AccountSeed), []byte("junk"), 0o600))
	require.ErrorContains(t, run("make", "--dir", dir), keyset.AccountSeed)
	require.ErrorContains(t, run("make", "--kubeconfig", "x"), "--namespace")
}

func private25519(t *testing.T, dir string) ed25519.PrivateKey {
	t.Helper()
	block, _ := pem.Decode(read(t, filepath.Join(dir, keyset.OrderKey)))
	require.NotNil(t, block)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	require.NoError(t, err)
	return key.(ed25519.PrivateKey)
}

// The whole way of a node's identity, with a real API server and a real NATS server: the
// chart's keys, made twice by somebody with the rights of the chart's Job, let in the
// agent whose pod is on the node, and no other one.
func TestFromPodToBus(t *testing.T) {
	c := kubetest.Shared(t)
	c.CreateNamespace(t, "riposte")
	c.Grant(t, "job", "create secrets", "get secrets", "update secrets", "create configmaps", "get configmaps", "update configmaps")
	for range 2 {
		require.NoError(t, run("make", "--kubeconfig", c.As(t, "job"), "--namespace", "riposte", "--secret", "riposte-keys", "--public", "riposte-public",
			"--database", "riposte-database", "--database-host", "riposte-postgres:5432", "--label", "app.kubernetes.io/part-of=riposte"))
	}
	secret, err := c.Client.CoreV1().Secrets("riposte").Get(t.Context(), "riposte-keys", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "riposte", secret.Labels["app.kubernetes.io/part-of"])
	public, err := c.Client.CoreV1().ConfigMaps("riposte").Get(t.Context(), "riposte-public", metav1.GetOptions{})
	require.NoError(t, err)
	require.Len(t, public.Data, 3)
	for name, b := range secret.Data {
		for _, text := range public.Data {
			require.NotContains(t, text, string(b), name)
		}
	}
	database, err := c.Client.CoreV1().Secrets("riposte").Get(t.Context(), "riposte-database", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "postgres://riposte_app:"+string(database.Data["app-password"])+"@riposte-postgres:5432/riposte?sslmode=disable", string(database.Data["app.url"]))

	url := serve(t, public.Data[keyset.NATSAuth])
	b, err := bus.Connect(t.Context(), bus.Options{URL: url, Seed: secret.Data[keyset.ResponderSeed], OrderKey: make([]byte, ed25519.PrivateKeySize)})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	client, err := kube.Connect(t.Context(), c.Kubeconfig)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- b.Admit(ctx, bus.AdmissionOptions{Seed: secret.Data[keyset.AccountSeed], Cluster: "prod", Node: func(ctx context.Context, token string) (string, string, error) {
			return client.NodeOfToken(ctx, token, "riposte-nats", "riposte/agent")
		}})
	}()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })

	c.CreateNode(t, "worker-1")
	_, err = c.Client.CoreV1().ServiceAccounts("riposte").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "agent"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	c.CreatePod(t, "riposte", "agent-x", "worker-1", func(p *corev1.Pod) { p.Spec.ServiceAccountName = "agent" })
	file := filepath.Join(t.TempDir(), "token")
	write := func(pod *authenticationv1.BoundObjectReference) {
		r, err := c.Client.CoreV1().ServiceAccounts("riposte").CreateToken(t.Context(), "agent",
			&authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{"riposte-nats"}, BoundObjectRef: pod}}, metav1.CreateOptions{})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, []byte(r.Status.Token), 0o600))
	}

	// With a token that is bound to no pod the agent waits, and takes the next one when it comes.
	write(nil)
	agent, err := agentbus.Connect(agentbus.Options{URL: url, TokenFile: file, Cluster: "prod", Node: "worker-1"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, agent.Close()) })
	require.Eventually(t, func() bool { return b.Counts()["admissions_refused"] > 0 }, 30*time.Second, 10*time.Millisecond)
	require.False(t, agent.Connected())
	write(&authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: "agent-x"})
	require.Eventually(t, agent.Connected, 30*time.Second, 10*time.Millisecond)
	require.NotZero(t, b.Counts()["admissions"])
}

// When NATS comes back all agents are there at once, and some again: the API server is
// asked once about each, and not by all at the same time.
func TestAllAgentsAtOnce(t *testing.T) {
	const agents, atOnce = 100, 16
	c := kubetest.Shared(t)
	c.CreateNamespace(t, "burst")
	c.CreateNode(t, "burst-1")
	_, err := c.Client.CoreV1().ServiceAccounts("burst").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "agent"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	tokens := make([]string, agents)
	for i := range tokens {
		name := fmt.Sprintf("agent-%d", i)
		c.CreatePod(t, "burst", name, "burst-1", func(p *corev1.Pod) { p.Spec.ServiceAccountName = "agent" })
		r, err := c.Client.CoreV1().ServiceAccounts("burst").CreateToken(t.Context(), "agent", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			Audiences: []string{"riposte-nats"}, BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: name},
		}}, metav1.CreateOptions{})
		require.NoError(t, err)
		tokens[i] = r.Status.Token
	}

	dir := t.TempDir()
	require.NoError(t, run("make", "--dir", dir))
	url := serve(t, string(read(t, filepath.Join(dir, keyset.NATSAuth))))
	b, err := bus.Connect(t.Context(), bus.Options{URL: url, Seed: read(t, filepath.Join(dir, keyset.ResponderSeed)), OrderKey: make([]byte, ed25519.PrivateKeySize)})
	require.NoError(t, err)
	t.Cleanup(b.Close)
	client, err := kube.Connect(t.Context(), c.Kubeconfig)
	require.NoError(t, err)
	now := time.Now() // which stands still, however long this takes
	known := client.NodeTokens("riposte-nats", "burst/agent", func() time.Time { return now })
	var running, most atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	done, seed := make(chan error, 1), read(t, filepath.Join(dir, keyset.AccountSeed))
	go func() {
		done <- b.Admit(ctx, bus.AdmissionOptions{Seed: seed, Cluster: "prod", Node: func(ctx context.Context, token string) (string, string, error) {
			for n := running.Add(1); ; {
				if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
					break
				}
			}
			defer running.Add(-1)
			return known.Node(ctx, token)
		}})
	}()
	t.Cleanup(func() { cancel(); require.NoError(t, <-done) })

	burst := func() (reviews int) {
		before := c.Requests(t, "tokenreviews")
		var all sync.WaitGroup
		for _, token := range tokens {
			all.Go(func() {
				for t.Context().Err() == nil { // one that is not heard in time comes again, as agents do
					if nc, err := nats.Connect(url, nats.Token(token), nats.Timeout(30*time.Second)); err == nil {
						nc.Close()
						return
					}
					time.Sleep(250*time.Millisecond + rand.N(250*time.Millisecond))
				}
			})
		}
		all.Wait()
		return c.Requests(t, "tokenreviews") - before
	}
	first := burst()
	require.GreaterOrEqual(t, first, agents)
	require.LessOrEqual(t, most.Load(), int32(atOnce))
	require.Zero(t, burst(), "they are known")

	now = now.Add(31 * time.Second)
	require.GreaterOrEqual(t, burst(), agents, "and asked for again after half a minute")
}

// serve runs a NATS server with this file beside its configuration.
func serve(t *testing.T, auth string) (url string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "nats-auth.conf")
	require.NoError(t, os.WriteFile(file, []byte(auth), 0o600))
	return natsdtest.Including(t, file).ClientURL()
}
