package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"riposte/docs/doctest"
)

// Falco's and Falcosidekick's way to the intake, with what the page says to write into
// their files; and rules of Falco Talon beside the playbooks that take their place.
func TestFromFalcoPage(t *testing.T) {
	p := doctest.Open(t, "docs/from-falco.md")
	// Taken before withFalco may skip: the page's other blocks are run without Falco's rules too.
	t.Run("rules", func(t *testing.T) {
		b := p.In(t, "Keep your rules", "sh")
		withFalco(t).run(t, b)
	})
	t.Run("intake", func(t *testing.T) { pointFalco(t, p) })
	t.Run("falcosidekick", func(t *testing.T) {
		b := p.In(t, "Falcosidekick's outputs", "yaml")
		d := withFalco(t)
		d.write(t, "falco.yaml", b.Text)
		_, says, err := d.shell(t, "riposte agent -c falco.yaml --dry-run")
		require.NoError(t, err, says)
		require.NotContains(t, says, "does nothing here")
	})
	t.Run("talon", func(t *testing.T) { talon(t, p) })
}

// falcoYAML is what the test takes of the page's falco.yaml.
type falcoYAML struct {
	JSON   bool `yaml:"json_output"`
	Fields bool `yaml:"json_include_output_fields_property"`
	Tags   bool `yaml:"json_include_tags_property"`
	HTTP   struct {
		Enabled bool
		URL     string
		CA      string `yaml:"ca_cert"`
	} `yaml:"http_output"`
}

// falcosidekickYAML is the same of Falcosidekick's file.
type falcosidekickYAML struct {
	Webhook struct {
		Address  string
		Headers  map[string]string `yaml:"customheaders"`
		Priority string            `yaml:"minimumpriority"`
		Check    bool              `yaml:"checkcert"`
	}
}

func strict(t *testing.T, b *doctest.Block, into any) {
	t.Helper()
	d := yaml.NewDecoder(strings.NewReader(b.Text))
	d.KnownFields(true)
	require.NoError(t, d.Decode(into), b.Name())
}

// pointFalco runs a responder with the page's identities, and posts as the page's files
// say: Falco's http_output is libcurl, and so is curl.
func pointFalco(t *testing.T, p *doctest.Page) {
	i := install(t)
	address := freeAddress(t)
	_, says, err := i.shell(t, certificate)
	require.NoError(t, err, says)
	sh := p.AllIn(t, "Point Falco at a responder", "sh")
	require.Len(t, sh, 1)
	i.run(t, sh[0])
	secret, err := os.ReadFile(i.path("falco.token"))
	require.NoError(t, err)
	i.respond(t, "riposte responder --intake-listen "+address+" --intake-identities intake-identities.yaml --intake-cert tls.crt --intake-key tls.key"+i.flags())

	blocks := p.AllIn(t, "Point Falco at a responder", "yaml")
	require.Len(t, blocks, 3) // deploy/helm/test has the first, the chart's values
	here := strings.NewReplacer("riposte.riposte:7412", address, "TOKEN", strings.TrimSpace(string(secret)), "/etc/falco/riposte-ca.crt", "tls.crt")
	i.write(t, "alert.json", alert)
	post := func(url, header, id string) {
		t.Helper()
		i.write(t, "alert.json", strings.Replace(alert, "sh -i", id, 1))
		out, says, err := i.shell(t, "curl -sS --fail-with-body --cacert tls.crt -H 'Content-Type: application/json' "+header+" --data-binary @alert.json '"+url+"'")
		require.NoError(t, err, "%s%s", out, says)
	}
	var falco falcoYAML
	strict(t, blocks[1], &falco)
	require.True(t, falco.JSON && falco.Fields && falco.Tags && falco.HTTP.Enabled)
	require.Equal(t, "tls.crt", here.Replace(falco.HTTP.CA))
	post(here.Replace(falco.HTTP.URL), "", "sh -i falco")
	// The agent's own output reads the same keys: the file is one that it takes.
	d := withFalco(t)
	d.write(t, "falco.yaml", strings.ReplaceAll(blocks[1].Text, "/etc/falco/riposte-ca.crt", i.path("tls.crt")))
	_, says, err = d.shell(t, "riposte agent -c falco.yaml --dry-run")
	require.NoError(t, err, says)
	require.NotContains(t, says, "does nothing here")

	var sidekick falcosidekickYAML
	strict(t, blocks[2], &sidekick)
	require.Equal(t, "Bearer TOKEN", sidekick.Webhook.Headers["Authorization"])
	post(here.Replace(sidekick.Webhook.Address), "-H 'Authorization: "+here.Replace(sidekick.Webhook.Headers["Authorization"])+"'", "sh -i falcosidekick")

	out, says, err := i.shell(t, "riposte alerts list -A -o json")
	require.NoError(t, err, says)
	var alerts []struct {
		Cluster, Rule, Output string
		Count                 int
	}
	require.NoError(t, json.Unmarshal([]byte(out), &alerts), out)
	require.NotEmpty(t, alerts)
	total := 0
	for _, a := range alerts {
		require.Equal(t, "prod", a.Cluster)
		require.Equal(t, "Terminal shell in container", a.Rule)
		total += max(a.Count, 1)
	}
	require.Equal(t, 2, total)
}

