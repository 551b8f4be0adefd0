package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api"
	"riposte/responder/api/apitest"
	"riposte/responder/api/client"
	"riposte/responder/store/storetest"
)

const asJSON = "Content-Type: application/json"

func TestUnchangedIsNotSentAgain(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 1)
	for _, path := range []string{"actions/" + apitest.ActionID(1), "actions", "playbooks", "guard/kill-switch"} {
		res, _ := do(t, "GET", e.URL+"/api/v1/"+path, "", bearer)
		tag := res.Header.Get("ETag")
		require.NotEmpty(t, tag, path)
		res, body := do(t, "GET", e.URL+"/api/v1/"+path, "", bearer, `If-None-Match: "other", W/`+tag)
		require.Equal(t, http.StatusNotModified, res.StatusCode, path)
		require.Empty(t, body)
	}
	res, _ := do(t, "GET", e.URL+"/api/v1/actions", "", bearer)
	tag := res.Header.Get("ETag")
	sql(t, e, `UPDATE actions SET note = 'other'`)
	res, _ = do(t, "GET", e.URL+"/api/v1/actions", "", bearer, "If-None-Match: "+tag)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.NotEqual(t, tag, res.Header.Get("ETag"))
}

// Of two who change what they both saw, the second is told so.
func TestChangesOfWhatWasSeen(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for show, change := range map[string]struct{ path, body string }{
		"playbooks/" + apitest.Playbook: {"playbooks/" + apitest.Playbook + "/mode", `{"mode":"observe","reason":"WHO"}`},
		"guard/kill-switch":             {"guard/kill-switch", `{"on":true,"reason":"WHO"}`},
	} {
		res, _ := do(t, "GET", e.URL+"/api/v1/"+show, "", bearer)
		tag := res.Header.Get("ETag")
		set := func(who string) (*http.Response, string) {
			return do(t, "PUT", e.URL+"/api/v1/"+change.path, strings.Replace(change.body, "WHO", who, 1), bearer, asJSON, "If-Match: "+tag)
		}
		res, body := set("first")
		require.Equal(t, http.StatusOK, res.StatusCode, body)
		next := res.Header.Get("ETag")
		res, body = set("second")
		requireProblem(t, res, body, http.StatusPreconditionFailed, "changed")
		res, body = do(t, "GET", e.URL+"/api/v1/"+show, "", bearer)
		require.Contains(t, body, "first")
		require.Equal(t, next, res.Header.Get("ETag"), "a change answers with the new state's")
		tag = next
		res, body = set("third")
		require.Equal(t, http.StatusOK, res.StatusCode, body)
	}
}

func TestFields(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 1)
	_, body := do(t, "GET", e.URL+"/api/v1/alerts?fields=rule,id,pod_uid,rule", "", bearer)
	require.JSONEq(t, `{"items":[{"rule":"Rule 1","id":"`+apitest.AlertID(1)+`"}]}`, body, "what an object lacks is left out")
	_, body = do(t, "GET", e.URL+"/api/v1/alerts/"+apitest.AlertID(1)+"?fields=priority", "", bearer)
	require.JSONEq(t, `{"priority":"Alert"}`, body)
	_, body = do(t, "GET", e.URL+"/api/v1/alerts/"+apitest.AlertID(1)+"?fields=pod_uid", "", bearer)
	require.JSONEq(t, `{}`, body)
	for _, bad := range []string{"colour", "id,", ",", "ID", "items"} {
		res, body := do(t, "GET", e.URL+"/api/v1/alerts?fields="+bad, "", bearer)
		requireProblem(t, res, body, http.StatusBadRequest, "bad_parameter")
	}
}

