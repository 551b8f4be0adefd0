package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
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

// lets is a playbook that lets agents contain at once, and then wants nothing done.
const lets = `# METADATA
# scope: package
# title: Freeze and think better of it
# description: Decides nothing.
# custom:
#   owner: tests
#   trigger: {rules: [Shadow]}
#   mode: enforce
#   contain: freeze
#   severity: low
package playbooks.freeze_first

action contains {} if false
`

const shadow = `
- rule: Shadow
  desc: a sensitive file
  condition: evt.type in (open, openat, openat2) and fd.name = /etc/shadow and container.id != host
  output: shadow was read (file=%fd.name)
  priority: WARNING
`

// TestWhatNobodyWantsContainedIsLifted long before its lease ends.
func TestWhatNobodyWantsContainedIsLifted(t *testing.T) {
	dir := dataDir(t)
	playbooks, rules := filepath.Join(dir, "playbooks"), filepath.Join(dir, "rules.yaml")
	require.NoError(t, os.Mkdir(playbooks, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(playbooks, "freeze_first.rego"), []byte(lets), 0o600))
	require.NoError(t, os.WriteFile(rules, []byte(shadow), 0o600))
	s := start(t, func(o *standalone.Options) { o.Data, o.Playbooks, o.RuleFiles = dir, playbooks, []string{rules} })
	orders := filepath.Join(dir, "agent", "orders")
	require.Eventually(t, func() bool { _, err := os.Stat(filepath.Join(orders, "standing.json")); return err == nil }, 20*time.Second, 10*time.Millisecond)

	box, err := sandbox.Start(sandbox.Options{Root: cgroupRoot(t), Cgroup: sandbox.Drills})
	require.NoError(t, err)
	defer func() { require.NoError(t, box.Close()) }()
	require.NoError(t, box.Type(standalone.Attack))
	receipts := filepath.Join(orders, "orders.jsonl")
	require.Eventually(t, func() bool {
		b, err := os.ReadFile(receipts)
		return err == nil && strings.Contains(string(b), `"kind":"thaw"`) && strings.Contains(string(b), `"outcome":"done"`)
	}, 20*time.Second, 20*time.Millisecond)
	actions, err := s.Client().Actions(t.Context(), client.ActionFilter{Container: box.ID})
	require.NoError(t, err)
	require.Empty(t, actions.Items)
	events, err := os.ReadFile(filepath.Join(cgroupRoot(t), fmt.Sprintf(sandbox.Drills, box.ID), "cgroup.events"))
	require.NoError(t, err)
	require.Contains(t, string(events), "frozen 0")
}
