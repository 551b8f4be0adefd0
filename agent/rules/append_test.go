package rules_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/rules"
)

const threeRules = `
- rule: one
  desc: d
  condition: evt.type = open
  output: out 1
  priority: INFO
  tags: [tag1]
- rule: two
  desc: d
  condition: evt.type = open
  output: out 2 in %container.id
  priority: INFO
  tags: [tag1]
- rule: three
  desc: d
  condition: evt.type = open
  output: out 3 (%container.info)
  priority: INFO
  tags: [tag2, tag1]
`

func appended(t *testing.T, o rules.Options) (messages []string, fields []map[string]any) {
	t.Helper()
	rs, err := o.Load(files(threeRules)...)
	require.NoError(t, err)
	for _, r := range rs.Rules() {
		m, f := r.Format(anOpen())
		delete(f, "evt.time")
		messages, fields = append(messages, m), append(fields, f)
	}
	return messages, fields
}

func TestAppendMatchesAllThatIsGiven(t *testing.T) {
	messages, _ := appended(t, rules.Options{Append: []rules.Append{
		{Tags: []string{"tag1"}, Output: "x=%proc.name"},
		{Rule: "two", Output: "second"},
		{Tags: []string{"tag1", "tag2"}, Output: "third"},
		{Rule: "one", Tags: []string{"tag2"}, Output: "never"},
		{Source: "k8s_audit", Output: "never"},
		{Source: "syscall", Rule: "three", Tags: []string{"tag2"}, Output: "*all"},
	}})
	require.Equal(t, []string{"out 1 x=cat", "out 2 in 0123456789ab x=cat second", "out 3 () x=cat third *all"}, messages)

	messages, fields := appended(t, rules.Options{Append: []rules.Append{}})
	require.Equal(t, []string{"out 1", "out 2 in 0123456789ab", "out 3 ()"}, messages)
	require.Equal(t, []map[string]any{{}, {"container.id": "0123456789ab"}, {}}, fields)
}

func TestExtraFieldsStandInNoMessage(t *testing.T) {
	messages, fields := appended(t, rules.Options{
		Static: map[string]string{"env": "prod"},
		Append: []rules.Append{{Rule: "one", Fields: []rules.ExtraField{
			{Name: "fd.num", Raw: true},
			{Name: "proc.aname[2]", Raw: true},
			{Name: "evt.is_open_write", Raw: true},
			{Name: "user.name", Raw: true},
			{Name: "static.env", Raw: true},
			{Name: "text", Format: "%proc.name on %toupper(proc.name) in %static.env %fd.num"},
			{Name: "fixed", Format: "here"},
			{Name: "nothing"},
			{Name: "proc.name", Format: "named %proc.name"},
		}}},
	})
	require.Equal(t, "out 1", messages[0])
	require.Equal(t, map[string]any{
		"fd.num": int64(3), "proc.aname[2]": "shim", "evt.is_open_write": false, "user.name": nil, "static.env": "prod",
		"text": "cat on CAT in prod 3", "fixed": "here", "proc.name": "named cat",
	}, fields[0])
	require.Empty(t, fields[2])
}

func TestSuggestedFieldsAndStaticOnes(t *testing.T) {
	static := map[string]string{"zone": "b", "env": "prod", "env-x": "1", "line": "a\nb"}
	messages, fields := appended(t, rules.Options{Static: static, Append: []rules.Append{{Suggested: true, Output: "z=%5static.zone|"}, {Suggested: true}}})
	require.Equal(t, "out 1 z=b    | container_id=0123456789ab container_name=cart container_image_repository=<NA> container_image_tag=<NA> k8s_pod_name=<NA> k8s_ns_name=<NA>"+
		` static_env=prod static_env-x=1 static_line=a\nb`, messages[0])
	require.Equal(t, "b", fields[0]["static.zone"])
	require.Equal(t, "prod", fields[0]["static.env"])
	require.Equal(t, "1", fields[0]["static.env-x"])
	require.NotContains(t, messages[1], "container_id=", "the output has it already")

	messages, _ = appended(t, rules.Options{Append: nil})
	require.Equal(t, "out 1 container_id=0123456789ab container_name=cart container_image_repository=<NA> container_image_tag=<NA> k8s_pod_name=<NA> k8s_ns_name=<NA>", messages[0])
}

func TestARulesOutputMayNameAStaticField(t *testing.T) {
	text := "- rule: R\n  desc: d\n  condition: evt.type = open\n  priority: error\n  output: in %static.env, %static.environ\n"
	o := rules.Options{Static: map[string]string{"env": "prod", "environ": "all"}, Append: []rules.Append{}}
	rs, err := o.Load(files(text)...)
	require.NoError(t, err)
	message, _ := rs.Rules()[0].Format(anOpen())
	require.Equal(t, "in prod, all", message)

	o.Static = map[string]string{"envs": "x"}
	_, err = o.Load(files(text)...)
	require.ErrorContains(t, err, "unknown field static.env: did you mean static.envs?")
}

func TestWrongAdditionsAreErrors(t *testing.T) {
	static := map[string]string{"env": "x"}
	for text, want := range map[string]string{
		"%proc.nam":   "unknown field proc.nam: did you mean proc.name?",
		"ends with %": "the output ends after %",
		"%static.en":  "did you mean static.env?",
		"%9999fd.num": "width must be from 1 to",
	} {
		require.ErrorContains(t, rules.CheckOutput(text, static), want)
		_, err := rules.Options{Static: static, Append: []rules.Append{{}, {Output: text}}}.Load(files(threeRules)...)
		require.ErrorContains(t, err, "append_output[1]: ")
		require.ErrorContains(t, err, want)
	}
	for name, want := range map[string]string{
		"proc.nam": "did you mean proc.name?", "": "is no field", "%proc.name": "is no field", "tolower(proc.name)": "one name belongs here",
		"proc.name and more": "one name belongs here", "proc.aname[x]": "proc.aname", "static.env2": "did you mean static.env?", "fd.name[2]": "fd.name",
	} {
		require.ErrorContains(t, rules.CheckField(name, static), want, name)
	}
	require.NoError(t, rules.CheckField("proc.aname[2]", static))
	require.NoError(t, rules.CheckField("static.env", static))
	require.NoError(t, rules.CheckField("evt.arg.flags", nil))
}
