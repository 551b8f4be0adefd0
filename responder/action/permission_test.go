package action_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/action"
)

func TestParsePermission(t *testing.T) {
	for text, want := range map[string]action.Permission{
		"get pods":                              {Verb: "get", Resource: "pods"},
		"create pods/eviction":                  {Verb: "create", Resource: "pods/eviction"},
		"patch deployments.apps/scale":          {Verb: "patch", Group: "apps", Resource: "deployments/scale"},
		"get networkpolicies.networking.k8s.io": {Verb: "get", Group: "networking.k8s.io", Resource: "networkpolicies"},
	} {
		got, err := action.ParsePermission(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "get", "get  pods", "* *", "get pods/", "get pods\nget secrets", "get .apps"} {
		_, err := action.ParsePermission(text)
		require.ErrorContains(t, err, "write it as verb resource.group/subresource", text)
	}
}

func TestRulesAreTheFewestAndNoMore(t *testing.T) {
	rules, err := action.Rules(
		action.Spec{Type: "a", Permissions: []string{"patch pods", "get pods", "get nodes", "patch nodes", "create pods/eviction"}},
		action.Spec{Type: "b", Permissions: []string{"get pods", "get deployments.apps"}},
	)
	require.NoError(t, err)
	require.Equal(t, []action.Rule{
		{Resources: []string{"nodes", "pods"}, Verbs: []string{"get", "patch"}},
		{Resources: []string{"pods/eviction"}, Verbs: []string{"create"}},
		{Group: "apps", Resources: []string{"deployments"}, Verbs: []string{"get"}},
	}, rules)
	_, err = action.Rules(action.Spec{Type: "a", Permissions: []string{"everything"}})
	require.ErrorContains(t, err, `a: permission "everything"`)
}
