package playbook_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

// head is a METADATA block of 10 lines and the package line.
func head(name string) string {
	return `# METADATA
# scope: package
# title: Test
# description: A playbook of a test.
# custom:
#   owner: tests
#   trigger: {priority: debug}
#   mode: enforce
#   severity: high
#   attack: [T1059.004]
package playbooks.` + name + "\n\n"
}

const killPod = `action contains {
	"type": "delete_pod",
	"target": {"kind": "pod", "namespace": "shop", "name": "web-0", "uid": "7d0c"},
	"reason": "test",
}
`

// source makes a source of files given as name, text, name, text.
func source(name string, files ...string) sandbox.Source {
	m := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		m[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return sandbox.Source{Name: name, FS: m}
}

func load(t testing.TB, o playbook.Options, files ...string) *playbook.Set {
	s, err := playbook.Load(o, playbook.Embedded(), source("user", files...))
	require.NoError(t, err)
	return s
}

func TestLoadReadsMetadata(t *testing.T) {
	s := load(t, playbook.Options{}, "a.rego", head("mine")+killPod)
	var names []string
	for _, p := range s.Playbooks() {
		names = append(names, p.Name)
	}
	require.Subset(t, names, []string{"delete_pod_on_critical", "kill_container_on_critical", "mine"})
	require.True(t, slices.IsSorted(names))
	p := byName(t, s, "mine")
	debug := alert.Debug
	require.Equal(t, playbook.Metadata{
		Title: "Test", Description: "A playbook of a test.", Owner: "tests", Trigger: playbook.Trigger{Priority: &debug},
		Mode: playbook.Enforce, Severity: "high", Attack: []string{"T1059.004"},
	}, p.Metadata)
	require.Equal(t, "priority: debug", p.Trigger.String())
	require.Equal(t, []string{"user/a.rego"}, p.Files)
}

func TestLoadErrors(t *testing.T) {
	tests := map[string]struct {
		files []string
		want  string
	}{
		"a misspelt field": {
			[]string{"a.rego", head("a") + "action contains {\"type\": \"x\"} if input.alert.rul == \"y\"\n"},
			"user/a.rego:13:46: undefined ref: input.alert.rul",
		},
		"a misspelt field, through a variable": {
			[]string{"a.rego", head("a") + "_a := input.alert\n\naction contains {\"type\": \"x\"} if _a.priorty == \"y\"\n"},
			"user/a.rego:15:37: undefined ref: data.playbooks.a._a.priorty",
		},
		"the network": {
			[]string{"a.rego", head("a") + "action contains http.send({\"method\": \"get\", \"url\": \"http://127.0.0.1\"})\n"},
			"user/a.rego:13:17: undefined function http.send",
		},
		"another name than action": {
			[]string{"a.rego", head("a") + "actions contains {\"type\": \"x\"}\n"},
			"user/a.rego:13:1: actions is no rule of a playbook: it defines action; begin the name of a rule of your own with _",
		},
		"no action":           {[]string{"a.rego", head("a")}, "user/a.rego:11:1: there is no rule `action contains {...} if ...`"},
		"action is no set":    {[]string{"a.rego", head("a") + "action := []\n"}, "user/a.rego:13:1: action must be a set of objects"},
		"action is an object": {[]string{"a.rego", head("a") + "action[\"x\"] := 1\n"}, "user/a.rego:13:1: action must be a set of objects"},
		"another playbook's rules": {
			[]string{"a.rego", head("a") + killPod, "b.rego", head("b") + "action contains data.playbooks.a.action\n"},
			"user/b.rego:13:17: data.playbooks.a.action is defined nowhere",
		},
		"a misspelt library": {
			[]string{"a.rego", head("a") + "import data.riposte.lib.targets\n\naction contains targets.pod\n"},
			"user/a.rego:15:17: data.riposte.lib.targets.pod is defined nowhere",
		},
		"the guard's package": {
			[]string{"g.rego", "package riposte.guard\n\nrefuse := set()\n"},
			"user/g.rego:1:1: package riposte.guard is the guard's: a playbook cannot change what guards it",
		},
		"a package below the guard's": {
			[]string{"g.rego", "package riposte.guard.mine\n\nrefuse := set()\n"}, "user/g.rego:1:1: package riposte.guard.mine is the guard's",
		},
		"the guard's rules": {
			[]string{"a.rego", head("a") + "import data.riposte.guard\n\naction contains x if x := guard.refuse with data.riposte.guard.refuse as set()\n"},
			"data.riposte.guard.refuse is defined nowhere",
		},
		"a library of ours": {
			[]string{"l.rego", "package riposte.lib.target\n\npod := {}\n"},
			"user/l.rego:1:1: library riposte.lib.target is there already, from embedded:",
		},
		"another package": {
			[]string{"a.rego", "package policies.mine\n"},
			"user/a.rego:1:1: package policies.mine is none of ours: a playbook is package playbooks.<name>",
		},
		"a bad name":   {[]string{"a.rego", head("Mine") + killPod}, "user/a.rego:11:1: package playbooks.Mine is none of ours"},
		"two packages": {[]string{"a.rego", head("mine.more") + killPod}, "package playbooks.mine.more is none of ours"},
		"a test in its playbook's package": {
			[]string{"a_test.rego", "package playbooks.a\n\ntest_x if true\n"},
			"user/a_test.rego:1:1: a test's package ends in _test, so that it cannot change what it tests: call it playbooks.a_test",
		},
		"no metadata": {
			[]string{"a.rego", "package playbooks.a\n\n" + killPod}, "user/a.rego:1:1: there is no METADATA block",
		},
		"metadata twice": {
			[]string{"a1.rego", head("a") + killPod, "a2.rego", head("a") + killPod},
			"user/a2.rego:1:1: the playbook has a METADATA block already, in user/a1.rego: keep one",
		},
		"bad syntax": {[]string{"a.rego", head("a") + "action contains {\n"}, "user/a.rego:14: unexpected eof"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s, err := playbook.Load(playbook.Options{}, playbook.Embedded(), source("user", tt.files...))
			require.ErrorContains(t, err, tt.want)
			require.Nil(t, s)
			var errs sandbox.Errors
			require.ErrorAs(t, err, &errs)
		})
	}
}

