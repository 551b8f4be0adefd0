package responder_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/order"
	"riposte/responder"
	"riposte/responder/api"
	"riposte/responder/api/client"
	"riposte/responder/store"
)

const janeToken = "a-token-of-jane-0123456789"

// guarded gives the rig a guard's file and two people.
func guarded(t *testing.T, r *rig, text string) {
	t.Helper()
	dir := t.TempDir()
	r.options.GuardFile, r.options.PeopleFile = filepath.Join(dir, "guard.yaml"), filepath.Join(dir, "people")
	require.NoError(t, os.WriteFile(r.options.GuardFile, []byte(text), 0o600))
	require.NoError(t, os.WriteFile(r.options.PeopleFile, []byte("# on call\njane "+janeToken+"\ntom a-token-of-tom-0123456789\n"), 0o600))
}

func theOrder(t *testing.T, orders <-chan order.Order, container string) {
	t.Helper()
	select {
	case o := <-orders:
		require.Equal(t, container, o.Target.ContainerID)
	case <-time.After(patience):
		t.Fatal("no order came about " + container)
	}
}

// inState waits for the one action about a container.
func inState(t *testing.T, c *client.Client, container string, states ...string) (a api.Action) {
	t.Helper()
	require.Eventually(t, func() bool {
		p, err := c.Actions(t.Context(), client.ActionFilter{Container: container})
		require.NoError(t, err)
		if len(p.Items) != 1 {
			return false
		}
		a = p.Items[0]
		return slices.Contains(states, a.State)
	}, patience, 10*time.Millisecond)
	return a
}

// The responder dies between the reservation and the effect. The next one finds
// the place taken, takes it for this action alone, and gives the second one to
// people.
func TestBudgetOutlivesARestart(t *testing.T) {
	r := newRig(t)
	guarded(t, r, "budgets: {node: {count: 1, window: 1h}}")
	first, c := r.run(t)
	r.send(t, critical(1, "c1")) // no agent answers
	inState(t, c, "c1", "executing", "planned")
	stop(t, first)

	_, c = r.run(t)
	orders := r.obey(t)
	theOrder(t, orders, "c1")
	inState(t, c, "c1", "succeeded")
	budgets, err := c.Budgets(t.Context())
	require.NoError(t, err)
	require.Contains(t, budgets, api.Budget{Scope: "node", Cluster: cluster, Name: node, Used: 1, Limit: 1, WindowSeconds: 3600})

	r.send(t, critical(2, "c2"))
	waits := inState(t, c, "c2", "waiting")
	require.Equal(t, "budget-node", waits.RefusedBy)
	jane, err := client.New(c.Server(), janeToken)
	require.NoError(t, err)
	t.Cleanup(jane.Close)
	_, err = jane.Answer(t.Context(), waits.ID, true, "it spreads")
	require.NoError(t, err)
	theOrder(t, orders, "c2")
	inState(t, c, "c2", "succeeded")
	p, err := c.Audit(t.Context(), client.AuditFilter{Kind: "approval", Action: waits.ID})
	require.NoError(t, err)
	require.Len(t, p.Items, 1)
	require.Equal(t, "user:jane", p.Items[0].Actor)
	require.Contains(t, p.Items[0].Note, "it spreads")
}

// A playbook that uses up its budget observes from then on, and the list says why.
func TestPlaybookStepsBack(t *testing.T) {
	r := newRig(t)
	guarded(t, r, "budgets: {playbook: {count: 1, window: 1h}}")
	_, c := r.run(t)
	orders := r.obey(t)
	r.send(t, critical(1, "c1"))
	theOrder(t, orders, "c1")
	r.send(t, critical(2, "c2"))
	require.Equal(t, "budget-playbook", inState(t, c, "c2", "waiting").RefusedBy)
	r.send(t, critical(3, "c3"))
	inState(t, c, "c3", "observed")
	require.Eventually(t, func() bool {
		list, err := c.Playbooks(t.Context())
		require.NoError(t, err)
		for _, p := range list {
			if p.Name == killer && p.Mode == "observe" {
				require.Equal(t, "enforce", p.Declared)
				require.Equal(t, "budget-playbook", p.SteppedBack)
				require.Contains(t, p.ModeReason, "1 in 1h0m0s")
				return true
			}
		}
		return false
	}, patience, 20*time.Millisecond)
	p, err := c.Audit(t.Context(), client.AuditFilter{Kind: "playbook.mode"})
	require.NoError(t, err)
	require.Len(t, p.Items, 1)
	require.Equal(t, "system:guard", p.Items[0].Actor)
	s, err := store.Open(t.Context(), r.options.DatabaseURL)
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Pool().Exec(t.Context(), `UPDATE guard_reservations SET at = at - interval '2 hours'`)
	require.NoError(t, err)
	_, err = c.SetMode(t.Context(), killer, api.Mode{Mode: "default", Reason: "looked at it"})
	require.NoError(t, err)
	r.send(t, critical(4, "c4"))
	theOrder(t, orders, "c4")
}

func TestGuardAndPeopleFilesAreChecked(t *testing.T) {
	r := newRig(t)
	file := func(text string) string {
		f := filepath.Join(t.TempDir(), "file")
		require.NoError(t, os.WriteFile(f, []byte(text), 0o600))
		return f
	}
	o := r.options
	o.GuardFile = file("budgets: {playbok: {count: 1}}")
	_, err := responder.New(o)
	require.ErrorContains(t, err, "line 1: field playbok not found")
	for text, want := range map[string]string{
		"jane":                                         "line 1: the token of jane: it must be one word of at least 16",
		"# on call\n\nJane Doe 0123456789abcdef":       "line 3: a line is a name",
		"jane 0123456789abcdef0 0123456789abcd":        "line 1: what jane may do: after the token stand a role",
		"jane 0123456789abcdef\ntom 0123456789abcdef":  "line 2: the name tom or its token is there already",
		"jane 0123456789abcdef\njane 0123456789abcde0": "line 2: the name jane or its token is there already",
		"token 0123456789abcdef":                       "line 1: the name token or its token is there already",
		"jane " + token:                                "line 1: the name jane or its token is there already",
	} {
		o := r.options
		o.PeopleFile = file(text)
		_, err := responder.New(o)
		require.ErrorContains(t, err, want, text)
	}
}
