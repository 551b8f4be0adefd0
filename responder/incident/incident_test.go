package incident_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/incident"
	"riposte/responder/playbook"
)

func TestKeyAndTitle(t *testing.T) {
	pod := &playbook.Pod{Namespace: "shop", Name: "web-1", UID: "u1", Node: "n1", Owner: "ReplicaSet/web"}
	alone := &playbook.Pod{Namespace: "shop", Name: "job", UID: "u2", Node: "n1"}
	container := &alert.Container{ID: "0123456789abcdef"}
	for name, c := range map[string]struct {
		riposte    *alert.Riposte
		binding    playbook.Binding
		pod        *playbook.Pod
		key, title string
	}{
		"owned pod":      {&alert.Riposte{Node: "n1", Container: container, Pod: &alert.Pod{UID: "u1"}}, playbook.Bound, pod, "owner/shop/ReplicaSet/web", "R in pod shop/web-1"},
		"standalone pod": {&alert.Riposte{Node: "n1", Pod: &alert.Pod{UID: "u2"}}, playbook.Bound, alone, "pod/u2", "R in pod shop/job"},
		"unbound pod":    {&alert.Riposte{Node: "n1", Container: container, Pod: &alert.Pod{UID: "u1"}}, playbook.Unbound, nil, "node/n1/pod/u1", "R in container 0123456789ab on n1"},
		"forged":         {&alert.Riposte{Node: "n2", Container: container, Pod: &alert.Pod{UID: "u1"}}, playbook.Forged, pod, "forged/n2", "node n2 named a pod of another node"},
		"container":      {&alert.Riposte{Node: "n1", Container: container}, playbook.None, nil, "node/n1/container/0123456789abcdef", "R in container 0123456789ab on n1"},
		"host":           {&alert.Riposte{Node: "n1", Process: &alert.Process{Name: "sh", ExePath: "/bin/sh"}}, playbook.None, nil, "node/n1/process//bin/sh", "R on n1"},
		"no path":        {&alert.Riposte{Node: "n1", Process: &alert.Process{Name: "sh"}}, playbook.None, nil, "node/n1/process/sh", "R on n1"},
		"no process":     {&alert.Riposte{Node: "n1"}, playbook.None, nil, "node/n1/rule/R", "R on n1"},
		"Falco's":        {nil, playbook.None, nil, "host/h/rule/R", "R on h"},
	} {
		t.Run(name, func(t *testing.T) {
			a := &alert.Alert{Rule: "R", Hostname: "h", Riposte: c.riposte}
			require.Equal(t, c.key, incident.Key(a, c.binding, c.pod))
			require.Equal(t, c.title, incident.Title(a, c.binding, c.pod))
		})
	}
}

// An attacker names processes: whatever the name, the key can be stored, and
// different names stay different.
func FuzzKey(f *testing.F) {
	f.Add("/bin/sh", "/bin/bash")
	f.Add(strings.Repeat("a", 300), strings.Repeat("a", 301))
	f.Add("\x00", "\ufffd")
	f.Add("\xff", "\xfe")
	f.Add(strings.Repeat("€", 200), strings.Repeat("€", 200)+"\xff")
	f.Fuzz(func(t *testing.T, one, two string) {
		key := func(path string) string {
			a := &alert.Alert{Rule: path, Riposte: &alert.Riposte{Node: "n", Process: &alert.Process{ExePath: path, Name: path}}}
			k := incident.Key(a, playbook.None, nil)
			for _, s := range []string{k, incident.Title(a, playbook.None, nil)} {
				if len(s) > incident.MaxKey || !utf8.ValidString(s) || strings.Contains(s, "\x00") {
					t.Fatalf("%q cannot be stored", s)
				}
			}
			return k
		}
		if (one == two) != (key(one) == key(two)) && (one != "" && two != "") {
			t.Fatalf("%q and %q: %q and %q", one, two, key(one), key(two))
		}
	})
}
