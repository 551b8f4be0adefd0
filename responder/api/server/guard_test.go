package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/api"
	"riposte/responder/api/apitest"
	"riposte/responder/api/client"
	"riposte/responder/store/storetest"
)

func clientOf(t *testing.T, e *apitest.Env, token string) *client.Client {
	t.Helper()
	c, err := client.New(e.URL, token)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func requireCode(t *testing.T, err error, status int, code string) {
	t.Helper()
	var e *client.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, code, e.Code, e.Detail)
	require.Equal(t, status, e.Status)
}

func TestTwoPeopleApprove(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 0)
	e.Wait(t, 1, "two-person", "budget-node")
	jane, tom := clientOf(t, e, apitest.JaneToken), clientOf(t, e, apitest.TomToken)

	p, err := jane.Approvals(t.Context(), 10, "")
	require.NoError(t, err)
	require.Len(t, p.Items, 1)
	require.Equal(t, []string{"two-person", "budget-node"}, p.Items[0].Rules)
	require.Equal(t, "waiting", p.Items[0].Action.State)
	require.Equal(t, 2, p.Items[0].Needed)
	require.Equal(t, apitest.Base.Add(time.Hour), p.Items[0].ExpiresAt)

	a, err := jane.Answer(t.Context(), apitest.ActionID(1)[24:], true, "go")
	require.NoError(t, err)
	require.Equal(t, 1, a.Agreed)
	require.Equal(t, "waiting", a.Action.State)
	_, err = jane.Answer(t.Context(), apitest.ActionID(1), true, "go, I say")
	requireCode(t, err, http.StatusConflict, "already_answered")
	// The console's session is the same person.
	cookie := signInWith(t, e, apitest.JaneToken)
	res, body := do(t, "POST", e.URL+"/api/v1/actions/"+apitest.ActionID(1)+"/approve", `{}`, cookie, "Origin: "+e.URL, "Content-Type: application/json")
	requireProblem(t, res, body, http.StatusConflict, "already_answered")

	a, err = tom.Answer(t.Context(), apitest.ActionID(1), true, "")
	require.NoError(t, err)
	require.Equal(t, "planned", a.Action.State)
	require.Equal(t, []string{"user:jane", "user:tom"}, []string{a.Votes[0].Actor, a.Votes[1].Actor})
	require.Equal(t, "go", a.Votes[0].Comment)
	again, err := tom.Approval(t.Context(), apitest.ActionID(1))
	require.NoError(t, err)
	require.Equal(t, a, again)
	_, err = tom.Answer(t.Context(), apitest.ActionID(1), false, "")
	requireCode(t, err, http.StatusConflict, "not_waiting")

	_, err = tom.Approval(t.Context(), apitest.ActionID(0))
	requireCode(t, err, http.StatusNotFound, "not_asked")
	_, err = tom.Answer(t.Context(), apitest.ActionID(0), true, "")
	requireCode(t, err, http.StatusConflict, "not_waiting")
	_, err = tom.Answer(t.Context(), apitest.ActionID(9), true, "")
	requireCode(t, err, http.StatusNotFound, "not_found")
	_, err = tom.Answer(t.Context(), "7", true, "")
	requireCode(t, err, http.StatusBadRequest, "bad_id")
	_, err = tom.Answer(t.Context(), apitest.ActionID(1), true, strings.Repeat("x", 1001))
	requireCode(t, err, http.StatusBadRequest, "bad_body")
}

func TestRejectAndChangedQuestion(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Wait(t, 1, "requires-approval")
	e.Wait(t, 2, "requires-approval")
	c := clientOf(t, e, apitest.TomToken)
	a, err := c.Answer(t.Context(), apitest.ActionID(1), false, "no")
	require.NoError(t, err)
	require.Equal(t, "rejected", a.Action.State)
	_, err = c.SetKillSwitch(t.Context(), api.KillSwitch{On: true, Reason: "drill"})
	require.NoError(t, err)
	_, err = c.Answer(t.Context(), apitest.ActionID(2), true, "")
	requireCode(t, err, http.StatusConflict, "guard_refuses")
}

