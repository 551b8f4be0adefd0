package config

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func environment(pairs map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := pairs[name]; return v, ok }
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(name, []byte(got), 0o644))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err, "run the test with -update once")
	require.Equal(t, string(want), got)
}

func render(list []*Error) string {
	var b strings.Builder
	for _, e := range list {
		fmt.Fprintf(&b, "%s\n", e)
		if e.Snippet != "" {
			fmt.Fprintf(&b, "%s\n", e.Snippet)
		}
	}
	return b.String()
}

func TestErrorsAreShownWhereTheyAre(t *testing.T) {
	files, err := filepath.Glob("testdata/errors/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		_, err := Load(Options{File: file, Lookup: environment(nil)})
		require.Error(t, err, file)
		require.NotEmpty(t, Errors(err), file)
		golden(t, strings.TrimSuffix(file, ".yaml")+".txt", render(Errors(err)))
	}
}

func TestAWholeFileOfFalcos(t *testing.T) {
	c, err := Load(Options{File: "testdata/falco.yaml", Lookup: environment(map[string]string{"CPU": "x86"})})
	require.NoError(t, err)
	golden(t, "testdata/falco.txt", render(c.Warnings))
	require.Len(t, c.Files, 3)

	want := Default()
	want.Warnings, want.Files, want.at = c.Warnings, c.Files, c.at
	want.ConfigFiles = []Include{{Path: "testdata/conf.d", Strategy: StrategyAppend}}
	want.RulesFiles = []string{"/etc/falco/falco_rules.yaml", "/etc/falco/rules.d", "more.yaml", "again.yaml"}
	want.Rules = []Selection{{Tag: "network"}, {Enable: true, Rule: "Netcat *"}}
	want.TimeISO, want.Priority, want.RuleMatching = true, Priority(alert.Informational), MatchAll
	want.JSONOutput, want.JSONIncludeMessage, want.JSONIncludeTags = true, true, false
	second := Append{Output: "on x86 of ${CPU}", Fields: []Extra{{Name: "evt.hostname", Raw: true}, {Name: "shell", Format: "%proc.name"}}}
	second.Match.Rule, second.Match.Source, second.Match.Tags = "A rule", "syscall", []string{"persistence"}
	want.AppendOutput = []Append{{Suggested: true}, second}
	want.Queue.Capacity, want.OutputTimeout = 50, Milliseconds(1500*time.Millisecond)
	want.Stdout.Enabled, want.Syslog.Enabled = false, true
	want.FileOutput = FileOutput{Enabled: true, KeepAlive: true, Filename: "./events.txt"}
	want.HTTP = HTTPOutput{
		Enabled: true, URL: "https://falco.example/in", UserAgent: "falcosecurity/falco", CAPath: "/etc/ssl/certs",
		ClientCert: "/etc/ssl/certs/client.crt", ClientKey: "/etc/ssl/certs/client.key", CompressUploads: true, KeepAlive: true, MaxTimeouts: 3,
	}
	want.Program = Program{Enabled: true, Program: "jq '{text: .output}' | curl -d @- -X POST https://example"}
	want.Webserver = Webserver{Enabled: true, Port: 8766, Address: "0.0.0.0", Healthz: "/health", Metrics: true, SSLCertificate: "/etc/falco/falco.pem"}
	want.Drops = Drops{Threshold: 0.2, Actions: []string{"log"}, Rate: .03333, MaxBurst: 2}
	want.StaticFields = StaticFields{"env": "test"}
	want.Metrics.Enabled = true
	want.Metrics.Interval = Interval(30 * time.Minute)
	want.BaseSyscalls = BaseSyscalls{CustomSet: []string{"clone", "!close"}, Repair: true}
	want.Riposte.Cluster, want.Riposte.Syslog.Format = "prod", "rfc5424"
	require.Equal(t, want, *c)
}

func TestStrategiesOfFurtherFiles(t *testing.T) {
	dir := t.TempDir()
	more := filepath.Join(dir, "more.yaml")
	require.NoError(t, os.WriteFile(more, []byte("rules_files: [b]\njson_output: true\npriority: error\n"), 0o600))
	for how, want := range map[Strategy]Config{
		StrategyAppend:   {RulesFiles: []string{"a", "b"}, JSONOutput: true},
		StrategyOverride: {RulesFiles: []string{"b"}, JSONOutput: true},
		StrategyAddOnly:  {RulesFiles: []string{"a"}},
	} {
		first := filepath.Join(dir, "first.yaml")
		require.NoError(t, os.WriteFile(first, fmt.Appendf(nil, "config_files: [{path: %s, strategy: %s}, %s/none]\nrules_files: [a]\njson_output: false\n", more, how, dir), 0o600))
		c, err := Load(Options{File: first})
		require.NoError(t, err)
		require.Equal(t, want.RulesFiles, c.RulesFiles, how)
		require.Equal(t, want.JSONOutput, c.JSONOutput, how)
		require.Equal(t, Priority(alert.Error), c.Priority, how)
		require.Len(t, c.Warnings, 1)
		require.Contains(t, c.Warnings[0].Error(), "none does not exist")
	}
}

