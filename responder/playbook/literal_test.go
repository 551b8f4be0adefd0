package playbook_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"riposte/responder"
	"riposte/responder/action"
	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

func TestCheckActions(t *testing.T) {
	registry := action.NewRegistry(responder.Actions()...)
	const head = `# METADATA
# scope: package
# title: a
# description: b
# custom: {owner: a, trigger: {tags: [x]}, mode: observe, severity: low}
package playbooks.a

import data.riposte.lib.target

action contains `
	for name, c := range map[string]struct{ rule, want string }{
		"good":           {`{"type": "delete_pod", "target": target.pod, "reason": "x", "params": {"grace_seconds": 2}}`, ""},
		"unknown type":   {`{"type": "delete_pods", "target": target.pod, "reason": "x"}`, `:10:26: no action is called "delete_pods" (did you mean "delete_pod"?)`},
		"no such type":   {`{"type": "explode", "target": target.pod, "reason": "x"}`, `:10:26: no action is called "explode": there are acknowledge_incident, `},
		"unknown key":    {`{"type": "delete_pod", "target": target.pod, "reson": "x", "reason": "x"}`, `:10:62: an action has no key "reson": use type, target, reason, params, ttl, requires_approval (did you mean "reason"?)`},
		"missing key":    {`{"type": "delete_pod", "target": target.pod}`, ":10:17: the action has no reason"},
		"unknown param":  {`{"type": "delete_pod", "target": target.pod, "reason": "x", "params": {"grace_second": 2}}`, `:10:88: delete_pod has no param "grace_second" (did you mean "grace_seconds"?): it has grace_seconds`},
		"bad param":      {`{"type": "delete_pod", "target": target.pod, "reason": "x", "params": {"grace_seconds": "2"}}`, ":10:105: params.grace_seconds of delete_pod is no number"},
		"made param":     {`{"type": "delete_pod", "target": target.pod, "reason": "x", "params": {"grace_seconds": to_number("2")}}`, ""},
		"missing param":  {`{"type": "webhook", "target": target.pod, "reason": "x"}`, ":10:17: webhook needs the param "},
		"needless ttl":   {`{"type": "delete_pod", "target": target.pod, "reason": "x", "ttl": "1h"}`, ":10:84: delete_pod cannot be undone: leave ttl out"},
		"wrong target":   {`{"type": "kill_container", "target": target.pod, "reason": "x"}`, ":10:54: kill_container acts on a container, not on a pod"},
		"literal target": {`{"type": "delete_pod", "target": {"kind": "node", "name": target.node.name}, "reason": "x"}`, ":10:50: delete_pod acts on a pod, not on a node"},
		"by a variable":  {"x if {\n\tx := {\"type\": \"delete_pot\", \"target\": target.pod, \"reason\": \"x\"}\n}", `:11:16: no action is called "delete_pot" (did you mean "delete_pod"?)`},
		"made keys":      {"{k: \"delete_pot\"} if {\n\tsome k in [\"type\"]\n\ttarget.pod\n}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			src := sandbox.Source{Name: "dir", FS: fstest.MapFS{"a.rego": {Data: []byte(head + c.rule + "\n")}}}
			_, err := playbook.Check(src)
			require.NoError(t, err, "only what it does is wrong")
			err = playbook.CheckActions(registry, src)
			if c.want == "" {
				require.NoError(t, err)
				return
			}
			var errs sandbox.Errors
			require.ErrorAs(t, err, &errs)
			require.Len(t, errs, 1)
			require.True(t, strings.HasPrefix(errs[0].Error(), "dir/a.rego"+c.want), errs[0].Error())
		})
	}
	require.NoError(t, playbook.CheckActions(registry, playbook.Embedded()))
}
