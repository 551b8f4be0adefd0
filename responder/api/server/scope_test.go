package server_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api"
	"riposte/responder/api/apitest"
	"riposte/responder/api/client"
	"riposte/responder/store"
)

// A viewer of one namespace asks for everything that there is: nothing of the other
// one comes, neither a row nor a number nor a name.
func TestNothingOfAnotherNamespaceIsSeen(t *testing.T) {
	e := startRoles(t)
	e.Add(t, 1)
	e.AddIn(t, 2, "cart", "cart")
	// Number 3 is shop's alert, and its action is about cart.
	e.AddIn(t, 3, "shop", "")
	sql(t, e, `UPDATE actions SET target = '{"kind":"pod","cluster":"test","namespace":"cart","name":"cart-7","uid":"u"}' WHERE id = $1`, apitest.ActionID(3))
	// Number 4 is an alert of cart's within the incident of number 1's.
	e.AddIn(t, 4, "cart", "cart")
	e.Wait(t, 5, "requires-approval")
	sql(t, e, `INSERT INTO agents VALUES ('test', 'node-0', gen_random_uuid(), '{}', now())`)
	e.AddDeadLetter(t, 1)
	sql(t, e, `INSERT INTO guard_reservations (action_id, scope, cluster, name, subject, type, kill) VALUES
		($1, 'namespace', 'test', 'shop', 's', 't', true), ($1, 'workload', 'test', 'shop/Deployment/web', 's', 't', true), ($1, 'cluster', 'test', '', 's', 't', true)`, apitest.ActionID(1))

	cart := clientOf(t, e, roleToken("viewer-cart"))
	ids := func(token, path string) []string {
		t.Helper()
		res, body := do(t, "GET", e.URL+"/api/v1/"+path, "", "Authorization: Bearer "+token)
		require.Equal(t, 200, res.StatusCode, body)
		var p api.Page[struct {
			ID     string `json:"id"`
			Node   string `json:"node"`
			Name   string `json:"name"`
			Seq    int    `json:"seq"`
			Action struct {
				ID string `json:"id"`
			} `json:"action"`
		}]
		require.NoError(t, json.Unmarshal([]byte(body), &p))
		got := []string{}
		for _, i := range p.Items {
			switch {
			case i.Action.ID != "":
				got = append(got, i.Action.ID)
			case i.ID != "":
				got = append(got, i.ID)
			case i.Seq != 0:
				got = append(got, strconv.Itoa(i.Seq))
			default:
				got = append(got, i.Name+i.Node)
			}
		}
		return got
	}
	for path, want := range map[string]struct{ shop, cart []string }{
		"alerts":                {[]string{apitest.AlertID(5), apitest.AlertID(3), apitest.AlertID(1)}, []string{apitest.AlertID(4), apitest.AlertID(2)}},
		"alerts?namespace=shop": {[]string{apitest.AlertID(5), apitest.AlertID(3), apitest.AlertID(1)}, []string{}},
		"incidents":             {[]string{apitest.IncidentID(5), apitest.IncidentID(3), apitest.IncidentID(1)}, []string{apitest.IncidentID(4), apitest.IncidentID(2)}},
		"decisions":             {[]string{apitest.DecisionID(5), apitest.DecisionID(3), apitest.DecisionID(1)}, []string{apitest.DecisionID(4), apitest.DecisionID(2)}},
		// The action about cart that shop's alert caused is for those who see all.
		"actions":   {[]string{apitest.ActionID(5), apitest.ActionID(1)}, []string{apitest.ActionID(4), apitest.ActionID(2)}},
		"approvals": {[]string{apitest.ActionID(5)}, []string{}},
		// Two entries each, in the order of Add; those of number 3 name the action.
		"audit":         {[]string{"10", "9", "2", "1"}, []string{"8", "7", "4", "3"}},
		"deadletters":   {[]string{}, []string{}},
		"agents":        {[]string{}, []string{}},
		"guard/budgets": {[]string{"shop", "shop/Deployment/web"}, []string{}},
	} {
		require.ElementsMatch(t, want.shop, ids(roleToken("viewer-shop"), path), "shop's %s", path)
		require.ElementsMatch(t, want.cart, ids(roleToken("viewer-cart"), path), "cart's %s", path)
		require.Empty(t, ids(roleToken("viewer-elsewhere"), path), "%s of another cluster", path)
	}
	// So it is with entries from before they said whose readers may see them.
	sql(t, e, `ALTER TABLE audit DISABLE TRIGGER USER`)
	sql(t, e, `UPDATE audit SET namespace = NULL`)
	for name, want := range map[string][]string{"shop": {"10", "9", "2", "1"}, "cart": {"8", "7", "4", "3"}, "elsewhere": {}} {
		require.Equal(t, want, ids(roleToken("viewer-"+name), "audit"), name)
	}
	st, err := cart.Status(t.Context())
	require.NoError(t, err)
	require.Empty(t, st.Agents)

	// An incident in which another namespace's alerts are is not seen at all, and what is
	// seen counts only what is.
	shop := clientOf(t, e, roleToken("viewer-shop"))
	i, err := shop.Incident(t.Context(), apitest.IncidentID(3))
	require.NoError(t, err)
	require.Zero(t, i.Actions, "its one action is about cart")
	line, err := shop.IncidentTimeline(t.Context(), apitest.IncidentID(3))
	require.NoError(t, err)
	for _, event := range line.Events {
		require.NotContains(t, event.Kind, "action")
	}
	sql(t, e, `UPDATE alerts SET incident_id = $2 WHERE id = $1`, apitest.AlertID(4), apitest.IncidentID(1))
	for name, c := range map[string]*client.Client{"shop": shop, "cart": cart} {
		_, err = c.Incident(t.Context(), apitest.IncidentID(1))
		requireCode(t, err, 404, "not_found")
		_, err = c.IncidentTimeline(t.Context(), apitest.IncidentID(1))
		requireCode(t, err, 404, "not_found")
		_, err = c.Incident(t.Context(), apitest.IncidentID(1)[24:])
		require.Error(t, err, name)
	}
	// A cluster's whole: rows in no namespace too.
	sql(t, e, `UPDATE alerts SET cluster = 'other' WHERE id = $1`, apitest.AlertID(2))
	require.Equal(t, []string{apitest.AlertID(2)}, ids(roleToken("viewer-elsewhere"), "alerts"))
}