func TestTheOrderOfSources(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	require.NoError(t, os.WriteFile(file, []byte("riposte: {cluster: file, node: file, nats: file, data: file}\nrules_files: [file]\n"), 0o600))
	c, err := Load(Options{
		File: file,
		Settings: []Setting{
			{From: "RIPOSTE_NODE", Key: "riposte.node", Values: []string{"env"}},
			{From: "RIPOSTE_NATS", Key: "riposte.nats", Values: []string{"env"}},
			{From: "--nats", Key: "riposte.nats", Values: []string{"flag"}},
			{From: "--data", Key: "riposte.data", Values: []string{"flag"}},
			{From: "--rules", Key: "rules_files", Values: []string{"x", "y"}, List: true},
		},
		Overrides: []string{"riposte.data=override", "rules_files[]=z"},
	})
	require.NoError(t, err)
	require.Equal(t, []string{"file", "env", "flag", "override"}, []string{c.Riposte.Cluster, c.Riposte.Node, c.Riposte.NATS, c.Riposte.Data})
	require.Equal(t, []string{"x", "y", "z"}, c.RulesFiles)

	_, err = Load(Options{Settings: []Setting{{From: "--log-level", Key: "log_level", Values: []string{"loud"}}}})
	require.ErrorContains(t, err, `--log-level: log_level cannot be "loud": use one of`)
}

func TestOverrides(t *testing.T) {
	env := environment(map[string]string{"HOST": "h.example"})
	c, err := Load(Options{Lookup: env, Overrides: []string{
		"json_output=true", "http_output.enabled=true", "http_output.url=http://${HOST}/?a=b", `rules[]={"disable":{"tag":"network"}}`,
		"rules[1].enable.rule=*", "rules_files=[a, b]", "rules_files[1]=c", "rules_files[]=d: e", "priority=", "program_output.program=jq . > /tmp/${HOST}",
		`append_output[]={"match":{"source":"syscall"},"extra_fields":["evt.hostname",{"x":"%proc.name"}]}`, "file_output={enabled: true, filename: f}",
	}})
	require.NoError(t, err)
	require.True(t, c.JSONOutput)
	require.Equal(t, "http://h.example/?a=b", c.HTTP.URL)
	require.Equal(t, []Selection{{Tag: "network"}, {Enable: true, Rule: "*"}}, c.Rules)
	require.Equal(t, []string{"a", "c", "d: e"}, c.RulesFiles)
	require.Equal(t, Priority(alert.Debug), c.Priority)
	require.Equal(t, "jq . > /tmp/h.example", c.Program.Program)
	require.Len(t, c.AppendOutput, 2)
	require.Equal(t, Append{Suggested: true}, c.AppendOutput[0], "an item is added to the list that Falco's own file has")
	require.Equal(t, []Extra{{Name: "evt.hostname", Raw: true}, {Name: "x", Format: "%proc.name"}}, c.AppendOutput[1].Fields)
	require.Equal(t, FileOutput{Enabled: true, Filename: "f"}, c.FileOutput)

	var all []*Error
	for _, o := range []string{
		"json_output", "json", "text", "jsn_output=true", "json_output=maybe", "a..b=1", ".a=1", "a[=1", "a[x]=1", "a[-1]=1", "a]=1", "a[0]b=1", "=1",
		"rules[3].enable.rule=x", "rules[99999]=x", "rules[]={", `rules[]={"enable":{"rul":"x"}}`, strings.Repeat("a.", 40) + "b=1", "http_output.url=/tmp/ü", "a\x1b[2J=1",
	} {
		_, err := Load(Options{Lookup: env, Overrides: []string{o, "http_output.enabled=true"}})
		require.Error(t, err, o)
		all = append(all, Errors(err)...)
	}
	golden(t, "testdata/override.txt", render(all))
}

func TestExpand(t *testing.T) {
	env := environment(map[string]string{"A": "1", "B": "${A}", "E": ""})
	for in, want := range map[string]string{
		"": "", "x": "x", "${A}": "1", "a${A}b${A}": "a1b1", "${B}": "${A}", "$${A}": "${A}", "$$${A}": "$${A}", "${A": "${A", "$A": "$A", "${E}|": "|",
		"${}": "", "${A}$": "1$", "${${A}}": "}", "$${A}${A}": "${A}1",
	} {
		got, _ := expand(in, env)
		require.Equal(t, want, got, in)
	}
	_, missing := expand("${X}${A}${Y}$${Z}", env)
	require.Equal(t, []string{"X", "Y"}, missing)
}

