package rules_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/agent/rules"
)

const aRule = "- rule: R\n  desc: d\n  condition: evt.type = execve\n  output: x\n  priority: ERROR\n"

// withException is a rule with one exception, given as a flow mapping.
func withException(x string) string { return aRule + "  exceptions: [" + x + "]\n" }

// TestCodes has at least one file for every code, and files next to it that do
// not have it. Two codes are Falco's for its embedders and have none.
func TestCodes(t *testing.T) {
	seen := map[string]bool{}
	for _, tc := range []struct{ code, content string }{
		{rules.CodeFileRead, string(make([]byte, rules.MaxFileBytes+1))},
		{rules.CodeYAMLParse, "- rule: [\n"},
		{rules.CodeYAMLValidate, "rule: x\n"},
		{rules.CodeYAMLValidate, "- text\n"},
		{rules.CodeYAMLValidate, "- rule: R\n  desc: d\n"},
		{rules.CodeYAMLValidate, "- list: l\n  items:\n"},
		{rules.CodeYAMLValidate, "- list: l\n"},
		{rules.CodeYAMLValidate, "- macro: m\n  condition: \"\"\n"},
		{rules.CodeYAMLValidate, aRule + "  tags: x\n"},
		{rules.CodeYAMLValidate, aRule + "  override: {source: replace}\n"},
		{rules.CodeYAMLValidate, aRule + aRule + "  override: {condition: append}\n"},
		{rules.CodeYAMLValidate, aRule + "- rule: R\n  condition: or evt.type=open\n  append: true\n  override: {condition: append}\n"},
		{rules.CodeYAMLValidate, aRule + "- rule: R\n  priority: ERROR\n  override: {priority: append}\n"},
		{rules.CodeYAMLValidate, aRule + "- rule: R\n  override: {output: replace}\n"},
		{rules.CodeYAMLValidate, aRule + "- rule: R\n  output: y\n  override: {output: add}\n"},
		{rules.CodeCompileCondition, rule("R", "evt.type = execve and and")},
		{rules.CodeCompileCondition, rule("R", "evt.type = nothing")},
		{rules.CodeCompileCondition, rule("R", "proc.nam = x")},
		{rules.CodeCompileCondition, rule("R", "proc.pid contains 3")},
		{rules.CodeCompileOutput, "- rule: R\n  desc: d\n  condition: evt.type = execve\n  output: a %nothing\n  priority: ERROR\n"},
		{rules.CodeValidate, rule("R", "no_such_macro")},
		{rules.CodeValidate, "- macro: a\n  condition: no_such_macro\n"},
		{rules.CodeValidate, "- required_engine_version: 9.0.0\n"},
		{rules.CodeValidate, "- required_plugin_versions: [{name: json, version: 0.1.0}]\n"},
		{rules.CodeValidate, "- rule: R\n  condition: and x\n  override: {condition: append}\n"},
		{rules.CodeValidate, "- rule: R\n  enabled: false\n"},
		{rules.CodeValidate, aRule + aRule + "  source: k8s_audit\n"},
		{rules.CodeValidate, withException("{name: x, fields: [proc.nam], values: [[a]]}")},
		{rules.CodeValidate, withException("{name: x, fields: [proc.name, fd.name], comps: [=], values: [[a, b]]}")},
		{rules.CodeValidate, withException("{name: x, fields: [proc.name], comps: [is], values: [[a]]}")},
		{rules.CodeValidate, withException("{name: x, fields: proc.name, comps: startswith, values: [a]}")},
		{rules.CodeValidate, withException("{name: x, values: [a]}")},
		{rules.CodeValidate, withException("{name: x, fields: proc.name, values: [[a]]}")},
		{rules.CodeValidate, aRule + "- rule: R\n  exceptions: [{name: x, fields: [proc.name]}]\n  override: {exceptions: append}\n"},
		{rules.CodeValidate, withException("{name: x, fields: [proc.name], values: [[a]]}") + "- rule: R\n  exceptions: [{name: x, fields: [proc.name], values: [[a]]}]\n  override: {exceptions: append}\n"},

		{rules.CodeUnknownSource, rule("R", "ka.verb = get and json.value = 3", "  source: k8s_audit")},
		{rules.CodeUnsafeNA, rule("R", `evt.type = open and ka.verb = "<NA>"`)},
		{rules.CodeUnsafeNA, rule("R", `evt.type = open and ka.verb in (x, "<NA>")`)},
		{"", rule("R", `evt.type = open and proc.name in ("<NA>", "N/A")`)},
		{rules.CodeNoEventType, rule("R", "proc.name = x")},
		{"", rule("R", "proc.name = x", "  warn_evttypes: false")},
		{"", rule("R", "evt.num = 0")},
		{"", rule("R", "evt.num = 0 and proc.name = x")},
		{rules.CodeUnknownFilter, rule("R", "evt.type = open and proc.nam = x", "  skip-if-unknown-filter: true")},
		{rules.CodeUnknownFilter, rule("R", "evt.type = nothing", "  skip-if-unknown-filter: true")},
		{rules.CodeUnknownFilter, "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: a %proc.nam\n  priority: ERROR\n  skip-if-unknown-filter: true\n"},
		{rules.CodeCompileCondition, rule("R", "evt.type = open and evt.arg.nothing = x", "  skip-if-unknown-filter: true")},
		{rules.CodeCompileCondition, rule("R", "evt.type = open and proc.pid = x", "  skip-if-unknown-filter: true")},
		{rules.CodeUnusedMacro, "- macro: m\n  condition: proc.name = x\n"},
		{rules.CodeUnusedList, "- list: l\n  items: [x]\n"},
		{rules.CodeUnknownItem, "- thing: x\n"},
		{rules.CodeDeprecatedItem, aRule + "- rule: R\n  condition: and proc.name = x\n  append: true\n"},
		{rules.CodeDeprecatedItem, aRule + "- rule: R\n  enabled: false\n"},
		{rules.CodeDeprecatedItem, rule("R", "evt.type = open and evt.dir = <")},
		{rules.CodeDeprecatedItem, rule("R", "evt.type = open and evt.latency > 3")},
		{rules.CodeDeprecatedItem, "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: x %container.info\n  priority: ERROR\n"},
		{rules.CodeDeprecatedItem, "- rule: R\n  desc: d\n  condition: evt.type = open\n  output: x %evt.latency\n  priority: ERROR\n"},
		{rules.CodeAppendNoValues, withException("{name: x, fields: [proc.name], values: [[a]]}") + "- rule: R\n  exceptions: [{name: x}]\n  override: {exceptions: append}\n"},
		{rules.CodeNotUnique, withException("{name: x, fields: [proc.name], values: [[a]]}, {name: x, fields: [fd.name], values: [[b]]}")},
		{rules.CodeInvalidMacro, "- macro: a-b\n  condition: proc.name = x\n"},
		{rules.CodeInvalidList, "- list: a b\n  items: [x]\n"},
		{"", "- list: a-b.c\n  items: [x]\n" + rule("R", "evt.type = open and proc.name in (a-b.c)")},
		{rules.CodeCondition, rule("R", "evt.type = open and fd.name regex '/etc/.*'")},
		{"", rule("R", "evt.type = open and fd.name regex '/etc/[a-z]+'")},
		{rules.CodeCondition, rule("R", "evt.type = open and proc.name = proc.pname")},
		{rules.CodeCondition, rule("R", "evt.type = open and proc.name in (a, 'tolower(proc.pname)')")},
		{rules.CodeCondition, withException("{name: x, fields: [proc.name], values: [['toupper( proc.pname)']]}")},
		{"", withException("{name: x, fields: ['tolower(proc.name)'], values: [['toupper(proc.pname)']]}")},
		{rules.CodeUnknownKey, aRule + "  tag: [x]\n"},
		{rules.CodeUnknownKey, "- list: l\n  items: [x]\n  priority: ERROR\n"},
	} {
		report := rules.Options{}.Check(files(tc.content)...)
		require.Len(t, report.Files, 1)
		f := report.Files[0]
		require.Equal(t, len(f.Errors) > 0, report.Ruleset == nil, tc.content)
		require.LessOrEqual(t, len(f.Errors), 1)
		var codes []string
		for _, e := range append(f.Errors, f.Warnings...) {
			codes = append(codes, e.Code)
			require.NotEmpty(t, rules.CodeText(e.Code))
			require.Equal(t, "rules content", e.Locations[0].Type)
		}
		if tc.code == "" {
			require.Empty(t, codes, tc.content)
			continue
		}
		require.Contains(t, codes, tc.code, tc.content)
		seen[tc.code] = true
	}
	require.Len(t, seen, 20)
}

