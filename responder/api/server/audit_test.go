package server_test

import (
	"bytes"
	"io"
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
	body, err := newClient(t, e).Export(t.Context(), client.ExportPart{})
	require.NoError(t, err)
	defer body.Close()
	whole, err := io.ReadAll(body)
	require.NoError(t, err)
	r, err := audit.VerifyExport(bytes.NewReader(whole), audit.Evidence{})
	require.NoError(t, err)
	require.True(t, r.OK, "%+v", r)
	require.EqualValues(t, 4, r.Entries)

	// One that broke off after its second entry, and what is appended to it.
	lines := strings.SplitAfter(string(whole), "\n")
	rest, err := newClient(t, e).Export(t.Context(), client.ExportPart{Cluster: "test", After: 2, To: 4})
	require.NoError(t, err)
	defer rest.Close()
	more, err := io.ReadAll(rest)
	require.NoError(t, err)
	require.Equal(t, string(whole), strings.Join(lines[:3], "")+string(more), "a head and two entries, and the others")
	part, err := newClient(t, e).Export(t.Context(), client.ExportPart{Cluster: "nobody's"})
	require.NoError(t, err)
	defer part.Close()
	none, err := io.ReadAll(part)
	require.NoError(t, err)
	require.Empty(t, none)
	for query, code := range map[string]string{"bad=1": "unknown_parameter", "after=1": "bad_parameter", "cluster=test&after=0": "bad_parameter", "to=1": "bad_parameter"} {
		res, body := do(t, "GET", e.URL+"/api/v1/audit/export?"+query, "", "Authorization: Bearer "+apitest.Token)
		requireProblem(t, res, body, http.StatusBadRequest, code)
	}
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
		require.ErrorAs(t, c.Redact(t.Context(), bad), &refused)
		require.Equal(t, want, refused.Code)
	}
	res, body := do(t, "POST", e.URL+"/api/v1/audit/redactions", `{"cluster":"test","seq":1,"field":"reason"}`, "Authorization: Bearer "+apitest.Token, "Content-Type: application/json")
	requireProblem(t, res, body, http.StatusBadRequest, "bad_body")
}

func TestSigningOutIsRecorded(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	cookie := signIn(t, e)
	res, _ := do(t, "DELETE", e.URL+"/api/v1/session", "", cookie, "Origin: "+e.URL)
	require.Equal(t, http.StatusOK, res.StatusCode)
	p, err := newClient(t, e).Audit(t.Context(), client.AuditFilter{Kind: "logout"})
	require.NoError(t, err)
	require.Len(t, p.Items, 1)
	require.Equal(t, "user:token", p.Items[0].Actor)
}
