package server_test

import (
	"bytes"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api"
	"riposte/responder/api/apitest"
	"riposte/responder/api/client"
	"riposte/responder/audit"
	"riposte/responder/store/storetest"
)

func TestExportIsTheRecord(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 0)
	e.Add(t, 1)
	var export bytes.Buffer
	require.NoError(t, newClient(t, e).Export(t.Context(), &export))
	r, err := audit.VerifyExport(&export, audit.Evidence{})
	require.NoError(t, err)
	require.True(t, r.OK, "%+v", r)
	require.EqualValues(t, 4, r.Entries)
	res, body := do(t, "GET", e.URL+"/api/v1/audit/export?cluster=x", "", "Authorization: Bearer "+apitest.Token)
	requireProblem(t, res, body, http.StatusBadRequest, "unknown_parameter")
}

func TestVerificationTellsItsEnd(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 0)
	res, body := do(t, "GET", e.URL+"/api/v1/audit/verify", "", "Authorization: Bearer "+apitest.Token, "Accept: application/x-ndjson")
	require.Equal(t, "application/x-ndjson", res.Header.Get("Content-Type"))
	require.Equal(t, 1, strings.Count(body, "\n"))
	require.Contains(t, body, `"entries":2`)
	_, body = do(t, "GET", e.URL+"/api/v1/audit/verify", "", "Authorization: Bearer "+apitest.Token)
	require.Contains(t, body, `"first":1`)
}

func TestRedaction(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 0)
	c := newClient(t, e)
	r := api.Redaction{Cluster: "test", Seq: 2, Field: "reason", Reason: "a name"}
	entry := func() api.AuditEntry {
		p, err := c.Audit(t.Context(), client.AuditFilter{Action: apitest.ActionID(0), Kind: "action.result"})
		require.NoError(t, err)
		return p.Items[0]
	}
	require.Equal(t, "a shell in a container", entry().Reason)
	require.NoError(t, c.Redact(t.Context(), r))
	require.Empty(t, entry().Reason)
	p, err := c.Audit(t.Context(), client.AuditFilter{Kind: "audit.redaction"})
	require.NoError(t, err)
	require.Len(t, p.Items, 1)
	require.Equal(t, []string{"user:token", "reason of entry 2", "a name"}, []string{p.Items[0].Actor, p.Items[0].Note, p.Items[0].Reason})

	for want, change := range map[string]func(*api.Redaction){
		"not_found": func(*api.Redaction) {}, // erased already
		"bad_body":  func(r *api.Redaction) { r.Field = "actor" },
	} {
		bad := r
		change(&bad)
		var refused *client.Error
		require.True(t, errors.As(c.Redact(t.Context(), bad), &refused))
		require.Equal(t, want, refused.Code)
	}
	res, body := do(t, "POST", e.URL+"/api/v1/audit/redactions", `{"cluster":"test","seq":1,"field":"reason"}`, "Authorization: Bearer "+apitest.Token, "Content-Type: application/json")
	requireProblem(t, res, body, http.StatusBadRequest, "bad_body")
}

func TestSigningOutIsRecorded(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	cookie := signIn(t, e)
	res, _ := do(t, "DELETE", e.URL+"/api/v1/session", "", cookie, "Origin: "+e.URL)
	require.Equal(t, http.StatusNoContent, res.StatusCode)
	p, err := newClient(t, e).Audit(t.Context(), client.AuditFilter{Kind: "logout"})
	require.NoError(t, err)
	require.Len(t, p.Items, 1)
	require.Equal(t, "user:token", p.Items[0].Actor)
}
