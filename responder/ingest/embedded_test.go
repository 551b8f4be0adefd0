package ingest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/action"
	"riposte/responder/action/deletepod"
	"riposte/responder/action/killcontainer"
	"riposte/responder/guard"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
)

// The playbooks, guard and actions that come with Riposte, on real alerts.
func TestEmbeddedPlaybooks(t *testing.T) {
	t.Parallel()
	playbooks, err := playbook.Load(playbook.Options{}, playbook.Embedded())
	require.NoError(t, err)
	gate, err := guard.New(guard.Options{})
	require.NoError(t, err)
	for name, c := range map[string]struct {
		alert []func(*alert.Alert)
		want  []string
	}{
		"container": {nil, []string{"kill_container planned "}},
		"pod":       {[]func(*alert.Alert){inPod}, []string{"delete_pod planned "}},
		"recorded":  {[]func(*alert.Alert){func(a *alert.Alert) { a.Riposte.Recorded = true }}, []string{"kill_container observed "}},
		"warning":   {[]func(*alert.Alert){func(a *alert.Alert) { a.Priority = alert.Warning }}, nil},
		"forged":    {[]func(*alert.Alert){inPod, ofNode("n2")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, func(o *ingest.Options) {
				o.Playbooks, o.Guard, o.Actions = playbooks, gate, action.NewRegistry(killcontainer.New(nil), deletepod.New(nil))
			})
			d := deliver(t, anAlert(1, c.alert...))
			b.handle(d)
			require.Equal(t, 1, d.acks)
			require.Equal(t, c.want, b.texts("SELECT type || ' ' || state || ' ' || refused_by FROM actions"))
		})
	}
}
