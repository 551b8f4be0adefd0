package replay_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/client"
	"riposte/responder/playbook"
	"riposte/responder/playbook/replay"
)

// Thousands of decisions, made by the real intake in the real database, come out the
// same to the last byte when they are made again by the same playbooks; and what is
// changed, and nothing else, makes a difference.
func TestReplay(t *testing.T) {
	set := load(t, folder(t, nil))
	b := newBench(t, set)
	b.take(3000)
	var lines [][]byte
	for line, err := range b.export(client.DecisionFilter{}) {
		require.NoError(t, err)
		lines = append(lines, line)
	}
	all := func(yield func([]byte, error) bool) {
		for _, l := range lines {
			if !yield(l, nil) {
				return
			}
		}
	}
	run := func(t *testing.T, o replay.Options) *replay.Report {
		o.Actions = registry
		r, err := replay.Run(t.Context(), all, o)
		require.NoError(t, err)
		return r
	}

	t.Run("unchanged", func(t *testing.T) {
		r := run(t, replay.Options{Set: load(t, folder(t, nil))})
		require.Empty(t, r.Changes)
		require.Zero(t, r.Added+r.Removed+r.Changed+r.Unreadable+r.TimedOut+r.Reordered)
		require.Equal(t, b.count("SELECT count(*) FROM alerts"), r.Alerts)
		require.Equal(t, int64(3000), r.Equal, "equal alerts count")
		require.Equal(t, b.count("SELECT count(*) FROM decisions"), r.Decisions)
		require.Greater(t, r.Decisions, int64(2500))
		require.Equal(t, r.Before, r.After)
		require.Positive(t, b.count("SELECT count(*) FROM decisions WHERE state = 'refused'"), "some were refused")
		require.Positive(t, r.Rebuilt)
		require.Equal(t, b.count("SELECT count(*) FROM alerts a WHERE NOT EXISTS (SELECT FROM decisions d WHERE d.alert_id = a.id)"), r.Rebuilt)
	})
	t.Run("with one worker or many it is the same", func(t *testing.T) {
		changed := map[string]string{"ask_first": strings.Replace(books["ask_first"], "approve", "enforce", 1)}
		set := load(t, folder(t, changed))
		one, many := run(t, replay.Options{Set: set, Workers: 1}), run(t, replay.Options{Set: set, Workers: 7})
		a, err := json.Marshal(one)
		require.NoError(t, err)
		b, err := json.Marshal(many)
		require.NoError(t, err)
		require.True(t, bytes.Equal(a, b), "%.2000s\n%.2000s", a, b)
	})
	t.Run("recorded as it was", func(t *testing.T) {
		r := run(t, replay.Options{})
		require.Empty(t, r.Changes)
		require.Equal(t, r.Before, r.After)
	})
	t.Run("a trigger that fits less removes", func(t *testing.T) {
		changed := map[string]string{"ask_first": strings.Replace(books["ask_first"], "Rule 1, Rule 2", "Rule 1", 1)}
		r := run(t, replay.Options{Set: load(t, folder(t, changed))})
		want := b.count(`SELECT sum(jsonb_array_length(result::jsonb -> 'action')) FROM decisions d JOIN alerts a ON a.id = d.alert_id
			WHERE playbook = 'ask_first' AND rule = 'Rule 2'`)
		require.Positive(t, want)
		require.Equal(t, want, r.Removed)
		require.Zero(t, r.Added+r.Changed)
	})
	t.Run("another reason changes", func(t *testing.T) {
		changed := map[string]string{"ask_first": strings.Replace(books["ask_first"], `"reason": "a"`, `"reason": "b"`, 1)}
		r := run(t, replay.Options{Set: load(t, folder(t, changed))})
		require.Equal(t, b.count(`SELECT sum(jsonb_array_length(result::jsonb -> 'action')) FROM decisions WHERE playbook = 'ask_first'`), r.Changed)
		require.Zero(t, r.Added+r.Removed)
		require.Equal(t, "a", r.Changes[0].Before.Reason)
		require.Equal(t, "b", r.Changes[0].After.Reason)
		require.Equal(t, r.Before, r.After)
	})
	t.Run("a new playbook adds, on alerts that nobody was asked about too", func(t *testing.T) {
		changed := map[string]string{
			"freeze_again": "", // asked about every alert
			"fails":        strings.Replace(books["fails"], "to_number(input.alert.rule) > 0", "true", 1),
			"ask_first":    strings.Replace(books["ask_first"], "{rules: [Rule 1, Rule 2]}", "{priority: debug}", 1),
		}
		r := run(t, replay.Options{Set: load(t, folder(t, changed)), Names: []string{"ask_first"}})
		require.Zero(t, r.Removed+r.Changed)
		require.Equal(t, b.count(`SELECT count(*) FROM alerts WHERE rule NOT IN ('Rule 1', 'Rule 2')`), r.Added)
		require.Contains(t, r.NotCompared, "freeze_again")
	})
	t.Run("more of it in force reaches the guard's limits", func(t *testing.T) {
		r := run(t, replay.Options{Set: load(t, folder(t, nil)), Names: []string{"freeze_again"}, Mode: playbook.Enforce})
		require.Zero(t, r.Added+r.Removed+r.Changed)
		require.Zero(t, r.Before.Allowed)
		require.Positive(t, r.After.Allowed)
		require.Positive(t, r.After.Rules["budget-playbook"])
		require.Equal(t, "budget-playbook", r.After.Limits[0].Rule)
	})
	t.Run("reports", func(t *testing.T) {
		changed := map[string]string{"delete_loud": strings.Replace(books["delete_loud"], "% 3 == 0", "% 3 != 5", 1)}
		r := run(t, replay.Options{Set: load(t, folder(t, changed)), Names: []string{"delete_loud"}})
		require.Positive(t, r.Added)
		require.Positive(t, r.After.PodsDeleted)
		beyond := replay.Bounds{Added: 0, Removed: 0, Changed: -1, DeletedPods: 1000}.Exceeded(r)
		require.Len(t, beyond, 1)
		var text, md bytes.Buffer
		same := func(s string) string { return s }
		require.NoError(t, r.Write(&text, same))
		require.Contains(t, text.String(), "pods deleted")
		require.Contains(t, text.String(), "Limits that would be reached")
		require.NoError(t, r.Markdown(&md, beyond, same))
		require.Contains(t, md.String(), "beyond its bounds")
		require.Contains(t, md.String(), "| delete\\_loud |")
		out, err := json.Marshal(r)
		require.NoError(t, err)
		require.True(t, json.Valid(out))
	})
}