func TestLocationsLeadToTheError(t *testing.T) {
	report := rules.Options{}.Check(files("- rule: R\n  desc: d\n  condition: evt.type = execve and\n    proc.nam = x\n  output: x\n  priority: ERROR\n")...)
	e := report.Files[0].Errors[0]
	require.Equal(t, []rules.Location{
		{Type: "rules content", File: "0.yaml"},
		{Type: "rule", Name: "R", File: "0.yaml", Line: 1, Column: 3, Offset: 2},
		{Type: "rule condition", File: "0.yaml", Line: 3, Column: 14, Offset: 33},
		{Type: "condition expression", File: "0.yaml", Line: 4, Column: 5, Offset: 59},
	}, e.Locations)

	report = rules.Options{}.Check(files(aRule + "  enabled: maybe\n")...)
	locations := report.Files[0].Errors[0].Locations
	require.Equal(t, rules.Location{Type: "value for", Name: "enabled", File: "0.yaml", Line: 6, Column: 12, Offset: len(aRule) + 11}, locations[len(locations)-1])
}

func TestASkippedRuleUsesItsMacros(t *testing.T) {
	f := rules.Options{}.Check(files("- macro: m\n  condition: proc.name = x\n" + rule("R", "new.field = 1 and m", "  skip-if-unknown-filter: true"))...).Files[0]
	require.Len(t, f.Warnings, 1)
	require.Equal(t, rules.CodeUnknownFilter, f.Warnings[0].Code)
}

