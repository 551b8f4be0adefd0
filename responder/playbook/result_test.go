package playbook_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/playbook"
)

const (
	pod       = `{"kind": "pod", "namespace": "a", "name": "b", "uid": "u"}`
	container = `{"kind": "container", "container_id": "c", "cgroup_id": 4, "start_ns": 5}`
	process   = `{"kind": "process", "pid": 4, "start_ns": 5}`
	workload  = `{"kind": "workload", "resource": "apps/v1/deployments", "namespace": "a", "name": "b", "uid": "u"}`
)

// A result that is not exactly right is refused with the place; nothing is guessed.
func TestWrongShapes(t *testing.T) {
	tests := map[string]struct{ action, want string }{
		"no object":         {`"delete_pod"`, "action[0] is of type string, not object"},
		"a set":             {`{"delete_pod"}`, "action[0] is of type set, not object"},
		"empty":             {`{}`, "action[0].type: is missing"},
		"unknown key":       {`{"type": "x", "target": ` + pod + `, "reason": "r", "when": 1}`, `action[0]."when": unknown key: use type, target, params, ttl, reason, requires_approval`},
		"key in other case": {`{"Type": "x", "target": ` + pod + `, "reason": "r"}`, `action[0]."Type": unknown key`},
		"key is no text":    {`{7: "x"}`, `action[0].7: unknown key`},
		"no type":           {`{"target": ` + pod + `, "reason": "r"}`, "action[0].type: is missing"},
		"type is a number":  {`{"type": 7, "target": ` + pod + `, "reason": "r"}`, "action[0].type: is of type number, not string"},
		"type is a path":    {`{"type": "../x", "target": ` + pod + `, "reason": "r"}`, `action[0].type: "../x" is no name of an action`},
		"no reason":         {`{"type": "x", "target": ` + pod + `}`, "action[0].reason: is missing"},
		"blank reason":      {`{"type": "x", "target": ` + pod + `, "reason": " "}`, "action[0].reason: is empty"},
		"reason with NUL":   {`{"type": "x", "target": ` + pod + `, "reason": "a\u0000b"}`, "action[0].reason: has a control character"},
		"no target":         {`{"type": "x", "reason": "r"}`, "action[0].target: is missing"},
		"target is a text":  {`{"type": "x", "reason": "r", "target": "b"}`, "action[0].target is of type string, not object"},
		"target is null":    {`{"type": "x", "reason": "r", "target": null}`, "action[0].target is of type null, not object"},
		"no kind":           {`{"type": "x", "reason": "r", "target": {}}`, "action[0].target.kind: is missing"},
		"unknown kind":      {`{"type": "x", "reason": "r", "target": {"kind": "cluster", "name": "n"}}`, `action[0].target.kind: unknown kind "cluster": use container, node, object, pod, process, workload`},
		"node without uid":  {`{"type": "x", "reason": "r", "target": {"kind": "node", "name": "n"}}`, "action[0].target.uid: is missing"},
		"node, misspelt":    {`{"type": "x", "reason": "r", "target": {"kind": "node", "name": "n", "uid": "u", "namespce": "a"}}`, `action[0].target."namespce": unknown key: use kind, name, uid`},
		"process, no start": {`{"type": "x", "reason": "r", "target": {"kind": "process", "pid": 4}}`, "action[0].target.start_ns: is missing"},
		"pid is too big":    {`{"type": "x", "reason": "r", "target": object.union(` + process + `, {"pid": 2147483648})}`, "action[0].target.pid: 2147483648 is no process id"},
		"workload of what":  {`{"type": "x", "reason": "r", "target": object.remove(` + workload + `, ["resource"])}`, "action[0].target.resource: is missing"},
		"workload, a kind":  {`{"type": "x", "reason": "r", "target": object.union(` + workload + `, {"Resource": "x"})}`, `action[0].target."Resource": unknown key: use kind, resource, namespace, name, uid`},
		"object, no uid":    {`{"type": "x", "reason": "r", "target": object.union(` + workload + `, {"kind": "object", "uid": ""})}`, "action[0].target.uid: is empty"},
		"pod without uid":   {`{"type": "x", "reason": "r", "target": {"kind": "pod", "namespace": "a", "name": "b"}}`, "action[0].target.uid: is missing"},
		"pod, empty uid":    {`{"type": "x", "reason": "r", "target": {"kind": "pod", "namespace": "a", "name": "b", "uid": ""}}`, "action[0].target.uid: is empty"},
		"pod on a node":     {`{"type": "x", "reason": "r", "target": object.union(` + pod + `, {"node": "n"})}`, `action[0].target."node": unknown key: use kind, namespace, name, uid`},
		"pod in a cluster":  {`{"type": "x", "reason": "r", "target": object.union(` + pod + `, {"cluster": "n"})}`, `action[0].target."cluster": unknown key`},
		"container, no id":  {`{"type": "x", "reason": "r", "target": {"kind": "container", "cgroup_id": 4, "start_ns": 5}}`, "action[0].target.container_id: is missing"},
		"cgroup is a text":  {`{"type": "x", "reason": "r", "target": object.union(` + container + `, {"cgroup_id": "4"})}`, "action[0].target.cgroup_id: is of type string, not number"},
		"cgroup is zero":    {`{"type": "x", "reason": "r", "target": object.union(` + container + `, {"cgroup_id": 0})}`, "action[0].target.cgroup_id: 0 is no whole number above 0"},
		"cgroup is a half":  {`{"type": "x", "reason": "r", "target": object.union(` + container + `, {"cgroup_id": 0.5})}`, "action[0].target.cgroup_id: 0.5 is no whole number above 0"},
		"start is negative": {`{"type": "x", "reason": "r", "target": object.union(` + container + `, {"start_ns": -1})}`, "action[0].target.start_ns: -1 is no whole number above 0"},
		"start is too big":  {`{"type": "x", "reason": "r", "target": object.union(` + container + `, {"start_ns": 18446744073709551616})}`, "action[0].target.start_ns: 18446744073709551616 is no whole"},
		"params is a list":  {`{"type": "x", "reason": "r", "target": ` + pod + `, "params": []}`, "action[0].params: is of type array, not object"},
		"params with NUL":   {`{"type": "x", "reason": "r", "target": ` + pod + `, "params": {"a": "\u0000"}}`, "action[0].params: has a NUL character"},
		"ttl is a number":   {`{"type": "x", "reason": "r", "target": ` + pod + `, "ttl": 60}`, "action[0].ttl: is of type number, not string"},
		"ttl is no time":    {`{"type": "x", "reason": "r", "target": ` + pod + `, "ttl": "soon"}`, `action[0].ttl: "soon" is no time above 0 and up to 720h0m0s: write it as 90s, 15m or 2h`},
		"ttl is negative":   {`{"type": "x", "reason": "r", "target": ` + pod + `, "ttl": "-1s"}`, `action[0].ttl: "-1s" is no time`},
		"ttl is a year":     {`{"type": "x", "reason": "r", "target": ` + pod + `, "ttl": "8760h"}`, `action[0].ttl: "8760h" is no time`},
		"approval, a text":  {`{"type": "x", "reason": "r", "target": ` + pod + `, "requires_approval": "yes"}`, "action[0].requires_approval: is of type string, not boolean"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			d := evaluate(t, playbook.Options{}, podAlert(t), "action contains "+tt.action+"\n")
			require.Contains(t, d.Refusal, tt.want)
			require.Empty(t, d.Proposals)
			require.True(t, json.Valid(d.Result), "what came back is kept: %s", d.Result)
		})
	}
}

