package guard_test

import (
	"context"
	"path/filepath"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/action"
	"riposte/responder/guard"
	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

// pod is a question that is allowed: delete the alert's own, confirmed pod.
func pod() guard.Question {
	return guard.Question{
		Playbook: "p", Mode: playbook.Enforce, Type: "delete_pod", Binding: playbook.Bound,
		Target: action.Target{Kind: "pod", Cluster: "c", Node: "n", Namespace: "shop", Name: "web-0", UID: "7d0c"},
		Pod:    &playbook.Pod{Namespace: "shop", Name: "web-0", UID: "7d0c", Node: "n", Labels: map[string]string{"app": "web"}},
		Alert: &alert.Alert{Rule: "r", Priority: alert.Critical, Riposte: &alert.Riposte{
			Schema: 1, Cluster: "c", Node: "n", Pod: &alert.Pod{UID: "7d0c", Namespace: "shop", Name: "web-0"},
			Container: &alert.Container{ID: "abc", CgroupID: 4, StartNS: 5},
		}},
	}
}

// container is another: kill the alert's own container, which is no pod's.
func container() guard.Question {
	q := pod()
	q.Type, q.Binding, q.Pod, q.Alert.Riposte.Pod = "kill_container", playbook.None, nil, nil
	q.Target = action.Target{Kind: "container", Cluster: "c", Node: "n", ContainerID: "abc", CgroupID: 4, StartNS: 5}
	return q
}

func newGuard(t testing.TB, o guard.Options) *guard.Guard {
	if o.Deadline == 0 {
		o.Deadline = time.Minute // machines can be slow
	}
	g, err := guard.New(o)
	require.NoError(t, err)
	return g
}

func TestJudge(t *testing.T) {
	tests := map[string]struct {
		of      func() guard.Question
		change  func(q *guard.Question)
		outcome guard.Outcome
		rule    string
	}{
		"the alert's own pod":       {pod, func(*guard.Question) {}, guard.Allow, ""},
		"the alert's own container": {container, func(*guard.Question) {}, guard.Allow, ""},
		"no alert":                  {pod, func(q *guard.Question) { q.Alert = nil }, guard.Refuse, "no-alert"},
		"a recording":               {pod, func(q *guard.Question) { q.Alert.Riposte.Recorded = true }, guard.Watch, "recorded-stream"},
		"a recording, forged too":   {pod, func(q *guard.Question) { q.Alert.Riposte.Recorded, q.Binding = true, playbook.Forged }, guard.Watch, "recorded-stream"},
		"forged":                    {pod, func(q *guard.Question) { q.Binding = playbook.Forged }, guard.Refuse, "forged-binding"},
		"forged container":          {container, func(q *guard.Question) { q.Binding = playbook.Forged }, guard.Refuse, "forged-binding"},
		"unbound":                   {pod, func(q *guard.Question) { q.Binding, q.Pod = playbook.Unbound, nil }, guard.Refuse, "unbound-pod"},
		"a pod without binding":     {pod, func(q *guard.Question) { q.Binding = playbook.None }, guard.Refuse, "unbound-pod"},
		"bound, but to nothing":     {pod, func(q *guard.Question) { q.Pod = nil }, guard.Refuse, "unbound-pod"},
		"a binding nobody knows":    {pod, func(q *guard.Question) { q.Binding = "perhaps" }, guard.Refuse, "unbound-pod"},
		"another uid":               {pod, func(q *guard.Question) { q.Target.UID = "other" }, guard.Refuse, "foreign-target"},
		"no uid":                    {pod, func(q *guard.Question) { q.Target.UID, q.Pod.UID = "", "" }, guard.Refuse, "foreign-target"},
		"another name":              {pod, func(q *guard.Question) { q.Target.Name = "web-1" }, guard.Refuse, "foreign-target"},
		"another namespace":         {pod, func(q *guard.Question) { q.Target.Namespace = "bank" }, guard.Refuse, "foreign-target"},
		"another cluster":           {pod, func(q *guard.Question) { q.Target.Cluster = "d" }, guard.Refuse, "foreign-target"},
		"another node":              {pod, func(q *guard.Question) { q.Target.Node = "m" }, guard.Refuse, "foreign-target"},
		"a node":                    {pod, func(q *guard.Question) { q.Target.Kind = "node" }, guard.Refuse, "foreign-target"},
		"another container":         {container, func(q *guard.Question) { q.Target.ContainerID = "abd" }, guard.Refuse, "foreign-target"},
		"another cgroup":            {container, func(q *guard.Question) { q.Target.CgroupID = 9 }, guard.Refuse, "foreign-target"},
		"another life":              {container, func(q *guard.Question) { q.Target.StartNS = 6 }, guard.Refuse, "foreign-target"},
		"a container of no node":    {container, func(q *guard.Question) { q.Target.Node = "" }, guard.Refuse, "foreign-target"},
		"the host":                  {container, func(q *guard.Question) { q.Alert.Riposte.Container = nil }, guard.Refuse, "foreign-target"},
		"Falco's alert, container":  {container, func(q *guard.Question) { q.Alert.Riposte = nil }, guard.Refuse, "foreign-target"},
		"Falco's alert, bound pod":  {pod, func(q *guard.Question) { q.Alert.Riposte = nil }, guard.Allow, ""},
		"kube-system":               {pod, func(q *guard.Question) { q.Target.Namespace, q.Pod.Namespace = "kube-system", "kube-system" }, guard.Refuse, "protected-namespace"},
		"a container in kube-system": {container, func(q *guard.Question) {
			q.Binding, q.Alert.Riposte.Pod = playbook.Unbound, &alert.Pod{UID: "u", Namespace: "kube-system"}
		}, guard.Refuse, "protected-namespace"},
		"a container in kube-system that the agent puts elsewhere": {container, func(q *guard.Question) {
			q.Binding, q.Pod = playbook.Bound, &playbook.Pod{UID: "u", Namespace: "kube-system"}
			q.Alert.Riposte.Pod = &alert.Pod{UID: "u", Namespace: "shop"}
		}, guard.Refuse, "protected-namespace"},
		"a container of who knows where": {container, func(q *guard.Question) {
			q.Binding, q.Alert.Riposte.Pod = playbook.Unbound, &alert.Pod{UID: "u"}
		}, guard.Refuse, "unknown-namespace"},
		"a container whose pod the API server knows": {container, func(q *guard.Question) {
			q.Binding, q.Alert.Riposte.Pod = playbook.Bound, &alert.Pod{UID: "u"}
			q.Pod = &playbook.Pod{UID: "u", Namespace: "shop"}
		}, guard.Allow, ""},
		"a protected pod": {pod, func(q *guard.Question) { q.Pod.Labels["riposte.dev/protected"] = "true" }, guard.Refuse, "protected-label"},
		"protected, as the agent says": {pod, func(q *guard.Question) {
			q.Alert.Riposte.Pod.Labels = map[string]string{"riposte.dev/protected": "True"}
		}, guard.Refuse, "protected-label"},
		"not protected":     {pod, func(q *guard.Question) { q.Pod.Labels["riposte.dev/protected"] = "false" }, guard.Allow, ""},
		"a static pod":      {pod, func(q *guard.Question) { q.Pod.Owner = "Node/n" }, guard.Refuse, "mirror-pod"},
		"observe":           {pod, func(q *guard.Question) { q.Mode = playbook.Observe }, guard.Watch, "mode-observe"},
		"approve":           {pod, func(q *guard.Question) { q.Mode = playbook.Approve }, guard.Ask, "mode-approve"},
		"approve, a notice": {pod, func(q *guard.Question) { q.Mode, q.Type = playbook.Approve, "notify" }, guard.Allow, ""},
		"wants approval":    {pod, func(q *guard.Question) { q.RequiresApproval = true }, guard.Ask, "requires-approval"},
		"an unknown mode":   {pod, func(q *guard.Question) { q.Mode = "" }, guard.Refuse, "mode-observe"},
		"observe, refused":  {pod, func(q *guard.Question) { q.Mode, q.Pod.Owner = playbook.Observe, "Node/n" }, guard.Refuse, "mirror-pod"},
		"approve, refused":  {pod, func(q *guard.Question) { q.Mode, q.Pod.Owner = playbook.Approve, "Node/n" }, guard.Refuse, "mirror-pod"},
	}
	g := newGuard(t, guard.Options{})
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			q := tt.of()
			tt.change(&q)
			v := g.Judge(context.Background(), q)
			require.Equal(t, tt.outcome, v.Outcome, v.Reason)
			require.Equal(t, tt.rule, v.Rule)
			require.Equal(t, tt.rule == "", v.Reason == "", "a rule has a reason")
		})
	}
}