func TestSchemaIsOnlyNoted(t *testing.T) {
	f := rules.Options{}.Check(files("- rule: R\n  desc: d\n  condition: evt.type = execve\n  output: x\n  priority: Info\n")...).Files[0]
	require.Empty(t, f.Warnings)
	require.Equal(t, []string{"line 5: priority Info should be written INFO"}, f.Schema)
}

func names(rs *rules.Ruleset) (enabled []string) {
	for _, r := range rs.Rules() {
		if r.Enabled {
			enabled = append(enabled, r.Name)
		}
	}
	return enabled
}

func TestSelections(t *testing.T) {
	content := rule("read a file", "evt.type=open", "  tags: [file, slow]") + rule("write a file", "evt.type=open", "  tags: [file]") + rule("start", "evt.type=execve", "  enabled: false")
	for _, tc := range []struct {
		selections []rules.Selection
		want       []string
	}{
		{nil, []string{"read a file", "write a file"}},
		{[]rules.Selection{{Rule: "*", Disable: true}}, nil},
		{[]rules.Selection{{Rule: "*", Disable: true}, {Tag: "slow"}}, []string{"read a file"}},
		{[]rules.Selection{{Tag: "slow"}, {Rule: "*", Disable: true}}, nil},
		{[]rules.Selection{{Rule: "start"}}, []string{"read a file", "write a file", "start"}},
		{[]rules.Selection{{Rule: "*a f*e", Disable: true}}, nil},
		{[]rules.Selection{{Rule: "read*", Disable: true}}, []string{"write a file"}},
		{[]rules.Selection{{Rule: "read", Disable: true}, {Rule: "[a-z]*", Disable: true}, {Tag: "fil*", Disable: true}}, []string{"read a file", "write a file"}},
	} {
		rs, err := rules.Options{Selections: tc.selections}.Load(files(content)...)
		require.NoError(t, err)
		require.Equal(t, tc.want, names(rs))
		require.Equal(t, len(tc.want), rs.Len())
	}
}

func TestMinPriorityAndMatchAll(t *testing.T) {
	content := rule("A", "evt.type=execve") + "- rule: B\n  desc: d\n  condition: evt.type=execve\n  output: x\n  priority: NOTICE\n" + rule("C", "evt.type=execve")
	all := func(o rules.Options) (fired []string) {
		rs, err := o.Load(files(content)...)
		require.NoError(t, err)
		rs.Match(process("x"), func(r *rules.Rule) { fired = append(fired, r.Name) })
		return fired
	}
	p := alert.Warning
	require.Equal(t, []string{"A"}, all(rules.Options{}))
	require.Equal(t, []string{"A", "B", "C"}, all(rules.Options{MatchAll: true}))
	require.Equal(t, []string{"A", "C"}, all(rules.Options{MatchAll: true, MinPriority: &p}))
}
