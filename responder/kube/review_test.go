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

// A service account's tokens, as the real API server makes and reviews them, by a
// user with no more than the permission to review.
func TestReviewToken(t *testing.T) {
	c := kubetest.Shared(t)
	admin, err := Connect(t.Context(), c.Kubeconfig)
	require.NoError(t, err)
	c.CreateNamespace(t, "review")
	account, err := admin.CoreV1().ServiceAccounts("review").Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "ci"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	request := func(audiences ...string) string {
		r, err := admin.CoreV1().ServiceAccounts("review").CreateToken(t.Context(), "ci", &authenticationv1.TokenRequest{
			Spec: authenticationv1.TokenRequestSpec{Audiences: audiences},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		return r.Status.Token
	}
	c.Grant(t, "reviewer", "create tokenreviews.authentication.k8s.io", "list pods")
	reviewer, err := Connect(t.Context(), c.As(t, "reviewer"))
	require.NoError(t, err)

	good := request("riposte")
	user, groups, ok, err := reviewer.ReviewToken(t.Context(), good, []string{"riposte"})
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "system:serviceaccount:review:ci", user)
	require.Contains(t, groups, "system:serviceaccounts:review")

	for name, token := range map[string]string{"another audience": request("grafana"), "the API server's own": request(), "nonsense": "a.b.c"} {
		_, _, ok, err = reviewer.ReviewToken(t.Context(), token, []string{"riposte"})
		require.NoError(t, err, name)
		require.False(t, ok, name)
	}
	_, _, ok, err = reviewer.ReviewToken(t.Context(), request(), nil)
	require.NoError(t, err)
	require.True(t, ok, "the API server's own, where that is asked for")

	require.NoError(t, admin.CoreV1().ServiceAccounts("review").Delete(t.Context(), account.Name, metav1.DeleteOptions{}))
	require.Eventually(t, func() bool { // the API server remembers tokens for some seconds
		_, _, ok, err := reviewer.ReviewToken(t.Context(), good, []string{"riposte"})
		return err == nil && !ok
	}, time.Minute, 100*time.Millisecond, "a deleted account's token")

	c.Grant(t, "stranger", "list pods")
	stranger, err := Connect(t.Context(), c.As(t, "stranger"))
	require.NoError(t, err)
	_, _, _, err = stranger.ReviewToken(t.Context(), good, nil)
	require.ErrorContains(t, err, "tokenreviews")
}
