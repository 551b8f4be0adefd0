package kube

import (
	"testing"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"riposte/deploy/e2e/kubetest"
)

// An agent is on the node of the pod that its token is bound to, by the word of the real
// API server, and no other token makes anybody an agent.
func TestNodeOfToken(t *testing.T) {
	c := kubetest.Shared(t)
	admin, err := Connect(t.Context(), c.Kubeconfig)
	require.NoError(t, err)
	c.CreateNamespace(t, "sec")
	c.CreateNode(t, "worker-1.example")
	accounts := admin.CoreV1().ServiceAccounts("sec")
	for _, name := range []string{"agent", "other"} {
		_, err := accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		require.NoError(t, err)
		c.CreatePod(t, "sec", name, "worker-1.example", func(p *corev1.Pod) { p.Spec.ServiceAccountName = name })
	}
	token := func(account, audience, pod string) string {
		r := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}}}
		if pod != "" {
			r.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod}
		}
		r, err := accounts.CreateToken(t.Context(), account, r, metav1.CreateOptions{})
		require.NoError(t, err)
		return r.Status.Token
	}
	c.Grant(t, "admitter", "create tokenreviews.authentication.k8s.io", "list pods")
	reviewer, err := Connect(t.Context(), c.As(t, "admitter"))
	require.NoError(t, err)

	node, why, err := reviewer.NodeOfToken(t.Context(), token("agent", "riposte-nats", "agent"), "riposte-nats", "sec/agent")
	require.NoError(t, err)
	require.Empty(t, why)
	require.Equal(t, "worker-1.example", node)

	for name, c := range map[string]struct{ token, why string }{
		"another account":         {token("other", "riposte-nats", "other"), `the token is "system:serviceaccount:sec:other"'s`},
		"another audience":        {token("agent", "riposte", "agent"), "the API server does not vouch for the token"},
		"made by hand, of no pod": {token("agent", "riposte-nats", ""), "the token is bound to no pod on a node"},
		"nonsense":                {"a.b.c", "the API server does not vouch for the token"},
		"the same name elsewhere": {token("agent", "riposte-nats", "agent"), `the token is "system:serviceaccount:sec:agent"'s`},
	} {
		account := "sec/agent"
		if name == "the same name elsewhere" {
			account = "prod/agent"
		}
		node, why, err := reviewer.NodeOfToken(t.Context(), c.token, "riposte-nats", account)
		require.NoError(t, err, name)
		require.Empty(t, node, name)
		require.Equal(t, c.why, why, name)
	}
}

func TestKeepSecret(t *testing.T) {
	c := kubetest.Shared(t)
	c.CreateNamespace(t, "kept")
	c.Grant(t, "keeper", "get secrets", "create secrets", "update secrets", "get configmaps", "create configmaps", "update configmaps")
	keeper, err := Open(c.As(t, "keeper"))
	require.NoError(t, err)
	at := Place{Namespace: "kept", Name: "keys", Labels: map[string]string{"a": "b"}}

	require.NoError(t, keeper.KeepSecret(t.Context(), at, func(d map[string][]byte) error {
		require.Empty(t, d)
		d["one"] = []byte("1")
		return nil
	}))
	calls := 0
	require.NoError(t, keeper.KeepSecret(t.Context(), at, func(d map[string][]byte) error {
		if calls++; calls == 1 { // somebody else writes between our reading and our writing
			require.NoError(t, keeper.KeepSecret(t.Context(), at, func(d map[string][]byte) error { d["theirs"] = []byte("x"); return nil }))
		}
		d["two"] = []byte("2")
		return nil
	}))
	require.Equal(t, 2, calls)
	s, err := c.Client.CoreV1().Secrets("kept").Get(t.Context(), "keys", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, map[string][]byte{"one": []byte("1"), "two": []byte("2"), "theirs": []byte("x")}, s.Data)
	require.Equal(t, "b", s.Labels["a"])

	for _, data := range []map[string]string{{"x": "1", "y": "2"}, {"x": "3"}} {
		require.NoError(t, keeper.PutConfigMap(t.Context(), at, data))
		m, err := c.Client.CoreV1().ConfigMaps("kept").Get(t.Context(), "keys", metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, data, m.Data)
	}

	c.Grant(t, "nobody-much", "get secrets")
	nobody, err := Open(c.As(t, "nobody-much"))
	require.NoError(t, err)
	err = nobody.KeepSecret(t.Context(), at, func(map[string][]byte) error { return nil })
	require.ErrorContains(t, err, "keep the Secret kept/keys: ")
	require.ErrorContains(t, err, "forbidden")
}
