package command_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// posts is a server that keeps what is posted to it.
type posts struct {
	mu  sync.Mutex
	all []string
	how []string
}

func (p *posts) serve(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			return // a broken connection is a failed alert, which the test sees
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.all, p.how = append(p.all, string(b)), append(p.how, r.Method+" "+r.URL.Path+" "+r.Header.Get("Content-Type")+" "+r.UserAgent())
	}))
	t.Cleanup(s.Close)
	return s.URL
}

const tagged = removals + `
- rule: noise
  desc: would come first
  condition: evt.type = unlink
  output: noise
  priority: ERROR
  tags: [network]
`

// TestReplayTakesFalcosCommandLine is a command line as Falco's users write it.
func TestReplayTakesFalcosCommandLine(t *testing.T) {
	capture, file := ruleFile(t, "x.scap", smallCapture()), ruleFile(t, "r.yaml", tagged)
	var p posts
	t.Setenv("FALCO_HOSTNAME", "box")
	t.Setenv("ZONE", "eu-1")
	out, _, err := replayed(
		t, capture, "-r", file, "-o", "json_output=true", "-o", `append_output[]={"match": {"source": "syscall"}, "extra_fields": ["evt.num", "thread.tid", {"zone": "in ${ZONE} by %thread.tid"}]}`,
		"-o", `append_output[]={"match": {"rule": "removal", "tags": ["zoo"]}, "extra_output": "num=%evt.num on %static.env"}`, "-o", "static_fields.env=prod",
		"-o", "http_output.enabled=true", "-o", "http_output.url="+p.serve(t)+"/", "-o", `rules[]={"disable": {"tag": "network"}}`, "-o", "rule_matching=all",
	)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 7, "the rule with the tag is off")
	require.Equal(t, lines, p.all, "each output says the same")
	require.Equal(t, "POST / application/json falcosecurity/falco", p.how[0])
	var a struct {
		Hostname, Output, Rule string
		Fields                 map[string]any `json:"output_fields"`
	}
	require.NoError(t, json.Unmarshal([]byte(lines[0]), &a))
	require.Equal(t, "box", a.Hostname)
	require.Equal(t, "removal", a.Rule)
	require.True(t, strings.HasSuffix(a.Output, " static_env=prod num=1 on prod"), a.Output)
	require.InDelta(t, 1, a.Fields["evt.num"], 0, "a raw field keeps its type")
	require.InDelta(t, 7, a.Fields["thread.tid"], 0)
	require.Equal(t, "in eu-1 by 7", a.Fields["zone"])
	require.Equal(t, "prod", a.Fields["static.env"])
	require.NotContains(t, a.Output, "in eu-1", "extra fields stand in no output")

	// append_output= leaves nothing to add.
	out, _, err = replayed(t, capture, "-r", file, "-o", "append_output=[]", "-o", "priority=warning")
	require.NoError(t, err)
	require.Contains(t, out, ": Warning gone /a by 7\n")
}

func TestReplayTakesAConfigurationFile(t *testing.T) {
	dir := t.TempDir()
	capture, file, log := ruleFile(t, "x.scap", smallCapture()), ruleFile(t, "r.yaml", removals), filepath.Join(dir, "alerts")
	name := filepath.Join(dir, "falco.yaml")
	require.NoError(t, os.WriteFile(name, []byte(`
engine: {kind: replay, replay: {capture_file: `+capture+`}}
rules_files: [`+file+`, `+dir+`/none.yaml]
time_format_iso_8601: true
priority: warning
stdout_output: {enabled: false}
file_output: {enabled: true, keep_alive: true, filename: `+log+`}
webserver: {enabled: true}
syscall_event_drops: {threshold: 0.5}
log_syslog: true
`), 0o600))
	out, errOut, err := replayed(t, "-c", name, "-o", "json_include_riposte=true")
	require.NoError(t, err)
	require.Empty(t, out)
	content, err := os.ReadFile(log)
	require.NoError(t, err)
	require.Equal(t, 3, strings.Count(string(content), "2023-11-14T22:13:20.000000001+0000: Warning gone "))
	require.Contains(t, errOut, "Alerts: 3\n")
	for _, want := range []string{
		"warning: " + name + ":8:12: webserver does nothing in a replay\n", "falco.yaml:9:22: syscall_event_drops does nothing in a replay",
		"-o:1:22: json_include_riposte does nothing in a replay", "falco.yaml:10:1: log_syslog is a key of Falco's", "/none.yaml does not exist and is left out",
	} {
		require.Contains(t, errOut, want)
	}
	require.Equal(t, 5, strings.Count(errOut, "warning: "), errOut)
}

func TestReplayCountsWhatAnOutputDoesNotTake(t *testing.T) {
	capture, file := ruleFile(t, "x.scap", smallCapture()), ruleFile(t, "r.yaml", removals)
	out, summary, err := replayed(t, capture, "-r", file, "-o", "http_output.enabled=true", "-o", "http_output.url=http://127.0.0.1:1/")
	require.NoError(t, err)
	require.Equal(t, 4, strings.Count(out, "\n"), "the other outputs have all")
	require.Contains(t, summary, "Dropped: 4\n  output_http_failed: 4\nAn output failed: ")
}