func TestHostileFilesAreBounded(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"aliases": "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
		"deep":    strings.Repeat("[", 5000) + strings.Repeat("]", 5000),
		"large":   strings.Repeat("# x\n", MaxFileBytes/4+1),
		"binary":  "\x00\xff\xfe",
		"wrong":   strings.Repeat("- :\n", 100) + "x",
	} {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
		_, err := Load(Options{File: file})
		require.NotEmpty(t, Errors(err), name)
		require.Less(t, len(err.Error()), 10_000)
	}
	var many strings.Builder
	for i := range 4_000 {
		fmt.Fprintf(&many, "unknown%d: 1\n", i)
	}
	file := filepath.Join(dir, "many")
	require.NoError(t, os.WriteFile(file, []byte(many.String()), 0o600))
	_, err := Load(Options{File: file})
	require.Len(t, Errors(err), maxProblems)

	_, err = Expand(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = Load(Options{File: filepath.Join(dir, "none")})
	require.ErrorContains(t, err, "none: no such file")
}

// warned loads a file and lists its warnings.
func warned(t *testing.T, file string) (*Config, string) {
	t.Helper()
	c, err := Load(Options{File: file, Lookup: environment(nil)})
	require.NoError(t, err)
	return c, render(c.Warnings)
}

// TestFalcosDefaultsAreOurs reads a file with the value that Falco gives to each
// key. It changes nothing but what Riposte keeps otherwise on purpose, and warns
// of the one thing that Falco would do by default and Riposte does not.
func TestFalcosDefaultsAreOurs(t *testing.T) {
	c, warnings := warned(t, "testdata/defaults.yaml")
	golden(t, "testdata/defaults.txt", warnings)
	want := Default()
	want.Warnings, want.Files, want.at = c.Warnings, c.Files, c.at
	want.ConfigFiles = []Include{{Path: "testdata/none.d", Strategy: StrategyAppend}}
	want.RulesFiles = []string{"/etc/falco/falco_rules.yaml", "/etc/falco/falco_rules.local.yaml", "/etc/falco/rules.d"}
	want.Rules, want.BaseSyscalls.CustomSet = c.Rules, c.BaseSyscalls.CustomSet // empty and nil
	want.Metrics.Libbpf = true
	want.FileOutput.Filename = "./events.txt"
	want.HTTP.CAPath, want.HTTP.ClientCert, want.HTTP.ClientKey = "/etc/ssl/certs", "/etc/ssl/certs/client.crt", "/etc/ssl/certs/client.key"
	want.Program.Program = "jq '{text: .output}' | curl -d @- -X POST https://example"
	want.Drops.Rate = .03333
	// Nothing listens unless somebody asks for it, and then on this machine alone.
	want.Webserver.Enabled, want.Webserver.Address, want.Webserver.SSLCertificate = true, "0.0.0.0", "/etc/falco/falco.pem"
	require.Equal(t, want, *c)
}

func TestEveryKeyThatDoesNothingIsTold(t *testing.T) {
	c, warnings := warned(t, "testdata/others.yaml")
	golden(t, "testdata/others.txt", warnings)
	require.Equal(t, []string{"old.yaml"}, c.RulesFiles)
	require.Equal(t, EngineEBPF, c.Engine.Kind)

	// The two files have every such key: none is in the table alone.
	var whole strings.Builder
	for _, name := range []string{"testdata/defaults.yaml", "testdata/others.yaml"} {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		whole.Write(content)
	}
	for path := range foreigners {
		require.Contains(t, whole.String(), path[strings.LastIndexByte(path, '.')+1:]+":", path)
	}
}

func TestTheWebServerIsOnForWhoeverConfiguresIt(t *testing.T) {
	for override, want := range map[string]bool{
		"json_output=true": false, "webserver.listen_port=9000": true, "webserver={listen_port: 9000, enabled: false}": false, "webserver.enabled=true": true, "webserver={}": false,
	} {
		c, err := Load(Options{Overrides: []string{override}})
		require.NoError(t, err)
		require.Equal(t, want, c.Webserver.Enabled, override)
	}
}