// The stream tells each reader what their lists would.
func TestEventsOfAnotherNamespaceAreNotTold(t *testing.T) {
	e := startRoles(t)
	shop, _ := follow(t, clientOf(t, e, roleToken("viewer-shop")), "")
	cart, _ := follow(t, clientOf(t, e, roleToken("viewer-cart")), "")
	all, _ := follow(t, clientOf(t, e, roleToken("viewer")), "")
	require.NoError(t, e.Store.InTx(t.Context(), func(tx store.Tx) error {
		return apitest.AddTo(t.Context(), tx, 1, "cart", "cart")
	}))
	e.Add(t, 2)
	names := func(next func() client.Event, n int) (all []string) {
		for range n {
			got := next()
			id := apitest.AlertID(1)
			if strings.Contains(string(got.Data), apitest.AlertID(2)) {
				id = apitest.AlertID(2)
			}
			all = append(all, got.Name+" "+id)
		}
		return all
	}
	want := func(i int) []string {
		id := apitest.AlertID(i)
		return []string{"alert " + id, "action " + id, "audit " + id, "audit " + id}
	}
	require.ElementsMatch(t, append(want(1), want(2)...), names(all, 8))
	require.Equal(t, want(2), names(shop, 4))
	require.Equal(t, want(1), names(cart, 4))
	e.Add(t, 3)
	require.Contains(t, string(shop().Data), apitest.AlertID(3), "nothing else came to shop")
}

// A role in one namespace is none in another, though its reader sees both.
func TestARoleHoldsWhereItWasGiven(t *testing.T) {
	e := startRoles(t)
	e.Wait(t, 1, "requires-approval")
	e.Wait(t, 2, "requires-approval")
	sql(t, e, `UPDATE actions SET namespace = 'cart' WHERE id = $1`, apitest.ActionID(2))
	mixed := clientOf(t, e, roleToken("mixed"))
	p, err := mixed.Approvals(t.Context(), 0, "")
	require.NoError(t, err)
	require.Len(t, p.Items, 2)
	_, err = mixed.Answer(t.Context(), apitest.ActionID(1), true, "")
	requireCode(t, err, 404, "not_found")
	require.ErrorContains(t, err, "you may not change it")
	a, err := mixed.Answer(t.Context(), apitest.ActionID(2), true, "")
	require.NoError(t, err)
	require.Equal(t, "planned", a.Action.State)
	who, err := mixed.Identity(t.Context())
	require.NoError(t, err)
	require.Equal(t, api.Identity{Name: "mixed", Grants: []api.Grant{{Role: "viewer"}, {Role: "approver", Namespaces: []string{"cart"}}}}, who)
}

func TestKillSwitchByRole(t *testing.T) {
	e := startRoles(t)
	responder, admin := clientOf(t, e, roleToken("responder")), clientOf(t, e, roleToken("admin"))
	_, err := responder.SetKillSwitch(t.Context(), api.KillSwitch{On: true, Reason: "it runs wild"})
	require.NoError(t, err)
	_, err = responder.SetKillSwitch(t.Context(), api.KillSwitch{On: false})
	requireCode(t, err, 403, "forbidden")
	elsewhere := clientOf(t, e, roleToken("admin-elsewhere"))
	k, err := elsewhere.SetKillSwitch(t.Context(), api.KillSwitch{On: true, Scope: "cluster", Name: "other"})
	require.NoError(t, err)
	require.Len(t, k.Others, 1)
	_, err = elsewhere.SetKillSwitch(t.Context(), api.KillSwitch{On: true, Scope: "cluster", Name: "test"})
	requireCode(t, err, 403, "forbidden")
	_, err = elsewhere.SetKillSwitch(t.Context(), api.KillSwitch{On: true, Scope: "playbook", Name: apitest.Playbook})
	requireCode(t, err, 403, "forbidden")
	_, err = elsewhere.SetKillSwitch(t.Context(), api.KillSwitch{On: false, Scope: "cluster", Name: "other"})
	require.NoError(t, err)
	_, err = admin.SetKillSwitch(t.Context(), api.KillSwitch{On: false})
	require.NoError(t, err)
}