func TestModesOverTheAPI(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	c := clientOf(t, e, apitest.JaneToken)
	p, err := c.SetMode(t.Context(), apitest.Playbook, api.Mode{Mode: "enforce", Namespaces: []string{"shop"}, Labels: map[string]string{"app": "web"}, Reason: "first there"})
	require.NoError(t, err)
	require.Equal(t, "enforce", p.Mode)
	require.Equal(t, []string{"shop"}, p.Namespaces)
	p, err = c.SetMode(t.Context(), apitest.Playbook, api.Mode{Mode: "observe", Reason: "stop"})
	require.NoError(t, err)
	list, err := c.Playbooks(t.Context())
	require.NoError(t, err)
	require.Equal(t, []api.PlaybookStatus{p}, list)
	require.Equal(t, [4]string{"observe", "enforce", "stop", "user:jane"}, [4]string{p.Mode, p.Declared, p.ModeReason, p.ModeActor})
	require.Empty(t, p.Namespaces)
	p, err = c.SetMode(t.Context(), apitest.Playbook, api.Mode{Mode: "default"})
	require.NoError(t, err)
	require.Equal(t, "enforce", p.Mode)

	for mode, code := range map[string]string{"": "bad_body", "kill": "bad_mode"} {
		_, err = c.SetMode(t.Context(), apitest.Playbook, api.Mode{Mode: mode})
		requireCode(t, err, http.StatusBadRequest, code)
	}
	_, err = c.SetMode(t.Context(), "nobody", api.Mode{Mode: "observe"})
	requireCode(t, err, http.StatusNotFound, "not_found")
	entries, err := c.Audit(t.Context(), client.AuditFilter{Kind: "playbook.mode"})
	require.NoError(t, err)
	var results []string
	for _, x := range entries.Items {
		results = append(results, x.Result+" "+x.Actor)
	}
	require.Equal(t, []string{"default user:jane", "observe user:jane", "enforce user:jane"}, results)
}

func TestScopedKillSwitches(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	c := clientOf(t, e, apitest.JaneToken)
	k, err := c.SetKillSwitch(t.Context(), api.KillSwitch{On: true, Scope: "playbook", Name: "p", Reason: "wild"})
	require.NoError(t, err)
	require.False(t, k.On, "not for all")
	require.Equal(t, []api.KillSwitch{{On: true, Scope: "playbook", Name: "p", Reason: "wild", Actor: "user:jane", At: &apitest.Base}}, k.Others)
	st, err := c.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, k, st.KillSwitch)
	for _, bad := range []api.KillSwitch{{Scope: "playbook"}, {Scope: "node", Name: "n"}, {Name: "x"}} {
		bad.On = true
		_, err = c.SetKillSwitch(t.Context(), bad)
		requireCode(t, err, http.StatusBadRequest, "bad_body")
	}
	k, err = c.SetKillSwitch(t.Context(), api.KillSwitch{Scope: "playbook", Name: "p"})
	require.NoError(t, err)
	require.Empty(t, k.Others)
}

func TestBudgetsAreShown(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for i := range 3 {
		e.Add(t, i)
		sql(t, e, `INSERT INTO guard_reservations (action_id, scope, cluster, name, subject, type, kill) VALUES ($1, 'namespace', 'test', 'shop', $2, 'kill_container', true)`,
			apitest.ActionID(i), fmt.Sprint("subject-", i/2))
	}
	all, err := newClient(t, e).Budgets(t.Context())
	require.NoError(t, err)
	require.Equal(t, []api.Budget{{Scope: "namespace", Cluster: "test", Name: "shop", Used: 2, Limit: 10, Left: 8, WindowSeconds: 600}}, all)
}
