package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/deploy/standalone"
	"riposte/deploy/standalone/sandbox"
	"riposte/responder/api"
	"riposte/responder/api/client"
)

// freezes is a playbook whose trigger agents act on at once, and which then confirms.
const freezes = `# METADATA
# scope: package
# title: Freeze on a Critical alert
# description: Freezes the container at once and keeps it so.
# custom:
#   owner: tests
#   trigger: {priority: critical}
#   mode: enforce
#   contain: freeze
#   severity: critical
package playbooks.freeze_first

import data.riposte.lib.target

action contains {"type": "freeze_container", "target": target.container, "params": {"lease": "10m"}, "reason": "shadow"}
`

// TestAPlaybookContainsAtOnceAndConfirms: the agent freezes the container before
// anybody has decided, and the responder's decision takes over.
func TestAPlaybookContainsAtOnceAndConfirms(t *testing.T) {
	dir := dataDir(t)
	playbooks := filepath.Join(dir, "playbooks")
	require.NoError(t, os.Mkdir(playbooks, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(playbooks, "freeze_first.rego"), []byte(freezes), 0o600))
	s := start(t, func(o *standalone.Options) { o.Data, o.Playbooks = dir, playbooks })
	standing := filepath.Join(dir, "agent", "orders", "standing.json")
	require.Eventually(t, func() bool { _, err := os.Stat(standing); return err == nil }, 20*time.Second, 10*time.Millisecond)

	box, err := sandbox.Start(sandbox.Options{Root: cgroupRoot(t), Cgroup: sandbox.Drills})
	require.NoError(t, err)
	defer func() { require.NoError(t, box.Close()) }()
	require.NoError(t, box.Type(standalone.Attack))
	freeze := awaitAction(t, s, client.ActionFilter{Container: box.ID, Type: "freeze_container"}, func(a api.Action) bool { return a.VerifiedAt != nil })
	require.Equal(t, "succeeded", freeze.State)
	fired, err := s.Client().Alert(t.Context(), freeze.AlertID)
	require.NoError(t, err)
	var body struct {
		Riposte struct{ Contained *alert.Contained }
	}
	require.NoError(t, json.Unmarshal(fired.Body, &body))
	require.NotNil(t, body.Riposte.Contained, "before anybody had decided")
	require.Equal(t, "freeze", body.Riposte.Contained.Kind)
	require.Equal(t, "freeze_first", body.Riposte.Contained.Playbook)
	require.Less(t, body.Riposte.Contained.AtNS, freeze.ExecutedAt.UnixNano())
}
