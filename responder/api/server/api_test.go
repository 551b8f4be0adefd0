package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/api"
	"riposte/responder/api/apitest"
	"riposte/responder/api/client"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

func newClient(t testing.TB, e *apitest.Env) *client.Client {
	t.Helper()
	c, err := client.New(e.URL, apitest.Token)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// do makes one request; header is "Name: value" pairs.
func do(t testing.TB, method, url, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			req.Host = value
		}
		req.Header.Set(name, value)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	require.NoError(t, err)
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res, string(b)
}

const bearer = "Authorization: Bearer " + apitest.Token

func requireProblem(t *testing.T, res *http.Response, body string, status int, code string) {
	t.Helper()
	require.Equal(t, status, res.StatusCode, body)
	require.Equal(t, "application/problem+json", res.Header.Get("Content-Type"))
	var p api.Problem
	require.NoError(t, json.Unmarshal([]byte(body), &p))
	require.Equal(t, code, p.Code, body)
	require.Equal(t, status, p.Status)
	require.NotEmpty(t, p.Detail)
}

func TestAlertsAndTheirPages(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for i := range 7 {
		e.Add(t, i)
	}
	c := newClient(t, e)
	var ids []string
	for f := (client.AlertFilter{Limit: 3}); ; {
		p, err := c.Alerts(t.Context(), f)
		require.NoError(t, err)
		for _, a := range p.Items {
			ids = append(ids, a.ID)
		}
		if f.Before = p.Next; p.Next == "" {
			break
		}
	}
	var want []string
	for i := 6; i >= 0; i-- {
		want = append(want, apitest.AlertID(i))
	}
	require.Equal(t, want, ids)

	p, err := c.Alerts(t.Context(), client.AlertFilter{Rule: apitest.Rule(3), Priority: "error", Since: apitest.Base})
	require.NoError(t, err)
	require.Len(t, p.Items, 1)
	a := p.Items[0]
	require.Equal(t, "Error", a.Priority)
	require.Equal(t, apitest.Base.Add(3*time.Second), a.Time)
	require.Equal(t, "shop", a.Namespace)
	require.Contains(t, a.Output, "<b>&\x1b]0;owned")
	require.JSONEq(t, `{"rule":"as sent","big":12345678901234567890}`, string(a.Body))

	one, err := c.Alert(t.Context(), apitest.AlertID(3)[24:])
	require.NoError(t, err)
	require.Equal(t, a, one)
}

func TestTimelineCountsFromTheSystemCall(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 0)
	c := newClient(t, e)
	line, err := c.Timeline(t.Context(), apitest.ActionID(0))
	require.NoError(t, err)
	ms := int64(time.Millisecond)
	var got []string
	for _, s := range line.Stages {
		got = append(got, fmt.Sprint(s.Name, " ", s.NS/ms))
		require.Equal(t, s.NS, s.At.Sub(apitest.Base).Nanoseconds())
	}
	require.Equal(t, []string{"syscall 0", "alert 1", "received 3", "decided 5", "executed 30", "verified 40", "audited 42"}, got)
	require.True(t, line.Verified)
	require.Equal(t, apitest.ContainerID(0), line.ContainerID)
	require.Equal(t, "container 000000000000 on node-0", line.TargetName)

	// Of an action that has only been planned the later stages are left out; an alert
	// without the system call's time counts from the alert.
	sql(t, e, `UPDATE actions SET state = 'planned', executing_ns = NULL, executed_ns = NULL, verified_ns = NULL, audited_ns = NULL`)
	sql(t, e, `UPDATE alerts SET kernel_ns = 0`)
	line, err = c.Timeline(t.Context(), apitest.ActionID(0))
	require.NoError(t, err)
	got = nil
	for _, s := range line.Stages {
		got = append(got, fmt.Sprint(s.Name, " ", s.NS/ms))
	}
	require.Equal(t, []string{"alert 0", "received 2", "decided 4"}, got)
	require.False(t, line.Verified)
}

func sql(t testing.TB, e *apitest.Env, query string, args ...any) {
	t.Helper()
	require.NoError(t, e.Store.InTx(t.Context(), func(tx store.Tx) error {
		_, err := tx.Exec(t.Context(), query, args...)
		return err
	}))
}

