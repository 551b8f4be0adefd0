package command

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/apitest"
	"riposte/responder/store/storetest"
)

// What people do about the guard, from the command line, two of them.
func TestApproving(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Wait(t, 1, "two-person", "cordoned-nodes")
	e.Wait(t, 2, "budget-node")
	e.Wait(t, 3, "budget-node")
	jane, tom := folder(t, e.URL, apitest.JaneToken), folder(t, e.URL, apitest.TomToken)
	id := apitest.ActionID(1)[24:]
	for _, step := range []struct{ name, line, data string }{
		{"actions_pending", "actions pending --utc", jane},
		{"actions_approve_one", "actions approve " + id + " --comment INC-1234", jane},
		{"actions_show_waiting", "actions show " + id, tom},
		{"actions_approve_two", "actions approve " + id, tom},
		{"actions_reject", "actions reject " + apitest.ActionID(2), tom},
		{"actions_pending_left", "actions pending --limit 1", jane},
		{"playbooks_mode_canary", "playbooks mode " + apitest.Playbook + " enforce --canary-namespace shop --canary-label app=web --reason first", jane},
		{"playbooks_list_canary", "playbooks list", jane},
		{"playbooks_mode_default", "playbooks mode " + apitest.Playbook + " default", jane},
		{"killswitch_on_playbook", "killswitch on --playbook " + apitest.Playbook + " --reason wild", jane},
		{"killswitch_off_playbook", "killswitch off --playbook " + apitest.Playbook, tom},
		{"killswitch_on_cluster", "killswitch on --in-cluster prod", jane},
		{"guard_budgets", "guard budgets", jane},
	} {
		t.Run(step.name, func(t *testing.T) {
			out, errOut, err := run(t, append(strings.Fields(step.line), "--data", step.data)...)
			require.NoError(t, err)
			golden(t, step.name, "$ riposte "+step.line+"\n"+out+errOut)
		})
	}
	for line, want := range map[string]string{
		"actions approve " + id:                               "nobody is asked about this action any more: it is planned",
		"actions approve 000000000000":                        "nothing has the id",
		"actions pending --limit 0":                           "is no number from 1 to 500",
		"playbooks mode nobody observe":                       "no playbook is called",
		"playbooks mode " + apitest.Playbook + " all":         `mode: "all" is none of observe, approve, enforce`,
		"killswitch on --playbook p --in-cluster c":           "none of the others can be",
		"killswitch on --playbook " + strings.Repeat("p", 64): "with a name of 1 to 63 characters",
	} {
		_, _, err := run(t, append(strings.Fields(line), "--data", jane)...)
		require.ErrorContains(t, err, want, line)
	}
}

// A playbook that stepped back shows why, in the list and in the status.
func TestStepBackIsShown(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	exec(t, e, `INSERT INTO playbook_modes (playbook, mode, stepped_back, reason, actor, at)
		VALUES ($1, '', 'error-rate', '5 of its last 6 actions failed within 10m0s', 'system:guard', $2)`, apitest.Playbook, apitest.Base)
	require.NoError(t, e.Guard.Refresh(t.Context()))
	data := folder(t, e.URL, apitest.Token)
	out, errOut, err := run(t, "playbooks", "list", "--data", data)
	require.NoError(t, err)
	golden(t, "playbooks_list_stepped_back", "$ riposte playbooks list\n"+out+errOut)
	out, _, err = run(t, "status", "--data", data)
	require.ErrorIs(t, err, errNotWell)
	require.Contains(t, out, "playbook "+apitest.Playbook+" stepped back to observe by error-rate: 5 of its last 6 actions failed within 10m0s\n      riposte playbooks mode "+apitest.Playbook+" default")
	_, _, err = run(t, "playbooks", "list", "--data", t.TempDir())
	require.NoError(t, err, "nothing runs there: those that come with Riposte")
}
