package server_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/apitest"
	"riposte/responder/api/client"
	"riposte/responder/store/storetest"
)

func TestIncidents(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for i := range 5 {
		e.Add(t, i)
	}
	c := newClient(t, e)
	var ids []string
	for f := (client.IncidentFilter{Limit: 2, State: "open"}); ; {
		p, err := c.Incidents(t.Context(), f)
		require.NoError(t, err)
		for _, i := range p.Items {
			ids = append(ids, i.ID)
		}
		if f.Before = p.Next; p.Next == "" {
			break
		}
	}
	require.Equal(t, []string{apitest.IncidentID(4), apitest.IncidentID(3), apitest.IncidentID(2), apitest.IncidentID(1), apitest.IncidentID(0)}, ids)

	line, err := c.IncidentTimeline(t.Context(), "b00000000003")
	require.NoError(t, err)
	var kinds []string
	for _, ev := range line.Events {
		kinds = append(kinds, ev.Kind)
	}
	require.Equal(t, []string{"alert", "decision", "action.planned", "action.executed", "action.verified"}, kinds)
	require.EqualValues(t, 1, line.Incident.Actions)
	require.False(t, line.More)

	i, err := c.ResolveIncident(t.Context(), "b00000000003", "over")
	require.NoError(t, err)
	require.Equal(t, "resolved", i.State)
	line, err = c.IncidentTimeline(t.Context(), i.ID)
	require.NoError(t, err)
	last := line.Events[len(line.Events)-1]
	require.Equal(t, []string{"state", "resolved", "user:token", "over"}, []string{last.Kind, last.State, last.Actor, last.Detail})
	audit, err := c.Audit(t.Context(), client.AuditFilter{Kind: "incident.state"})
	require.NoError(t, err)
	require.Len(t, audit.Items, 1)

	for name, bad := range map[string]struct {
		path, body, code string
		status           int
	}{
		"twice":         {"incidents/" + i.ID + "/resolve", `{"reason":"x"}`, "incident_state", http.StatusConflict},
		"no reason":     {"incidents/" + i.ID + "/false-positive", `{"reason":" "}`, "bad_body", http.StatusBadRequest},
		"unknown key":   {"incidents/" + i.ID + "/false-positive", `{"reason":"x","state":"open"}`, "bad_body", http.StatusBadRequest},
		"nobody's":      {"incidents/b00000000099/resolve", `{"reason":"x"}`, "not_found", http.StatusNotFound},
		"no id":         {"incidents/x/resolve", `{"reason":"x"}`, "bad_id", http.StatusBadRequest},
		"no letter":     {"deadletters/e00000000099/redrive", `{"reason":"x"}`, "not_found", http.StatusNotFound},
		"letter, alone": {"deadletters/e00000000099/redrive", `{}`, "bad_body", http.StatusBadRequest},
	} {
		t.Run(name, func(t *testing.T) {
			res, body := do(t, "POST", e.URL+"/api/v1/"+bad.path, bad.body, bearer, "Content-Type: application/json")
			requireProblem(t, res, body, bad.status, bad.code)
		})
	}
}

func TestDeadLetters(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for i := range 3 {
		e.AddDeadLetter(t, i)
	}
	c := newClient(t, e)
	p, err := c.DeadLetters(t.Context(), client.DeadLetterFilter{Limit: 2, Node: "node-0"})
	require.NoError(t, err)
	require.Len(t, p.Items, 2)
	require.NotEmpty(t, p.Next)
	require.Empty(t, p.Items[0].Body)
	d, err := c.DeadLetter(t.Context(), "e00000000001")
	require.NoError(t, err)
	require.JSONEq(t, `"{\u0000\ufffd\u202e"`, string(d.Body))
	_, err = c.Redrive(t.Context(), d.ID, "again")
	var answer *client.Error
	require.ErrorAs(t, err, &answer)
	require.Equal(t, "still_dead", answer.Code)
}