func TestActionsByFilter(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for i := range 3 {
		e.Add(t, i)
	}
	sql(t, e, `UPDATE actions SET state = 'refused', refused_by = 'protected-namespace', executed_ns = NULL, verified_ns = NULL WHERE id = $1`, apitest.ActionID(1))
	c := newClient(t, e)
	for name, tc := range map[string]struct {
		filter client.ActionFilter
		want   []int
	}{
		"all":       {client.ActionFilter{}, []int{2, 1, 0}},
		"state":     {client.ActionFilter{State: "refused"}, []int{1}},
		"type":      {client.ActionFilter{Type: "delete_pod"}, nil},
		"playbook":  {client.ActionFilter{Playbook: "kill_container_on_critical", Limit: 1}, []int{2}},
		"alert":     {client.ActionFilter{Alert: apitest.AlertID(2)}, []int{2}},
		"container": {client.ActionFilter{Container: apitest.ContainerID(2)[:12]}, []int{2}},
		"since":     {client.ActionFilter{Since: apitest.Base.Add(time.Second)}, []int{2, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := c.Actions(t.Context(), tc.filter)
			require.NoError(t, err)
			var got []int
			for _, a := range p.Items {
				for i := range 3 {
					if a.ID == apitest.ActionID(i) {
						got = append(got, i)
					}
				}
			}
			require.Equal(t, tc.want, got)
		})
	}
	a, err := c.Action(t.Context(), apitest.ActionID(1))
	require.NoError(t, err)
	require.Equal(t, "protected-namespace", a.RefusedBy)
	require.Nil(t, a.ExecutedAt)
	require.Equal(t, apitest.Rule(1), a.Rule)
	_, err = c.Action(t.Context(), apitest.ActionID(9))
	var apiErr *client.Error
	require.ErrorAs(t, err, &apiErr)
	require.Equal(t, "not_found", apiErr.Code)
}

func TestBadQueriesSayWhatIsWrong(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for path, want := range map[string]struct {
		code, says string
	}{
		"alerts?colour=red":                        {"unknown_parameter", "use rule, priority"},
		"alerts?rule=a&rule=b":                     {"bad_parameter", "rule: it is given 2 times"},
		"alerts?priority=loud":                     {"bad_parameter", "unknown priority"},
		"alerts?since=yesterday":                   {"bad_parameter", "since:"},
		"alerts?since=2500-01-01T00:00:00Z":        {"bad_parameter", "since:"},
		"alerts?limit=0":                           {"bad_parameter", "from 1 to 500"},
		"alerts?limit=501":                         {"bad_parameter", "from 1 to 500"},
		"alerts?before=xyz":                        {"bad_parameter", "before:"},
		"alerts?rule=%00":                          {"bad_parameter", "rule:"},
		"alerts?rule=%ff":                          {"bad_parameter", "rule:"},
		"alerts?rule=%zz":                          {"bad_query", "query"},
		"alerts?rule=" + strings.Repeat("x", 2000): {"bad_parameter", "too long"},
		"actions?state=done":                       {"bad_parameter", "planned, waiting"},
		"actions?alert=nope":                       {"bad_id", "UUID"},
		"audit?kind=gossip":                        {"bad_parameter", "action.intent"},
		"audit?action=1;DROP+TABLE":                {"bad_query", "query"},
		"status?x=1":                               {"unknown_parameter", "use fields"},
		"actions/nope":                             {"bad_id", "UUID"},
		"actions/nope/timeline":                    {"bad_id", "UUID"},
		"nothing/here":                             {"no_such_endpoint", "there is no GET"},
	} {
		t.Run(strings.SplitN(path, "=", 2)[0], func(t *testing.T) {
			res, body := do(t, "GET", e.URL+"/api/v1/"+path, "", bearer)
			status := http.StatusBadRequest
			if want.code == "no_such_endpoint" {
				status = http.StatusNotFound
			}
			requireProblem(t, res, body, status, want.code)
			require.Contains(t, body, want.says)
		})
	}
}

func TestAuditAndItsVerification(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 0)
	e.Add(t, 1)
	c := newClient(t, e)
	p, err := c.Audit(t.Context(), client.AuditFilter{Action: apitest.ActionID(1), Kind: "action.result"})
	require.NoError(t, err)
	require.Len(t, p.Items, 1)
	require.Equal(t, "system:execute", p.Items[0].Actor)
	require.EqualValues(t, 4, p.Items[0].Seq)
	require.Len(t, p.Items[0].Hash, 64)

	v, err := c.Verify(t.Context())
	require.NoError(t, err)
	require.True(t, v.OK)
	require.EqualValues(t, 4, v.Entries)

	sql(t, e, `ALTER TABLE audit DISABLE TRIGGER audit_no_change`)
	sql(t, e, `UPDATE audit SET body = replace(convert_from(body, 'UTF8'), 'system:execute', 'system:nobody')::bytea WHERE seq = 2`)
	v, err = c.Verify(t.Context())
	require.NoError(t, err)
	require.False(t, v.OK)
	require.EqualValues(t, 2, v.Chains[0].BadSeq)
	require.NotEmpty(t, v.Chains[0].Reason)
}

func TestStatus(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	sql(t, e, `INSERT INTO agents VALUES ('test', 'node-0', gen_random_uuid(), '{"version":"1.2.3","source":"ebpf","rules":12,"lost":{"ring":3}}', $1), ('test', 'node-1', gen_random_uuid(), 'damaged', $1)`, apitest.Base)
	st, err := newClient(t, e).Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, "test", st.Cluster)
	require.Equal(t, []api.Agent{
		{Cluster: "test", Node: "node-0", Version: "1.2.3", Source: "ebpf", Rules: 12, SeenAt: apitest.Base, Lost: map[string]uint64{"ring": 3}},
		{Cluster: "test", Node: "node-1", SeenAt: apitest.Base},
	}, st.Agents)
	require.Len(t, st.Playbooks, 1)
	require.False(t, st.KillSwitch.On)
}