func TestMetadataErrors(t *testing.T) {
	good := head("a") + killPod
	tests := map[string]struct{ old, new, want string }{
		"unknown key":           {"# title: Test", "# titel: Test", `user/a.rego:3:3: METADATA: unknown key "titel": use scope, title,`},
		"unknown custom key":    {"#   owner: tests", "#   owners: tests", `user/a.rego:6:5: custom: unknown key "owners": use owner, trigger, mode, contain, severity, attack`},
		"unknown trigger key":   {"{priority: debug}", "{rule: x}", `user/a.rego:7:15: custom.trigger: unknown key "rule": use rules, tags, priority, sources`},
		"bad mode":              {"enforce", "kill", `user/a.rego:8:11: custom.mode: unknown "kill": use observe, approve, enforce`},
		"bad contain":           {"mode: enforce", "mode: enforce\n#   contain: melt", `user/a.rego:9:14: custom.contain: unknown "melt": use freeze, cut`},
		"bad priority":          {"debug", "severe", `user/a.rego:7:25: custom.trigger.priority: unknown priority "severe": use one of emergency,`},
		"bad severity":          {"high", "higher", `user/a.rego:9:15: custom.severity: unknown "higher": use low, medium, high, critical`},
		"bad technique":         {"T1059.004", "1059", `user/a.rego:10:14: custom.attack must be a text`},
		"no technique":          {"T1059.004", "shell", `user/a.rego:10:14: custom.attack: "shell" is no technique: write it as T1059 or T1059.004`},
		"empty trigger":         {"{priority: debug}", "{}", `user/a.rego:7:14: custom.trigger is empty: give rules, tags, priority or sources`},
		"a trigger of nothing":  {"{priority: debug}", "", `custom.trigger must be a mapping`},
		"rules are a text":      {"{priority: debug}", "{rules: Shell}", `user/a.rego:7:22: custom.trigger.rules must be a list`},
		"rules are empty":       {"{priority: debug}", "{rules: []}", `custom.trigger.rules must have 1 to 200 entries`},
		"a rule is a number":    {"{priority: debug}", "{rules: [1]}", `custom.trigger.rules must be a text`},
		"a rule has no name":    {"{priority: debug}", `{rules: [" "]}`, `custom.trigger.rules is empty`},
		"mode is missing":       {"#   mode: enforce\n", "", `user/a.rego:6:5: custom: mode is missing`},
		"owner is missing":      {"#   owner: tests\n", "", `custom.owner is missing: say who answers for this playbook`},
		"title is missing":      {"# title: Test\n", "", `user/a.rego:2:3: METADATA: title is missing`},
		"title is a number":     {"title: Test", "title: 7", `user/a.rego:3:10: title must be a text: put it into quotes if it is one`},
		"mode given twice":      {"mode: enforce", "mode: enforce\n#   mode: observe", `user/a.rego:`},
		"an alias":              {"[T1059.004]", "*x", `user/a.rego:`},
		"not YAML":              {"# title: Test", "# title: [", `user/a.rego:`},
		"scope is not package":  {"# scope: package", "# scope: subpackages", `there is no METADATA block`},
		"an own schema":         {"# title: Test", "# title: Test\n# schemas:\n# - input: {type: object}", `METADATA: unknown key "schemas"`},
		"a title without end":   {"title: Test", "title: " + strings.Repeat("x", 200), `title has 200 bytes, 120 are allowed`},
		"authors without owner": {"#   owner: tests\n", "", "custom.owner is missing"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, good, tt.old)
			text := strings.Replace(good, tt.old, tt.new, 1)
			_, err := playbook.Load(playbook.Options{}, playbook.Embedded(), source("user", "a.rego", text))
			require.ErrorContains(t, err, tt.want)
		})
	}
	t.Run("authors are an owner", func(t *testing.T) {
		text := strings.Replace(good, "#   owner: tests\n", "", 1)
		text = strings.Replace(text, "# custom:", "# authors: [Jane, Joe]\n# custom:", 1)
		require.Equal(t, "Jane", byName(t, load(t, playbook.Options{}, "a.rego", text), "a").Owner)
	})
}

