package kube

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"riposte/deploy/e2e/kubetest"
)

// What the API server said of a token counts for half a minute and never past the token's
// end; that it vouches for none is asked anew each time.
func TestNodeTokensAreForgotten(t *testing.T) {
	c := kubetest.Shared(t)
	client, err := Connect(t.Context(), c.Kubeconfig)
	require.NoError(t, err)
	c.CreateNamespace(t, "nodetoken")
	c.CreateNode(t, "nodetoken-1")
	accounts := client.CoreV1().ServiceAccounts("nodetoken")
	_, err = accounts.Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "agent"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	c.CreatePod(t, "nodetoken", "agent-x", "nodetoken-1", func(p *corev1.Pod) { p.Spec.ServiceAccountName = "agent" })
	made, err := accounts.CreateToken(t.Context(), "agent", &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{"riposte-nats"}, BoundObjectRef: &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: "agent-x"},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	end := made.Status.ExpirationTimestamp.Time

	var now time.Time
	tokens := client.NodeTokens("riposte-nats", "nodetoken/agent", func() time.Time { return now })
	asked := func(token, node string) (reviews int) {
		t.Helper()
		before := c.Requests(t, "tokenreviews")
		got, why, err := tokens.Node(t.Context(), token)
		require.NoError(t, err)
		require.Equal(t, node, got, why)
		return c.Requests(t, "tokenreviews") - before
	}
	token := made.Status.Token
	for _, step := range []struct {
		at   time.Time
		asks int
	}{
		{end.Add(-time.Hour), 1},
		{end.Add(-time.Hour + nodeTokenGood - time.Second), 0},
		{end.Add(-time.Hour + nodeTokenGood), 1},
		{end.Add(-nodeTokenGood / 2), 1},
		{end.Add(-time.Second), 0},
		{end, 1},
		{end, 1},
	} {
		now = step.at
		require.Equal(t, step.asks, asked(token, "nodetoken-1"), "%s before its end", end.Sub(now))
	}
	require.Equal(t, 1, asked("a.b.c", ""))
	require.Equal(t, 1, asked("a.b.c", ""))

	require.Zero(t, endOf("a.b.c"))
	require.Zero(t, endOf("a.eyJ9.c"))
	require.Equal(t, end.Unix(), endOf(token).Unix())
}