func TestKillSwitchIsSetAndRecorded(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	c := newClient(t, e)
	k, err := c.SetKillSwitch(t.Context(), api.KillSwitch{On: true, Reason: "drill"})
	require.NoError(t, err)
	require.True(t, k.On)
	k, err = c.KillSwitch(t.Context())
	require.NoError(t, err)
	require.Equal(t, api.KillSwitch{On: true, Reason: "drill", Actor: "user:token", At: &apitest.Base}, k)
	_, err = c.SetKillSwitch(t.Context(), api.KillSwitch{})
	require.NoError(t, err)
	p, err := c.Audit(t.Context(), client.AuditFilter{Kind: "killswitch"})
	require.NoError(t, err)
	require.Len(t, p.Items, 2)
	require.Equal(t, "off", p.Items[0].Result)
	require.Equal(t, "on", p.Items[1].Result)
	require.Equal(t, "user:token", p.Items[1].Actor)
	require.Equal(t, "drill", p.Items[1].Reason)

	for body, code := range map[string]string{
		``: "bad_body", `{}`: "bad_body", `{"on":true,"x":1}`: "bad_body", `{"on":true} {}`: "bad_body",
		`{"on":true,"reason":"` + strings.Repeat("x", 1001) + `"}`:   "bad_body",
		`{"on":true,"reason":"` + strings.Repeat("x", 17<<10) + `"}`: "body_too_large",
	} {
		res, got := do(t, "PUT", e.URL+"/api/v1/guard/kill-switch", body, bearer, "Content-Type: application/json")
		status := http.StatusBadRequest
		if code == "body_too_large" {
			status = http.StatusRequestEntityTooLarge
		}
		requireProblem(t, res, got, status, code)
	}
	res, got := do(t, "PUT", e.URL+"/api/v1/guard/kill-switch", `{"on":true}`, bearer, "Content-Type: text/plain")
	requireProblem(t, res, got, http.StatusUnsupportedMediaType, "bad_content_type")
}

// Turning it on stops effects even when the record cannot be written; turning it
// off is refused then, because that would let effects happen unrecorded.
func TestKillSwitchWithoutARecord(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	c := newClient(t, e)
	sql(t, e, `ALTER TABLE audit RENAME TO audit_away`)
	_, err := c.SetKillSwitch(t.Context(), api.KillSwitch{On: true})
	var apiErr *client.Error
	require.ErrorAs(t, err, &apiErr)
	require.Equal(t, "not_recorded", apiErr.Code)
	_, err = c.SetKillSwitch(t.Context(), api.KillSwitch{On: false})
	require.ErrorAs(t, err, &apiErr)
	require.Equal(t, "internal", apiErr.Code)
	require.NotContains(t, apiErr.Error(), "audit", "the cause stays in the log")
	k, err := c.KillSwitch(t.Context())
	require.NoError(t, err)
	require.True(t, k.On)
}

func TestReadyTellsNothingElse(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for _, path := range []string{"/healthz", "/readyz"} {
		res, body := do(t, "GET", e.URL+path, "")
		require.Equal(t, http.StatusOK, res.StatusCode)
		require.Equal(t, "ok\n", body)
	}
	e.Store.Close()
	res, body := do(t, "GET", e.URL+"/readyz", "")
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.Equal(t, "not ready\n", body)
	res, _ = do(t, "GET", e.URL+"/healthz", "")
	require.Equal(t, http.StatusOK, res.StatusCode)
}

func TestConsole(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for _, path := range []string{"/", "/alerts", "/index.html"} {
		res, body := do(t, "GET", e.URL+path, "")
		require.Equal(t, http.StatusOK, res.StatusCode)
		policy := res.Header.Get("Content-Security-Policy")
		_, nonce, _ := strings.Cut(policy, "'nonce-")
		nonce, _, _ = strings.Cut(nonce, "'")
		require.Len(t, nonce, 26)
		require.Contains(t, body, `content="`+nonce+`"`)
		require.Equal(t, "no-store", res.Header.Get("Cache-Control"))
		require.NotContains(t, policy, "unsafe")
	}
	res, _ := do(t, "GET", e.URL+"/assets/app-1234.js", "")
	require.Equal(t, "text/javascript; charset=utf-8", res.Header.Get("Content-Type"))
	require.Contains(t, res.Header.Get("Cache-Control"), "immutable")
	for _, path := range []string{"/secret.go", "/assets/gone.js", "/..%2f..%2fetc/passwd.txt"} {
		res, _ := do(t, "GET", e.URL+path, "")
		require.Equal(t, http.StatusNotFound, res.StatusCode, path)
	}
	for _, h := range []string{"X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy"} {
		require.NotEmpty(t, res.Header.Get(h), h)
	}
}

func TestQueryOfClientIsEscaped(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	p, err := newClient(t, e).Alerts(t.Context(), client.AlertFilter{Rule: "a&limit=0#" + url.QueryEscape("%")})
	require.NoError(t, err)
	require.Empty(t, p.Items)
}
