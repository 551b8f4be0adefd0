package chart_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v4/pkg/strvals"
	"sigs.k8s.io/yaml"

	"riposte/docs/doctest"
)

// production are the values that an installation without the bundled servers needs.
const production = "{clusterName: prod, nats: {url: 'nats://nats:4222'}, database: {existingSecret: riposte-postgres}}"

// helm renders the chart with a helm command's values, which the schema must take.
func helm(t *testing.T, b *doctest.Block, words []string) {
	t.Helper()
	values := map[string]any{}
	if words[1] == "upgrade" { // of one that is there
		require.NoError(t, yaml.Unmarshal([]byte(production), &values))
	}
	for i, w := range words {
		switch w {
		case "--set":
			require.NoError(t, strvals.ParseInto(words[i+1], values), b.Name())
		case "--set-file":
			name, _, _ := strings.Cut(words[i+1], "=")
			require.NoError(t, strvals.ParseIntoString(name+"=text", values), b.Name())
		}
	}
	require.Contains(t, []string{"install", "upgrade", "uninstall"}, words[1], b.Name())
	require.Equal(t, "riposte", words[2], b.Name())
	if words[1] != "uninstall" {
		require.Equal(t, "deploy/helm/riposte", words[3], b.Name())
		_, err := render(values)
		require.NoError(t, err, b.Name())
	}
}

// what names an object of the chart as kubectl does.
var what = regexp.MustCompile(`\b(deploy|deployment|daemonset|service|secret|configmap)/(riposte[a-z-]*)`)

// kubectl looks for the objects that a command names among those of a trial.
func kubectl(t *testing.T, b *doctest.Block, line string) {
	t.Helper()
	all := objects(t, sets(t)["trial"])
	for _, m := range what.FindAllStringSubmatch(line, -1) {
		kind := map[string]string{"deploy": "Deployment", "deployment": "Deployment", "daemonset": "DaemonSet", "service": "Service"}[m[1]]
		if kind == "" { // a Job makes it, under this name
			text, err := yaml.Marshal(all)
			require.NoError(t, err)
			require.Contains(t, string(text), m[2], b.Name())
			continue
		}
		require.True(t, slices.ContainsFunc(all, func(o map[string]any) bool { return o["kind"] == kind && at(t, o, "metadata", "name") == m[2] }), "%s: there is no %s", b.Name(), m[0])
	}
	require.NotContains(t, line, "--password", b.Name())
}

// shell looks at each command of a block: helm's values, the objects of kubectl. The
// acceptance test runs them on a cluster.
func shell(t *testing.T, b *doctest.Block) {
	t.Helper()
	for _, c := range b.Commands() {
		words := doctest.Words(c.Line)
		switch words[0] {
		case "helm":
			helm(t, b, words)
		case "kubectl", "riposte()":
			kubectl(t, b, c.Line)
		case "riposte", "sh": // of the pod, or of a pod that is attacked
		default:
			require.Fail(t, "nothing looks at it", "%s: %s", b.Name(), c.Line)
		}
	}
}

// values are ones that the chart takes, and that change something.
func valuesOf(t *testing.T, b *doctest.Block) {
	t.Helper()
	values := map[string]any{}
	require.NoError(t, yaml.UnmarshalStrict([]byte(production), &values))
	before, err := render(values)
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict([]byte(b.Text), &values))
	after, err := render(values)
	require.NoError(t, err, b.Name())
	require.NotEqual(t, before, after, b.Name())
}

func TestTheManual(t *testing.T) {
	for _, p := range []*doctest.Page{
		doctest.Open(t, "deploy/helm/riposte/README.md"),
		doctest.Open(t, "docs/install.md"),
		doctest.Open(t, "docs/production.md", "yaml"),
	} {
		for _, b := range p.Take() {
			switch b.Lang {
			case "yaml":
				valuesOf(t, b)
			case "sh":
				if p.File != "docs/production.md" || strings.Contains(b.Text, "helm ") {
					shell(t, b)
				}
			}
		}
	}
	// The module's own tests have the rest of this page.
	p, err := doctest.Read("docs/from-falco.md")
	require.NoError(t, err)
	for _, b := range p.AllIn(t, "Point Falco at a responder", "yaml") {
		if strings.HasPrefix(b.Text, "# values.yaml") {
			valuesOf(t, b)
			return
		}
	}
	require.Fail(t, "the page has no values")
}