func TestFurtherFilesCanBeOverridden(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"first": "config_files: [" + dir + "/second]\n", "second": "json_output: true\n", "third": "priority: error\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	for override, want := range map[string][]string{
		"priority=debug": {"first", "second"}, "config_files=": {"first"}, "config_files[]=" + dir + "/third": {"first", "second", "third"},
		"config_files[0]=" + dir + "/third": {"first", "third"}, "config_files={path: " + dir + "/third}": {"first", "third"},
	} {
		c, err := Load(Options{File: filepath.Join(dir, "first"), Overrides: []string{override}})
		require.NoError(t, err, override)
		var names []string
		for _, f := range c.Files {
			names = append(names, filepath.Base(f.Name))
		}
		require.Equal(t, want, names, override)
	}
}

func TestIntervals(t *testing.T) {
	for text, want := range map[string]time.Duration{"1h": time.Hour, "1h30m": 90 * time.Minute, "5s": 5 * time.Second, "100ms": 100 * time.Millisecond, "1d12h": 36 * time.Hour, "2w": 14 * 24 * time.Hour} {
		c, err := Load(Options{Overrides: []string{"metrics.interval=" + text}})
		require.NoError(t, err)
		require.Equal(t, Interval(want), c.Metrics.Interval, text)
	}
	for _, text := range []string{"99ms", "10", "1m1h", "-1s", "1.5h", "999999y", "h", "1h ", "99999999999s"} {
		_, err := Load(Options{Overrides: []string{"metrics.interval=" + text}})
		require.ErrorContains(t, err, "is a duration from 100ms on", text)
	}
}

// TestThePageNamesEveryKey keeps docs/agent-configuration.md whole.
func TestThePageNamesEveryKey(t *testing.T) {
	page, err := os.ReadFile("../../docs/agent-configuration.md")
	require.NoError(t, err)
	var missing []string
	var walk func(of reflect.Type)
	walk = func(of reflect.Type) {
		for of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct {
			return
		}
		for f := range of.Fields() {
			if key := f.Tag.Get("key"); key != "" && key != "-" {
				if !strings.Contains(string(page), key) {
					missing = append(missing, key)
				}
				walk(f.Type)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
	require.Empty(t, missing)
}

func FuzzOverride(f *testing.F) {
	for _, s := range []string{"json_output=true", "a.b[0].c=v", `list[]={"a":[1,{"b":null}]}`, "rules[]={disable: {tag: x}}", "a[0][1]=x", "=", "a]=", "${X}=${Y}", "x={&a [*a]}"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := Load(Options{Lookup: environment(map[string]string{"X": "json_output"}), Overrides: []string{s}})
		if err != nil {
			require.NotEmpty(t, Errors(err))
			return
		}
		require.NotNil(t, c)
		if path, _, err := parsePath(strings.SplitN(s, "=", 2)[0]); err == nil {
			require.NotEmpty(t, path)
		}
	})
}

func FuzzExpand(f *testing.F) {
	for _, s := range []string{"${A}", "$${A}", "${", "$", "${A}${B}", "$$${A}}"} {
		f.Add(s)
	}
	env := environment(map[string]string{"A": "${A}", "B": ""})
	f.Fuzz(func(t *testing.T, s string) {
		out, missing := expand(s, env)
		require.LessOrEqual(t, len(missing), strings.Count(s, "${"))
		if !strings.Contains(s, "${") {
			require.Equal(t, s, out)
		}
		require.LessOrEqual(t, len(out), 2*len(s))
	})
}

func FuzzFile(f *testing.F) {
	whole, err := os.ReadFile("testdata/falco.yaml")
	require.NoError(f, err)
	f.Add(string(whole))
	f.Add("rules: [{enable: {rule: x}}]\nriposte: {}\n")
	f.Fuzz(func(t *testing.T, s string) {
		l := &loader{lookup: environment(nil)}
		root := l.parse(&source{name: "f", text: s})
		if root == nil || root.kind != mapping {
			return
		}
		d := decoder{loader: l, at: map[string]place{}}
		c := Default()
		d.config(root, &c)
		for _, e := range l.errs {
			require.NotEmpty(t, Errors(e)[0].Msg)
		}
	})
}

func TestNoSocketsIsNotTheUsualOnes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "c.yaml")
	require.NoError(t, os.WriteFile(file, []byte("riposte: {containers: {cri: [], wait: 250}}\n"), 0o600))
	c, err := Load(Options{File: file})
	require.NoError(t, err)
	require.Equal(t, Containers{CRI: []string{}, Wait: Milliseconds(250 * time.Millisecond)}, c.Riposte.Containers)
	require.NoError(t, os.WriteFile(file, []byte("riposte: {containers: {wait: 60000}, max_processes: -1}\n"), 0o600))
	_, err = Load(Options{File: file})
	require.ErrorContains(t, err, "riposte.containers.wait must be from 0 to 10000")
	require.ErrorContains(t, err, "riposte.max_processes must be from 0")
}
