package incident_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/incident"
	"riposte/responder/playbook"
)

func TestFingerprint(t *testing.T) {
	base := func() *alert.Alert {
		return &alert.Alert{
			Rule: "r", Priority: alert.Critical, Source: "syscall", Output: "15:04: r",
			OutputFields: map[string]any{"proc.cmdline": "sh", "fd.name": "10.0.0.1:4000->10.0.0.2:443", "proc.pid": 7, "user.uid": 0},
			Riposte: &alert.Riposte{
				Node: "n", BootID: "b", Seq: 1, KernelTimeNS: 5, Container: &alert.Container{ID: "c"}, Pod: &alert.Pod{UID: "u"},
			},
		}
	}
	print := func(edit func(*alert.Alert)) string {
		a := base()
		edit(a)
		return string(incident.Fingerprint(a, playbook.Bound))
	}
	set := func(name string, v any) func(*alert.Alert) { return func(a *alert.Alert) { a.OutputFields[name] = v } }
	first := print(func(*alert.Alert) {})
	for name, edit := range map[string]func(*alert.Alert){
		"number and times":  func(a *alert.Alert) { a.UUID, a.Riposte.Seq, a.Riposte.BootID, a.Riposte.KernelTimeNS = "x", 9, "y", 6 },
		"output":            func(a *alert.Alert) { a.Output = "15:05: r" },
		"pid":               set("proc.pid", 8),
		"an ancestor's pid": set("proc.apid[2]", 8),
		"time":              set("evt.time.iso8601", 8),
		"start":             set("proc.pid.ts", 8),
		"ports":             set("fd.name", "10.0.0.1:4001->10.0.0.2:80"),
		"a port":            set("fd.rport", 80),
	} {
		require.Equal(t, first, print(edit), name)
	}
	seen := map[string]string{first: "the first"}
	for name, edit := range map[string]func(*alert.Alert){
		"rule":            func(a *alert.Alert) { a.Rule = "q" },
		"priority":        func(a *alert.Alert) { a.Priority = alert.Error },
		"node":            func(a *alert.Alert) { a.Riposte.Node = "m" },
		"recording":       func(a *alert.Alert) { a.Riposte.Recorded = true },
		"intake":          func(a *alert.Alert) { a.Riposte.Intake = "i" },
		"container":       func(a *alert.Alert) { a.Riposte.Container.ID = "d" },
		"another life":    func(a *alert.Alert) { a.Riposte.Container.StartNS = 2 },
		"no container":    func(a *alert.Alert) { a.Riposte.Container = nil },
		"pod":             func(a *alert.Alert) { a.Riposte.Pod.UID = "v" },
		"command line":    set("proc.cmdline", "bash"),
		"address":         set("fd.name", "10.0.0.1:4000->10.0.0.3:443"),
		"a file":          set("fd.name", "/etc/shadow:1->x"),
		"another field":   set("proc.cwd", "/"),
		"another type":    set("user.uid", "0"),
		"no value":        set("user.uid", nil),
		"nothing of ours": func(a *alert.Alert) { a.Riposte = nil },
	} {
		p := print(edit)
		require.Empty(t, seen[p], "%s is taken for %s", name, seen[p])
		seen[p] = name
	}
	require.NotEqual(t, first, string(incident.Fingerprint(base(), playbook.Forged)))
}