func TestSizesRefuse(t *testing.T) {
	long := func(n int) string { return strings.Repeat("x", n) }
	d := evaluate(t, playbook.Options{}, podAlert(t), `action contains {"type": "x", "target": `+pod+`, "reason": "`+long(5000)+`"}`+"\n")
	require.Equal(t, "action[0].reason: has 5000 bytes, 4096 are allowed", d.Refusal)
	d = evaluate(t, playbook.Options{}, podAlert(t), "_s := \""+long(100000)+"\"\n\naction contains {\"type\": \"x\", \"target\": "+pod+", \"reason\": \"r\", \"params\": {\"a\": _s, \"b\": _s, \"c\": _s}}\n")
	require.Regexp(t, `^the result has \d+ bytes, 262144 are allowed$`, d.Refusal)
	require.Empty(t, d.Result)
}

// One bad action refuses the good ones too: half of an answer may be worse than none.
func TestOneBadActionRefusesAll(t *testing.T) {
	d := evaluate(t, playbook.Options{}, podAlert(t), killPod+"\naction contains {\"type\": \"zz\"}\n")
	require.Contains(t, d.Refusal, "is missing")
	require.Empty(t, d.Proposals)
}

func TestWholeProposal(t *testing.T) {
	d := evaluate(t, playbook.Options{}, podAlert(t), `action contains {
	"type": "delete_pod", "target": `+pod+`, "reason": "r", "params": {"grace_seconds": 3, "x": "<&>"}, "ttl": "15m", "requires_approval": true,
}
`)
	require.Empty(t, d.Refusal)
	require.Equal(t, []playbook.Proposal{{
		Type: "delete_pod", Target: playbook.Target{Kind: "pod", Namespace: "a", Name: "b", UID: "u"},
		Params: json.RawMessage(`{"grace_seconds":3,"x":"<&>"}`), TTL: "15m", Reason: "r", RequiresApproval: true,
	}}, d.Proposals)
}

func TestEveryKindOfTarget(t *testing.T) {
	for text, want := range map[string]playbook.Target{
		pod:       {Kind: "pod", Namespace: "a", Name: "b", UID: "u"},
		container: {Kind: "container", ContainerID: "c", CgroupID: 4, StartNS: 5},
		process:   {Kind: "process", PID: 4, StartNS: 5},
		workload:  {Kind: "workload", Resource: "apps/v1/deployments", Namespace: "a", Name: "b", UID: "u"},
		`{"kind": "node", "name": "n", "uid": "u"}`:                                                {Kind: "node", Name: "n", UID: "u"},
		`{"kind": "object", "resource": "v1/services", "namespace": "a", "name": "b", "uid": "u"}`: {Kind: "object", Resource: "v1/services", Namespace: "a", Name: "b", UID: "u"},
	} {
		d := evaluate(t, playbook.Options{}, podAlert(t), `action contains {"type": "x", "target": `+text+`, "reason": "r"}`+"\n")
		require.Empty(t, d.Refusal, text)
		require.Equal(t, want, d.Proposals[0].Target)
	}
}