func byName(t testing.TB, s *playbook.Set, name string) *playbook.Playbook {
	for _, p := range s.Playbooks() {
		if p.Name == name {
			return p
		}
	}
	require.Fail(t, "no playbook "+name)
	return nil
}

// One load names everything that is wrong, each thing once.
func TestLoadReportsAllErrors(t *testing.T) {
	_, err := playbook.Load(playbook.Options{}, playbook.Embedded(), source("user",
		"a.rego", head("a")+"action contains {} if input.x\n",
		"b.rego", strings.Replace(head("b"), "enforce", "kill", 1)+killPod,
		"c.rego", "package c\n",
		"l.rego", "package riposte.lib.mine\n\nx := input.y\n",
	))
	var errs sandbox.Errors
	require.ErrorAs(t, err, &errs)
	for _, want := range []string{"a.rego:13", "b.rego:8", "c.rego:1", "l.rego:3"} {
		require.Equal(t, 1, strings.Count(err.Error(), want), "%s in %s", want, err)
	}
}

func TestUserPlaybookReplacesEmbedded(t *testing.T) {
	s := load(t, playbook.Options{}, "x.rego", strings.Replace(head("delete_pod_on_critical"), "enforce", "observe", 1)+killPod)
	ours, err := playbook.Load(playbook.Options{}, playbook.Embedded())
	require.NoError(t, err)
	require.Len(t, s.Playbooks(), len(ours.Playbooks()))
	p := byName(t, s, "delete_pod_on_critical")
	require.Equal(t, playbook.Observe, p.Mode)
	require.Equal(t, "user", p.Source)
}

func TestUserLibrary(t *testing.T) {
	use := head("a") + "import data.riposte.lib.mine\n\naction contains mine.act\n"
	s := load(t, playbook.Options{}, "a.rego", use, "l.rego", "package riposte.lib.mine\n\nact := {\"type\": \"x\"}\n")
	changed := load(t, playbook.Options{}, "a.rego", use, "l.rego", "package riposte.lib.mine\n\nact := {\"type\": \"y\"}\n")
	moved := load(t, playbook.Options{}, "z/a.rego", use, "l.rego", "package riposte.lib.mine\n\nact := {\"type\": \"x\"}\n")
	require.NotEqual(t, byName(t, s, "a").Revision, byName(t, changed, "a").Revision, "the revision covers what is imported")
	require.Equal(t, byName(t, s, "a").Revision, byName(t, moved, "a").Revision, "the revision is of contents")
	require.Len(t, byName(t, s, "a").Revision, 64)
}

func TestCheckReturnsTheGoodAndTheErrors(t *testing.T) {
	good, err := playbook.Check(source("user", "a.rego", head("a")+killPod, "b.rego", head("b")))
	require.ErrorContains(t, err, "user/b.rego")
	require.Len(t, good, 1)
	require.Equal(t, "a", good[0].Name)
}

func TestSeveralFilesOnePlaybook(t *testing.T) {
	s := load(t, playbook.Options{}, "a.rego", head("a")+"action contains _act\n", "a_act.rego", "package playbooks.a\n\n_act := {\"type\": \"x\"}\n")
	require.Len(t, byName(t, s, "a").Files, 2)
}

func many(n int) []string {
	var files []string
	for i := range n {
		name := fmt.Sprintf("p%03d", i)
		files = append(files, name+".rego", head(name)+killPod)
	}
	return files
}
