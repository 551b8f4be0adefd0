package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The house's import rules; ARCHITECTURE.md says why each stands. A rule names
// packages by prefix; a package that begins with an exempt prefix is left out.
var importRules = []struct {
	name   string
	of     []string
	exempt []string
	// direct looks at the imports that the package's own files name, else at
	// everything that gets linked.
	direct bool
	// Exactly one of the two is set.
	only   []string
	forbid []string
}{
	{
		name: "the contracts use the standard library alone",
		of:   []string{"riposte/agent/alert", "riposte/agent/order", "riposte/agent/event", "riposte/agent/rules/syntax"},
		only: []string{"riposte/agent/alert", "riposte/agent/order", "riposte/agent/event", "riposte/agent/rules/syntax"},
	},
	{
		name:   "the agent knows nothing of the responder",
		of:     []string{"riposte/agent"},
		forbid: []string{"riposte/responder", "riposte/migrations", "riposte/playbooks", "riposte/web", "riposte/deploy"},
	},
	{
		name:   "the responder shares only the two contracts with the agent",
		of:     []string{"riposte/responder"},
		exempt: []string{"riposte/responder/store/storetest"},
		forbid: []string{
			"riposte/agent/bus", "riposte/agent/capture", "riposte/agent/command", "riposte/agent/contain", "riposte/agent/enrich",
			"riposte/agent/event", "riposte/agent/publish", "riposte/agent/rules", "riposte/bpf", "riposte/deploy",
		},
	},
	{
		name:   "cilium/ebpf stays with capture and containment",
		of:     []string{"riposte"},
		exempt: []string{"riposte/bpf", "riposte/agent/capture", "riposte/agent/contain"},
		direct: true, forbid: []string{"github.com/cilium/ebpf"},
	},
	{
		name:   "the rules build on every platform",
		of:     []string{"riposte/agent/rules"},
		forbid: []string{"github.com/cilium/ebpf", "golang.org/x/sys/unix"},
	},
	{
		name:   "pgx and River stay with store, audit and execute",
		of:     []string{"riposte"},
		exempt: []string{"riposte/responder/store", "riposte/responder/audit", "riposte/responder/execute"},
		direct: true, forbid: []string{"github.com/jackc/pgx", "github.com/riverqueue/river"},
	},
	{
		name: "client-go stays with kube, the actions and the pod informer",
		of:   []string{"riposte"},
		// Of it, command/jsonpath has the templates of -o jsonpath alone, which are kubectl's.
		exempt: []string{"riposte/responder/kube", "riposte/responder/action/", "riposte/agent/enrich", "riposte/deploy/e2e", "riposte/responder/command/jsonpath"},
		direct: true, forbid: []string{"k8s.io/client-go"},
	},
	{
		name:   "CRI and gRPC stay with the runtimes' metadata",
		of:     []string{"riposte"},
		exempt: []string{"riposte/agent/enrich/runtime"},
		direct: true, forbid: []string{"k8s.io/cri-api", "google.golang.org/grpc", "github.com/containerd"},
	},
	{
		name:   "OpenID Connect stays with access, the check of answers with the API's tests",
		of:     []string{"riposte"},
		exempt: []string{"riposte/responder/api/access", "riposte/responder/api/apitest"},
		direct: true, forbid: []string{"github.com/coreos/go-oidc", "github.com/go-jose", "github.com/getkin/kin-openapi"},
	},
	{
		name:   "OPA stays with playbook and guard",
		of:     []string{"riposte"},
		exempt: []string{"riposte/responder/playbook", "riposte/responder/guard"},
		direct: true, forbid: []string{"github.com/open-policy-agent/opa"},
	},
	{
		name:   "NATS stays with the two buses and the embedded server",
		of:     []string{"riposte"},
		exempt: []string{"riposte/agent/bus", "riposte/responder/bus", "riposte/deploy/standalone", "riposte/deploy/e2e"},
		direct: true, forbid: []string{"github.com/nats-io"},
	},
	{
		name:   "Prometheus stays with the figures, OpenTelemetry with the traces",
		of:     []string{"riposte"},
		exempt: []string{"riposte/responder/figures", "riposte/responder/trace"},
		direct: true, forbid: []string{"github.com/prometheus", "go.opentelemetry.io"},
	},
	{
		name:   "what belongs to no half sees neither",
		of:     []string{"riposte/bpf", "riposte/migrations", "riposte/playbooks", "riposte/web"},
		forbid: []string{"riposte/agent", "riposte/responder", "riposte/deploy"},
	},
	{
		name:   "the command line talks to the API, never to Postgres",
		of:     []string{"riposte/responder/api/client"},
		forbid: []string{"github.com/jackc/pgx", "riposte/responder/store"},
	},
	{
		name:   "actions know neither each other nor the store",
		of:     []string{"riposte/responder/action"},
		forbid: []string{"riposte/responder/store", "riposte/responder/notify", "github.com/jackc/pgx"},
	},
}