func TestTheSameRequestHasOneEffect(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Wait(t, 1, "two-person")
	path := e.URL + "/api/v1/actions/" + apitest.ActionID(1) + "/approve"
	as := func(token, key, body string) (*http.Response, string) {
		return do(t, "POST", path, body, "Authorization: Bearer "+token, asJSON, "Idempotency-Key: "+key)
	}
	res, first := as(apitest.JaneToken, "k1", `{"comment":"yes"}`)
	require.Equal(t, http.StatusOK, res.StatusCode, first)
	require.Empty(t, res.Header.Get("Idempotency-Replayed"))
	res, again := as(apitest.JaneToken, "k1", `{"comment":"yes"}`)
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Equal(t, "true", res.Header.Get("Idempotency-Replayed"))
	require.Equal(t, first, again)
	res, body := as(apitest.JaneToken, "k1", `{"comment":"no"}`)
	requireProblem(t, res, body, http.StatusUnprocessableEntity, "key_reused")
	res, body = as(apitest.JaneToken, "k2", `{"comment":"yes"}`)
	requireProblem(t, res, body, http.StatusConflict, "already_answered")
	_, again = as(apitest.JaneToken, "k2", `{"comment":"yes"}`)
	require.Equal(t, body, again, "a refusal is repeated too")
	// Another person's key is another key.
	res, body = as(apitest.TomToken, "k1", `{"comment":"yes"}`)
	require.Equal(t, http.StatusOK, res.StatusCode, body)
	require.Empty(t, res.Header.Get("Idempotency-Replayed"))
	for _, bad := range []string{strings.Repeat("k", 129), "a b", "k\xc3\xa9"} {
		res, body := as(apitest.TomToken, bad, `{}`)
		requireProblem(t, res, body, http.StatusBadRequest, "bad_header")
	}

	// One that was begun by a responder that died is taken over after a while, not before.
	sql(t, e, `UPDATE api_answers SET status = 0 WHERE key = 'k2'`)
	res, body = as(apitest.JaneToken, "k2", `{"comment":"yes"}`)
	requireProblem(t, res, body, http.StatusConflict, "in_progress")
	sql(t, e, `UPDATE api_answers SET created_at = now() - interval '3 minutes' WHERE key = 'k2'`)
	res, body = as(apitest.JaneToken, "k2", `{"comment":"yes"}`)
	requireProblem(t, res, body, http.StatusConflict, "not_waiting")
	// After a day a key is free.
	sql(t, e, `UPDATE api_answers SET created_at = now() - interval '25 hours' WHERE key = 'k1'`)
	res, body = as(apitest.JaneToken, "k1", `{"comment":"another"}`)
	requireProblem(t, res, body, http.StatusConflict, "not_waiting")
}

// Many send the same at once: it is done once.
func TestTheSameRequestAtOnce(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 1)
	var all sync.WaitGroup
	answers := make([]int, 12)
	for i := range answers {
		all.Go(func() {
			res, _ := do(t, "POST", e.URL+"/api/v1/incidents/"+apitest.IncidentID(1)+"/resolve", `{"reason":"over"}`, bearer, asJSON, "Idempotency-Key: same")
			answers[i] = res.StatusCode
		})
	}
	all.Wait()
	require.Contains(t, answers, http.StatusOK)
	for _, status := range answers {
		require.Contains(t, []int{http.StatusOK, http.StatusConflict}, status)
	}
	p, err := newClient(t, e).Audit(t.Context(), client.AuditFilter{Kind: "incident.state"})
	require.NoError(t, err)
	require.Len(t, p.Items, 1)
}

