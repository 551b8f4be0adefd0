package chart_test

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// find is the one object of this kind whose name ends so.
func find(t *testing.T, all []map[string]any, kind, suffix string) map[string]any {
	t.Helper()
	var found []map[string]any
	for _, o := range all {
		u := unstructured.Unstructured{Object: o}
		if u.GetKind() == kind && strings.HasSuffix(u.GetName(), suffix) {
			found = append(found, o)
		}
	}
	require.Len(t, found, 1, "%s …%s", kind, suffix)
	return found[0]
}

// at walks down; a number is an index.
func at(t *testing.T, v any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, ok := v.(map[string]any)
			require.True(t, ok, "%v at %v", path, p)
			v = m[p]
		case int:
			l, ok := v.([]any)
			require.True(t, ok && p < len(l), "%v at %v", path, p)
			v = l[p]
		}
	}
	return v
}

func TestTheAgentHasItsCapabilitiesAndNoMore(t *testing.T) {
	watching := []any{"BPF", "PERFMON", "SYS_PTRACE", "DAC_READ_SEARCH"}
	for name, want := range map[string][]any{
		"watch-only": watching,
		"production": append(slices.Clone(watching), "KILL", "DAC_OVERRIDE", "NET_ADMIN", "SYS_ADMIN"),
	} {
		container := at(t, find(t, objects(t, sets(t)[name]), "DaemonSet", "-agent"), "spec", "template", "spec", "containers", 0)
		security := at(t, container, "securityContext")
		require.Equal(t, map[string]any{"drop": []any{"ALL"}, "add": want}, at(t, security, "capabilities"), name)
		require.Equal(t, []any{false, false, true}, []any{at(t, security, "privileged"), at(t, security, "allowPrivilegeEscalation"), at(t, security, "readOnlyRootFilesystem")})
		for _, m := range at(t, container, "volumeMounts").([]any) {
			path := at(t, m, "mountPath").(string)
			writable := path == "/var/lib/riposte/agent" || path == "/sys/fs/cgroup" && name == "production"
			require.Equal(t, writable, at(t, m, "readOnly") != true, "%s: %s", name, path)
		}
	}
}

// Whatever a node's pods mount, the node's kubelet may read: no private key is among it.
func TestNoNodeCanReadAPrivateKey(t *testing.T) {
	for name, values := range sets(t) {
		for _, o := range objects(t, values) {
			u := unstructured.Unstructured{Object: o}
			component := u.GetLabels()["app.kubernetes.io/component"]
			if component != "agent" && component != "nats" {
				continue
			}
			text, err := json.Marshal(o)
			require.NoError(t, err)
			require.NotContains(t, string(text), "-keys\"", "%s: %s %s", name, u.GetKind(), u.GetName())
			require.NotContains(t, string(text), "our-keys", "%s: %s %s", name, u.GetKind(), u.GetName())
		}
	}
}

func rules(t *testing.T, role map[string]any) (all []string) {
	t.Helper()
	for _, r := range at(t, role, "rules").([]any) {
		for _, group := range at(t, r, "apiGroups").([]any) {
			for _, resource := range at(t, r, "resources").([]any) {
				for _, verb := range at(t, r, "verbs").([]any) {
					all = append(all, strings.TrimSuffix(verb.(string)+" "+resource.(string)+"."+group.(string), "."))
				}
			}
		}
	}
	return all
}

func TestRightsInTheCluster(t *testing.T) {
	all := sets(t)
	for name, values := range all {
		objects := objects(t, values)
		if name != "responder-only" {
			require.Equal(t, []string{"list pods", "watch pods"}, rules(t, find(t, objects, "ClusterRole", "-agent")), name)
		}
		for _, r := range rules(t, find(t, objects, "ClusterRole", "-responder")) {
			require.NotContains(t, r, "secrets", name)
			require.NotContains(t, r, "*", name)
			if name == "watch-only" {
				require.Regexp(t, `^(get|list|watch) |^create tokenreviews\.authentication\.k8s\.io$`, r)
			}
		}
	}
	// Switched on and off action by action.
	production := rules(t, find(t, objects(t, all["production"]), "ClusterRole", "-responder"))
	require.Contains(t, production, "bind clusterroles.rbac.authorization.k8s.io", "revoke_access is on")
	require.NotContains(t, production, "delete pods", "delete_pod is off")
	trial := rules(t, find(t, objects(t, all["trial"]), "ClusterRole", "-responder"))
	require.Contains(t, trial, "delete pods")
	require.NotContains(t, trial, "bind clusterroles.rbac.authorization.k8s.io")
}

// Each action that needs rights can be switched, and what can be switched is an action.
func TestEachActionHasItsSwitch(t *testing.T) {
	permissions, values := read(t, folder+"/files/permissions.yaml"), read(t, folder+"/values.yaml")
	switches := at(t, values, "responder", "actions").(map[string]any)
	for action := range permissions["actions"].(map[string]any) {
		require.Contains(t, switches, action)
	}
	require.Len(t, switches, len(permissions["actions"].(map[string]any)))
}

// A misspelt value must be refused everywhere: the schema knows each default, and knows
// nothing that has none.
func TestTheSchemaIsTheDefaults(t *testing.T) {
	b, err := os.ReadFile(folder + "/values.schema.json")
	require.NoError(t, err)
	var schema map[string]any
	require.NoError(t, json.Unmarshal(b, &schema))
	var compare func(path string, schema, values map[string]any)
	compare = func(path string, schema, values map[string]any) {
		properties, closed := schema["properties"].(map[string]any)
		if !closed {
			return
		}
		require.Equal(t, false, schema["additionalProperties"], path)
		for key, value := range values {
			require.Contains(t, properties, key, path)
			if below, ok := value.(map[string]any); ok {
				compare(path+"."+key, properties[key].(map[string]any), below)
			}
		}
		// What has no default of its own is a part of something that Kubernetes or the guard knows.
		if !slices.ContainsFunc([]string{".guard", "Profile", "seLinuxOptions", ".resources", ".access"}, func(s string) bool { return strings.Contains(path, s) }) {
			for key := range properties {
				require.True(t, key == "global" || values[key] != nil, "%s.%s has no default", path, key)
			}
		}
	}
	compare("", schema, read(t, folder+"/values.yaml"))
}

// The alerts and the dashboard name metrics that there are.
func TestMetricsAreThere(t *testing.T) {
	var known strings.Builder
	for _, page := range []string{"metrics.md", "agent-configuration.md"} {
		b, err := os.ReadFile("../../../docs/" + page)
		require.NoError(t, err)
		known.Write(b)
	}
	name := regexp.MustCompile(`\b(riposte|falcosecurity)_[a-z_]+`)
	for _, file := range []string{"alerts.yaml", "dashboard.json"} {
		b, err := os.ReadFile(folder + "/files/" + file)
		require.NoError(t, err)
		require.NoError(t, yaml.Unmarshal(b, &map[string]any{}))
		found := name.FindAllString(string(b), -1)
		require.NotEmpty(t, found)
		for _, metric := range found {
			metric = strings.TrimSuffix(metric, "_bucket")
			// Some of the agent's are written there as _limit_bytes, behind the name before.
			require.True(t, strings.Contains(known.String(), metric) || metric == "riposte_agent_spool_limit_bytes" && strings.Contains(known.String(), "`_limit_bytes`"), "%s: %s", file, metric)
		}
	}
}