// talonRule is a rule of Falco Talon.
type talonRule struct {
	Rule  string
	Match struct {
		Rules        []string
		Priority     string
		OutputFields []string `yaml:"output_fields"`
	}
	DryRun  bool `yaml:"dry_run"`
	Actions []struct {
		Action, Actionner string
		Parameters        map[string]any
		Output            map[string]any
	}
	Notifiers []string
}

var actionner = regexp.MustCompile("(?m)^\\| ((?:`[a-z]+:[a-z]+`(?:, )?)+) \\| ((?:`[a-z_]+`(?:, )?)+|–) \\|")

// talon checks the playbooks and runs their tests; and what a Talon rule would do, by the
// page's table, its playbook proposes about an alert of the rules that it names.
func talon(t *testing.T, p *doctest.Page) {
	const section = "Three rules of Talon's, as playbooks"
	to := map[string][]string{}
	quoted := regexp.MustCompile("`([^`]+)`")
	for _, m := range actionner.FindAllStringSubmatch(p.Text, -1) {
		var types []string
		for _, q := range quoted.FindAllStringSubmatch(m[2], -1) {
			types = append(types, q[1])
		}
		for _, q := range quoted.FindAllStringSubmatch(m[1], -1) {
			to[q[1]] = types
		}
	}
	require.Len(t, to, 17, "%v", to)
	all, err := os.ReadFile(filepath.Join(doctest.Root(), "docs/actions.md"))
	require.NoError(t, err)
	for _, types := range to {
		for _, name := range types {
			require.Contains(t, string(all), "\n## "+name+"\n")
		}
	}

	d := newDesk(t)
	var names []string
	for _, b := range p.AllIn(t, section, "rego") {
		m := named.FindAllStringSubmatch(b.Before, -1)
		require.NotEmpty(t, m, b.Name())
		names = append(names, m[len(m)-1][1])
		d.write(t, "playbooks/"+names[len(names)-1], b.Text)
	}
	d.run(t, p.In(t, section, "sh"))
	rules := p.AllIn(t, section, "yaml")
	require.Len(t, rules, len(names)-1) // the last is the test
	official, err := os.ReadFile(filepath.Join(falcoRules(t), "falco_rules.yaml"))
	require.NoError(t, err)
	for n, b := range rules {
		var of []talonRule
		strict(t, b, &of)
		require.Len(t, of, 1)
		for _, rule := range of[0].Match.Rules {
			require.Contains(t, string(official), "- rule: "+rule+"\n")
			d.write(t, "input.json", inputOf(t, rule))
			out, says, err := d.shell(t, "riposte playbooks eval ./playbooks -f input.json -o json --playbook "+strings.TrimSuffix(names[n], ".rego"))
			require.NoError(t, err, says)
			for _, a := range of[0].Actions {
				want := to[a.Actionner]
				require.NotEmpty(t, want, a.Actionner)
				require.True(t, slices.ContainsFunc(want, func(name string) bool { return strings.Contains(out, `"`+name+`"`) }), "%s: %s\n%s", b.Name(), a.Actionner, out)
			}
		}
	}
}

// inputOf is what a playbook sees of a Critical alert of a rule about a pod of the shop.
func inputOf(t *testing.T, rule string) string {
	t.Helper()
	type m = map[string]any
	b, err := json.Marshal(m{
		"schema": 1, "binding": "bound", "now": "2026-03-04T05:06:08Z", "history": []any{}, "cluster": m{"name": "prod"},
		"alert": m{
			"uuid": "019cb7c4-0a5c-7c54-9d3b-6a8b6b2f4a10", "time": "2026-03-04T05:06:07Z", "rule": rule, "priority": "Critical", "source": "syscall",
			"hostname": "n1", "output": rule, "tags": []string{"container"}, "output_fields": m{"proc.cmdline": "sh -i", "k8s.ns.name": "shop"},
			"riposte": m{"schema": 1, "cluster": "prod", "node": "n1", "boot_id": "0b7e3c1a-54cd-4d6b-a3b2-6a8b6b2f4a10", "seq": 7},
		},
		"pod":  m{"namespace": "shop", "name": "web-0", "uid": "7d0c", "node": "n1", "owner": "ReplicaSet/web"},
		"node": m{"name": "n1", "uid": "815e"}, "namespace": m{"name": "shop", "uid": "11"},
		"incident": m{"id": "019cb7c4-0a5c-7c54-9d3b-6a8b6b2f4a11", "alerts": 1, "priority": "Critical", "first_at": "2026-03-04T05:06:08Z"},
	})
	require.NoError(t, err)
	return string(b)
}