func TestOwnProtection(t *testing.T) {
	g := newGuard(t, guard.Options{ProtectedNamespaces: []string{"shop"}, ProtectedLabels: map[string]string{"tier": "gold"}})
	require.Equal(t, "protected-namespace", g.Judge(context.Background(), pod()).Rule)
	q := pod()
	q.Pod.Namespace, q.Target.Namespace, q.Alert.Riposte.Pod.Namespace = "bank", "bank", "bank"
	require.Equal(t, guard.Allow, g.Judge(context.Background(), q).Outcome)
	q.Pod.Labels["tier"] = "gold"
	require.Equal(t, "protected-label", g.Judge(context.Background(), q).Rule)
}

func TestRelease(t *testing.T) {
	g := newGuard(t, guard.Options{KillSwitchFile: filepath.Join(t.TempDir(), "kill-switch")})
	r := action.Request{ID: "1", Type: "delete_pod", Target: pod().Target}
	require.Equal(t, guard.Verdict{Outcome: guard.Allow}, g.Release(context.Background(), r))
	r.Target.Namespace = "kube-system"
	require.Equal(t, "protected-namespace", g.Release(context.Background(), r).Rule)
	r.Target.Namespace = "shop"
	require.NoError(t, turn(g, true, "incident 7"))
	require.Equal(t, guard.Verdict{Outcome: guard.Refuse, Rule: "kill-switch", Reason: "the kill switch is on: incident 7", Hold: true}, g.Release(context.Background(), r))
}

