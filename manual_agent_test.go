package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/docs/doctest"
)

// withFalco is a desk with the files that a Falco install has.
func withFalco(t *testing.T) *desk {
	t.Helper()
	d := newDesk(t)
	d.here = append(d.here, "/etc/falco/", d.path("falco")+"/", "/etc/my.yaml", d.path("falco/falco_rules.yaml"), "/etc/more.yaml", d.path("falco/falco_rules.local.yaml"), "/var/log/", d.path("log")+"/")
	rules, err := os.ReadFile(filepath.Join(falcoRules(t), "falco_rules.yaml"))
	require.NoError(t, err)
	d.write(t, "falco/falco_rules.yaml", string(rules))
	d.write(t, "falco/falco_rules.local.yaml", "- rule: Terminal shell in container\n  enabled: false\n  override: {enabled: replace}\n")
	d.write(t, "falco/falco.yaml", d.translate("rules_files: [/etc/falco/falco_rules.yaml, /etc/falco/falco_rules.local.yaml]\njson_output: false\n"))
	d.write(t, "falco.yaml", d.translate("rules_files: [/etc/falco/falco_rules.yaml]\n"))
	return d
}

// The commands are checked and not begun, and each part of a configuration file is one
// that the agent takes.
func TestAgentConfigurationPage(t *testing.T) {
	d := withFalco(t)
	_, says, err := d.shell(t, "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=node -keyout web.pem -out crt && cat crt >> web.pem")
	require.NoError(t, err, says)
	d.here = append(d.here, "/etc/riposte/", d.dir+"/")
	d.page(t, doctest.Open(t, "docs/agent-configuration.md"), by{
		"sh": func(t *testing.T, b *doctest.Block) {
			t.Helper()
			for _, c := range b.Commands() {
				_, says, err := d.shell(t, c.Line+" --dry-run")
				require.NoError(t, err, "%s: %s", b.Name(), says)
			}
		},
		"yaml": func(t *testing.T, b *doctest.Block) {
			t.Helper()
			text := b.Text
			if b.Section == "What is added to outputs" { // of a file with such a rule
				text += "rules_files: [rules.yaml]\n"
				d.write(t, "rules.yaml", "- rule: Read a key\n  desc: d\n  condition: evt.type = open and fd.name contains id_rsa\n  output: A key is read\n  priority: NOTICE\n  tags: [files, container]\n")
			}
			d.write(t, "part.yaml", d.translate(text))
			_, says, err := d.shell(t, "riposte agent -c part.yaml --dry-run")
			require.NoError(t, err, "%s: %s", b.Name(), says)
			require.NotContains(t, says, "does nothing here", b.Name())
		},
		"text": func(t *testing.T, b *doctest.Block) { // a mistake, and what is said about it
			t.Helper()
			d.write(t, "falco.yaml", "rules_files: [falco/falco_rules.yaml]\n\njson_ouput: true\n") //nolint:misspell // the page's mistake
			_, says, err := d.shell(t, "riposte agent -c falco.yaml --dry-run")
			require.Error(t, err)
			require.Contains(t, says, b.Text)
		},
	})
}

// The commands replay a real recording, and what the page says of the end and of damage
// is what such a recording has.
func TestReplayPage(t *testing.T) {
	d := withFalco(t)
	_, says, err := d.shell(t, "go run -C "+doctest.Root()+" ./agent/capture/scap/synth/generate -events 100000 -o "+d.path("incident.scap"))
	require.NoError(t, err, says)
	rules, err := os.ReadFile(filepath.Join(falcoRules(t), "falco_rules.yaml"))
	require.NoError(t, err)
	for _, name := range []string{"falco_rules.yaml", "local.yaml", "rules.yaml"} {
		text := string(rules)
		if name == "local.yaml" {
			text = "- rule: Terminal shell in container\n  enabled: false\n  override: {enabled: replace}\n"
		}
		d.write(t, name, text)
	}
	posts := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(posts.Close)
	d.here = append(d.here, "http://127.0.0.1:2801/", posts.URL, "-events 1000000", "-events 100000", "go run ./", "go run -C "+doctest.Root()+" ./", "-o busy.scap", "-o "+d.path("busy.scap"))
	d.page(t, doctest.Open(t, "docs/replay.md"), by{"text": func(t *testing.T, b *doctest.Block) {
		t.Helper()
		if b.Section == "A damaged file" {
			_, says, _ := d.shell(t, "truncate -s 5000000 incident.scap && riposte replay incident.scap -r falco_rules.yaml")
			require.True(t, strings.HasSuffix(says, b.Text), "%s\n%s", b.Name(), says)
			return
		}
		var three strings.Builder
		for _, rule := range regexp.MustCompile(`(?m)^  (.+): 4$`).FindAllStringSubmatch(b.Text, -1)[1:] {
			fmt.Fprintf(&three, " -o 'rules[]={\"enable\": {\"rule\": %q}}'", rule[1])
		}
		_, says, err := d.shell(t, `riposte replay incident.scap -r falco_rules.yaml -o 'rules[]={"disable": {"rule": "*"}}'`+three.String())
		require.NoError(t, err, says)
		require.Equal(t, b.Text, strings.TrimLeft(says, "\n"), "%s", b.Name())
	}})
}
