package server_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api"
	"riposte/responder/api/apitest"
	"riposte/responder/api/client"
	"riposte/responder/selector"
	"riposte/responder/store/storetest"
)

func parse(t *testing.T, text string) selector.Selector {
	t.Helper()
	s, err := selector.Parse(text)
	require.NoError(t, err)
	return s
}

func TestListsBySelector(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for i := range 4 {
		e.Add(t, i)
	}
	sql(t, e, `UPDATE alerts SET labels = '{"tier":"we''b \" \\"}' WHERE id = $1`, apitest.AlertID(3))
	sql(t, e, `UPDATE actions SET labels = NULL WHERE id = $1`, apitest.ActionID(3))
	sql(t, e, `UPDATE incidents SET labels = '{}' WHERE id = $1`, apitest.IncidentID(3))
	c := newClient(t, e)
	// Number 3 has neither of the labels, in one way or another.
	for text, want := range map[string][]int{
		"":                                 {3, 2, 1, 0},
		"app=cart":                         {2, 1, 0},
		"app=cart,number=1":                {1},
		"number in (0, 2, 7)":              {2, 0},
		"number notin (0, 2)":              {3, 1},
		"number!=1":                        {3, 2, 0},
		"app":                              {2, 1, 0},
		"!app":                             {3},
		"app=cart,number notin (1),!other": {2, 0},
		"app=":                             nil,
	} {
		s := parse(t, text)
		alerts, err := c.Alerts(t.Context(), client.AlertFilter{Selector: s})
		require.NoError(t, err)
		actions, err := c.Actions(t.Context(), client.ActionFilter{Selector: s})
		require.NoError(t, err)
		incidents, err := c.Incidents(t.Context(), client.IncidentFilter{Selector: s})
		require.NoError(t, err)
		for list, of := range map[string]struct{ got, want []string }{
			"alerts":    {idsOf(alerts, func(a api.Alert) string { return a.ID }), numbered(want, apitest.AlertID)},
			"actions":   {idsOf(actions, func(a api.Action) string { return a.ID }), numbered(want, apitest.ActionID)},
			"incidents": {idsOf(incidents, func(i api.Incident) string { return i.ID }), numbered(want, apitest.IncidentID)},
		} {
			require.Equal(t, of.want, of.got, "%s %q", list, text)
		}
	}
	one, err := c.Alert(t.Context(), apitest.AlertID(1))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"app": "cart", "number": "1"}, one.Labels)

	for _, list := range []string{"alerts", "actions", "incidents", "audit"} {
		res, body := do(t, "GET", e.URL+"/api/v1/"+list+"?selector=app%3Dcart%2C%3Dx", "", "Authorization: Bearer "+apitest.Token)
		require.Equal(t, 400, res.StatusCode)
		require.Contains(t, body, `selector: column 10: there is '=' where a label's key is expected`)
	}
}

func idsOf[T any](p api.Page[T], id func(T) string) (all []string) {
	for _, i := range p.Items {
		all = append(all, id(i))
	}
	return all
}

func numbered(all []int, id func(int) string) (ids []string) {
	for _, i := range all {
		ids = append(ids, id(i))
	}
	return ids
}