func rego(text string) guard.Options {
	return guard.Options{
		Rego: []sandbox.Source{{Name: "site", FS: fstest.MapFS{"site.rego": {Data: []byte(text)}}}},
	}
}

// A site's own rules refuse more; when they fail, that refuses too.
func TestRegoFailsClosed(t *testing.T) {
	const head = "package riposte.guard.site\n\n"
	tests := map[string]struct{ text, rule, reason string }{
		"no rule applies": {head + `refuse contains {"rule": "no-web", "reason": "r"} if input.target.name == "db-0"`, "", ""},
		"a rule applies":  {head + `refuse contains {"rule": "no-web", "reason": "hands off"} if startswith(input.target.name, "web")`, "no-web", "hands off"},
		"the clock is there": {
			head + `refuse contains {"rule": "at-night", "reason": "r"} if time.clock(time.now_ns())[0] == 3`, "at-night", "r",
		},
		"an error":        {head + `refuse contains {"rule": "x", "reason": "r"} if to_number(input.alert.rule) == 7`, "guard-error", "the guard rules of riposte.guard.site failed: site/site.rego:3:"},
		"an error in not": {head + `refuse contains {"rule": "x", "reason": "r"} if not to_number(input.alert.rule) == 7`, "guard-error", "to_number"},
		"out of time":     {head + `refuse contains {"rule": "x", "reason": "r"} if count(numbers.range(1, 1000000000)) == 7`, "guard-error", "did not end in time"},
		"a wrong shape":   {head + `refuse contains "no"`, "guard-error", "lacks a rule or a reason"},
		"no reason":       {head + `refuse contains {"rule": "x"}`, "guard-error", "lacks a rule or a reason"},
		"a control character": {
			head + `refuse contains {"rule": "x", "reason": "a\u0000b"}`, "x", "a b",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			o := rego(tt.text)
			if name == "out of time" {
				o.Deadline = 50 * time.Millisecond
			}
			o.Now = func() time.Time { return time.Date(2026, 1, 1, 3, 0, 0, 0, time.UTC) }
			v := newGuard(t, o).Judge(context.Background(), pod())
			require.Equal(t, tt.rule, v.Rule, v.Reason)
			require.Contains(t, v.Reason, tt.reason)
			require.Equal(t, tt.rule != "", v.Outcome == guard.Refuse)
		})
	}
}

func TestNewRefusesBadRego(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"our own package":   {"package riposte.guard\n\nrefuse := set()\n", "site/site.rego:1:1: package riposte.guard: a guard rule of yours belongs in package riposte.guard.<name>"},
		"a playbook":        {"package playbooks.x\n", "belongs in package riposte.guard.<name>"},
		"a library":         {"package riposte.lib.target\n", "belongs in package riposte.guard.<name>"},
		"no refuse":         {"package riposte.guard.x\n\nallow := true\n", "site/site.rego:1:1: there is no rule `refuse contains"},
		"refuse is no set":  {"package riposte.guard.x\n\nrefuse := []\n", "there is no rule `refuse contains"},
		"a misspelt field":  {"package riposte.guard.x\n\nrefuse contains {\"rule\": \"a\", \"reason\": input.playbok}\n", "site/site.rego:3:47: undefined ref: input.playbok"},
		"another's rules":   {"package riposte.guard.x\n\nrefuse contains data.riposte.guard.refuse\n", "data.riposte.guard.refuse is defined nowhere"},
		"the network":       {"package riposte.guard.x\n\nrefuse contains http.send({})\n", "undefined function http.send"},
		"no Rego":           {"package", "site/site.rego:1"},
		"overriding itself": {"package riposte.guard.x\n\nrefuse contains 1\n\nrefuse := set() if true\n", "site/site.rego"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := guard.New(rego(tt.text))
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func BenchmarkJudge(b *testing.B) {
	g := newGuard(b, guard.Options{KillSwitchFile: filepath.Join(b.TempDir(), "kill-switch")})
	q := pod()
	b.ReportAllocs()
	for b.Loop() {
		if v := g.Judge(context.Background(), q); v.Outcome != guard.Allow {
			b.Fatal(v)
		}
	}
}