func TestImportRules(t *testing.T) {
	packages := list(t)
	for _, rule := range importRules {
		t.Run(rule.name, func(t *testing.T) {
			looked := 0
			for _, p := range packages {
				if !begins(p.path, rule.of) || begins(p.path, rule.exempt) {
					continue
				}
				looked++
				for _, bad := range p.breaks(rule.direct, rule.only, rule.forbid) {
					t.Errorf("%s must not import %s", p.path, bad)
				}
			}
			require.NotZero(t, looked, "the rule is about no package")
		})
	}
}

// TestActionsDoNotImportEachOther: whoever needs two effects plans two actions.
// Package kubeobject is no action, but what the Kubernetes actions have in common.
func TestActionsDoNotImportEachOther(t *testing.T) {
	const below = "riposte/responder/action/"
	shared := []string{"riposte/responder/action/kubeobject"}
	looked := 0
	for _, p := range list(t) {
		if !strings.HasPrefix(p.path, below) {
			continue
		}
		looked++
		for _, i := range p.all {
			if strings.HasPrefix(i, below) && i != p.path && !slices.Contains(shared, i) {
				t.Errorf("%s must not import %s", p.path, i)
			}
		}
	}
	require.NotZero(t, looked)
}

// TestAnImportRuleCanBreak keeps the check itself honest.
func TestAnImportRuleCanBreak(t *testing.T) {
	p := pkg{path: "riposte/agent/alert", direct: []string{"fmt", "riposte/agent/event"}, all: []string{"fmt", "riposte/agent/event", "github.com/x/y"}}
	require.Empty(t, p.breaks(true, nil, []string{"github.com/x"}))
	require.Equal(t, []string{"github.com/x/y"}, p.breaks(false, nil, []string{"github.com/x"}))
	require.Equal(t, []string{"github.com/x/y"}, p.breaks(false, []string{"riposte/agent/event"}, nil))
	require.True(t, begins("riposte/agent/rules/field", []string{"riposte/agent/rules"}))
	require.False(t, begins("riposte/agent/rulesets", []string{"riposte/agent/rules"}))
}

func TestNoPackageIsANameForAnything(t *testing.T) {
	for _, p := range list(t) {
		last := p.path[strings.LastIndexByte(p.path, '/')+1:]
		require.NotContains(t, []string{"util", "utils", "common", "helper", "helpers", "types", "models"}, last, p.path)
	}
}

type pkg struct {
	path        string
	direct, all []string
}

func (p pkg) breaks(direct bool, only, forbid []string) (bad []string) {
	imports := p.all
	if direct {
		imports = p.direct
	}
	for _, i := range imports {
		foreign := strings.Contains(strings.Split(i, "/")[0], ".") || strings.HasPrefix(i, "riposte")
		if only != nil && foreign && !begins(i, only) && i != p.path || begins(i, forbid) {
			bad = append(bad, i)
		}
	}
	return bad
}

// begins says whether path is one of the prefixes or lies below one.
func begins(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(prefix string) bool {
		return path == prefix || strings.HasPrefix(path, strings.TrimSuffix(prefix, "/")+"/")
	})
}

func list(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}}|{{join .Imports \" \"}}|{{join .Deps \" \"}}", "./...").Output()
	require.NoError(t, err)
	var all []pkg
	for line := range strings.Lines(string(out)) {
		part := strings.Split(strings.TrimSpace(line), "|")
		p := pkg{path: part[0], direct: strings.Fields(part[1]), all: strings.Fields(part[2])}
		// Packages named ...test exist for tests alone.
		if p.path != "riposte" && !strings.HasSuffix(p.path, "test") {
			all = append(all, p)
		}
	}
	require.NotEmpty(t, all)
	return all
}
