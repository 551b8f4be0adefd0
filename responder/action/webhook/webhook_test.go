package webhook_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/action"
	"riposte/responder/action/webhook"
	"riposte/responder/notify"
)

var secret = []byte("0123456789abcdef")

// receiver is the other side: it takes what is signed.
func receiver(t *testing.T, status int) (*notify.Webhooks, *[]map[string]any, *[]string) {
	var bodies []map[string]any
	var ids []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get(notify.HeaderSignature) != notify.Sign(secret, r.Header.Get(notify.HeaderTimestamp), raw) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var body map[string]any
		if json.Unmarshal(raw, &body) == nil {
			bodies = append(bodies, body)
			ids = append(ids, r.Header.Get(notify.HeaderDelivery))
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	hooks, err := notify.New(map[string]notify.Destination{"tickets": {URL: server.URL, Secret: secret}})
	require.NoError(t, err)
	return hooks, &bodies, &ids
}

func request(params string) action.Request {
	return action.Request{
		ID: "a-1", Type: webhook.Type, Params: json.RawMessage(params), Reason: "a shell", AlertID: "al-1", Attempt: 1,
		Target: action.Target{Kind: action.KindPod, Cluster: "c", Namespace: "shop", Name: "cart", UID: "u"},
	}
}

func TestPost(t *testing.T) {
	hooks, bodies, ids := receiver(t, http.StatusAccepted)
	a := webhook.New(hooks)
	r := request(`{"to": "tickets", "data": {"queue": "security"}}`)
	require.NoError(t, a.Check(r.Target, r.Params))
	text, err := a.Preview(t.Context(), r)
	require.NoError(t, err)
	require.Contains(t, text, `webhook tickets would get {"schema":1`)
	require.Empty(t, *bodies)

	result, err := a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, "webhook tickets took the document", result.Note)
	require.False(t, result.VerifiedAt.IsZero())
	require.Equal(t, map[string]any{
		"schema": 1.0, "id": "a-1", "cluster": "c", "reason": "a shell", "alert_id": "al-1", "data": map[string]any{"queue": "security"},
		"target": map[string]any{"kind": "pod", "cluster": "c", "namespace": "shop", "name": "cart", "uid": "u"},
	}, (*bodies)[0])

	// After a crash it comes again, and the receiver can tell.
	_, err = a.Execute(t.Context(), r)
	require.NoError(t, err)
	require.Equal(t, []string{"a-1", "a-1"}, *ids)
	_, err = a.Verify(t.Context(), r)
	require.Equal(t, action.Permanent, action.KindOf(err))
}

func TestRefused(t *testing.T) {
	for status, want := range map[int]action.ErrorKind{http.StatusForbidden: action.Permanent, http.StatusBadGateway: action.Retryable} {
		hooks, _, _ := receiver(t, status)
		_, err := webhook.New(hooks).Execute(t.Context(), request(`{"to": "tickets"}`))
		require.Equal(t, want, action.KindOf(err))
	}
}

func TestParams(t *testing.T) {
	hooks, _, _ := receiver(t, http.StatusOK)
	for params, want := range map[string]string{
		`{}`:                          "params.to: is missing",
		`{"to": ""}`:                  "params.to: is empty",
		`{"to": "https://evil.test"}`: `params.to: no webhook is called "https://evil.test": there are tickets`,
		`{"to": "x", "url": "y"}`:     `params: unknown key "url": webhook knows to, data`,
		`{"to": "x", "data": []}`:     "params.data: is no map",
	} {
		require.ErrorContains(t, webhook.New(hooks).Check(request("").Target, json.RawMessage(params)), want, params)
	}
}