func TestCancel(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 1)
	e.Wait(t, 2, "requires-approval")
	c := clientOf(t, e, apitest.JaneToken)
	_, err := c.Cancel(t.Context(), apitest.ActionID(1), "too late")
	requireCode(t, err, http.StatusConflict, "not_cancellable")
	_, err = c.Cancel(t.Context(), apitest.ActionID(2), "asked")
	require.ErrorContains(t, err, "reject it")
	sql(t, e, `UPDATE actions SET state = 'planned', executing_ns = NULL, executed_ns = NULL, verified_ns = NULL WHERE id = $1`, apitest.ActionID(1))
	a, err := c.Cancel(t.Context(), apitest.ActionID(1), "a mistake")
	require.NoError(t, err)
	require.Equal(t, "cancelled", a.State)
	require.Equal(t, "cancelled by user:jane: a mistake", a.Note)
	_, err = c.Cancel(t.Context(), apitest.ActionID(1), "")
	requireCode(t, err, http.StatusBadRequest, "bad_body")
	p, err := c.Audit(t.Context(), client.AuditFilter{Action: apitest.ActionID(1), Kind: "action.result"})
	require.NoError(t, err)
	require.Equal(t, [2]string{"cancelled", "user:jane"}, [2]string{p.Items[0].Result, p.Items[0].Actor})
}

func TestDecisionsAgentsAndSources(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for i := range 3 {
		e.Add(t, i)
	}
	sql(t, e, `UPDATE decisions SET state = 'refused', reason = 'late', result = '{"a":1}', input = '{"now":"x"}' WHERE id = $1`, apitest.DecisionID(1))
	c := newClient(t, e)
	p, err := c.ListDecisions(t.Context(), client.DecisionSearch{Limit: 2})
	require.NoError(t, err)
	require.Len(t, p.Items, 2)
	require.Empty(t, p.Items[1].Input)
	p, err = c.ListDecisions(t.Context(), client.DecisionSearch{Limit: 2, Before: p.Next})
	require.NoError(t, err)
	require.Len(t, p.Items, 1)
	p, err = c.ListDecisions(t.Context(), client.DecisionSearch{State: "refused", Alert: apitest.AlertID(1), Playbook: apitest.Playbook, Since: apitest.Base})
	require.NoError(t, err)
	require.Len(t, p.Items, 1)
	d, err := c.Decision(t.Context(), apitest.DecisionID(1)[24:])
	require.NoError(t, err)
	require.JSONEq(t, `{"now":"x"}`, string(d.Input))
	d.Input = nil
	require.Equal(t, d, p.Items[0])

	sql(t, e, `INSERT INTO agents (cluster, node, boot_id, body, seen_at, silent_incident) VALUES
		('test', 'a', gen_random_uuid(), '{"version":"1"}', now(), NULL), ('test', 'b.example/c', gen_random_uuid(), '{"version":"2","lost":{"ring":3}}', now(), $1)`, apitest.IncidentID(1))
	agents, err := c.Agents(t.Context(), client.AgentFilter{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, "a", agents.Items[0].Node)
	agents, err = c.Agents(t.Context(), client.AgentFilter{Limit: 1, Before: agents.Next})
	require.NoError(t, err)
	require.Empty(t, agents.Next)
	silent, err := c.Agents(t.Context(), client.AgentFilter{Silent: new(true)})
	require.NoError(t, err)
	require.Equal(t, agents.Items, silent.Items)
	one, err := c.Agent(t.Context(), "test", "b.example/c")
	require.NoError(t, err)
	require.Equal(t, silent.Items[0], one)
	require.Equal(t, apitest.IncidentID(1), one.IncidentID)
	_, err = c.Agent(t.Context(), "test", "nobody")
	requireCode(t, err, http.StatusNotFound, "not_found")

	source, err := c.PlaybookSource(t.Context(), apitest.Playbook)
	require.NoError(t, err)
	require.Equal(t, []api.SourceFile{{Path: "kill.rego", Text: "package playbooks.kill_container_on_critical\n"}}, source.Files)
	_, err = c.PlaybookSource(t.Context(), "nobody")
	requireCode(t, err, http.StatusNotFound, "not_found")
	var doc struct{ OpenAPI string }
	_, body := do(t, "GET", e.URL+"/api/v1/openapi.json", "", bearer)
	require.NoError(t, json.Unmarshal([]byte(body), &doc))
	require.Equal(t, "3.0.3", doc.OpenAPI)
}
