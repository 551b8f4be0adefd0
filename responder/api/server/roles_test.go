package server_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/api"
	"riposte/responder/api/access"
	"riposte/responder/api/apitest"
	"riposte/responder/api/server"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

// roleToken is the token of a principal who has one role, and limits.
func roleToken(name string) string { return name + "-token-0123456789abcdef0123456789abcdef" }

// startRoles is an API that knows somebody of each role, everywhere and limited.
func startRoles(t *testing.T) *apitest.Env {
	t.Helper()
	who := func(name string, role access.Role, reach store.Reach) access.Principal {
		return access.Principal{Name: name, Token: roleToken(name), Grants: []access.Grant{{Role: role, Reach: reach}}}
	}
	shop, cart := store.Reach{Namespaces: []string{"shop"}}, store.Reach{Namespaces: []string{"cart"}}
	all := []access.Principal{{Name: "none", Token: roleToken("none")}}
	for _, role := range access.RoleNames() {
		r, err := access.ParseRole(role)
		require.NoError(t, err)
		all = append(all, who(role, r, store.Reach{}), who(role+"-shop", r, shop), who(role+"-cart", r, cart), who(role+"-elsewhere", r, store.Reach{Clusters: []string{"other"}}))
	}
	all = append(all, access.Principal{Name: "mixed", Token: roleToken("mixed"), Grants: []access.Grant{
		{Role: access.Viewer}, {Role: access.Approver, Reach: cart},
	}})
	return apitest.StartWith(t, storetest.New(t), server.Options{Principals: all})
}

// expected is what each endpoint answers to who has its role: everywhere, within
// the namespace that all the rows are in, and within another one. "" is a success;
// an endpoint without a line fails the test.
var expected = map[string]struct {
	least                  string
	body                   string
	everywhere, here, away string
}{
	"GET /api/v1/alerts":                         {"viewer", "", "", "", ""},
	"GET /api/v1/alerts/{id}":                    {"viewer", "", "", "", "not_found"},
	"GET /api/v1/incidents":                      {"viewer", "", "", "", ""},
	"GET /api/v1/incidents/{id}":                 {"viewer", "", "", "", "not_found"},
	"GET /api/v1/incidents/{id}/timeline":        {"viewer", "", "", "", "not_found"},
	"POST /api/v1/incidents/{id}/resolve":        {"responder", `{"reason":"r"}`, "", "", "not_found"},
	"POST /api/v1/incidents/{id}/false-positive": {"responder", `{"reason":"r"}`, "", "", "not_found"},
	"GET /api/v1/decisions":                      {"viewer", "", "", "", ""},
	"GET /api/v1/decisions/export":               {"viewer", "", "", "", ""},
	"GET /api/v1/decisions/{id}":                 {"viewer", "", "", "", "not_found"},
	"GET /api/v1/actions":                        {"viewer", "", "", "", ""},
	"GET /api/v1/actions/{id}":                   {"viewer", "", "", "", "not_found"},
	"GET /api/v1/actions/{id}/timeline":          {"viewer", "", "", "", "not_found"},
	"GET /api/v1/actions/{id}/approval":          {"viewer", "", "", "", "not_found"},
	"POST /api/v1/actions/{id}/approve":          {"approver", `{}`, "", "", "not_found"},
	"POST /api/v1/actions/{id}/reject":           {"approver", `{}`, "", "", "not_found"},
	"POST /api/v1/actions/{id}/cancel":           {"responder", `{"reason":"r"}`, "", "", "not_found"},
	"POST /api/v1/actions/{id}/lift":             {"responder", `{"reason":"r"}`, "not_liftable", "not_liftable", "not_found"},
	"GET /api/v1/approvals":                      {"viewer", "", "", "", ""},
	"GET /api/v1/playbooks":                      {"viewer", "", "", "", ""},
	"GET /api/v1/playbooks/{name}":               {"viewer", "", "", "", ""},
	"GET /api/v1/playbooks/{name}/source":        {"viewer", "", "", "", ""},
	"GET /api/v1/playbooks/{name}/coverage":      {"viewer", "", "", "", ""},
	"PUT /api/v1/playbooks/{name}/mode":          {"admin", `{"mode":"observe"}`, "", "forbidden", "forbidden"},
	"GET /api/v1/guard/kill-switch":              {"viewer", "", "", "", ""},
	"PUT /api/v1/guard/kill-switch":              {"responder", `{"on":true}`, "", "forbidden", "forbidden"},
	"GET /api/v1/guard/budgets":                  {"viewer", "", "", "", ""},
	"GET /api/v1/agents":                         {"viewer", "", "", "", ""},
	"GET /api/v1/agents/{cluster}/{node}":        {"viewer", "", "", "not_found", "not_found"},
	"GET /api/v1/audit":                          {"viewer", "", "", "", ""},
	"GET /api/v1/audit/stats":                    {"viewer", "", "", "", ""},
	"GET /api/v1/audit/stories/{id}":             {"viewer", "", "", "", "not_found"},
	"GET /api/v1/audit/verify":                   {"viewer", "", "", "forbidden", "forbidden"},
	"GET /api/v1/audit/export":                   {"viewer", "", "", "forbidden", "forbidden"},
	"POST /api/v1/audit/redactions":              {"admin", `{"cluster":"test","seq":999999,"field":"note","reason":"r"}`, "not_found", "forbidden", "forbidden"},
	"GET /api/v1/deadletters":                    {"viewer", "", "", "", ""},
	"GET /api/v1/deadletters/{id}":               {"viewer", "", "", "not_found", "not_found"},
	"POST /api/v1/deadletters/{id}/redrive":      {"admin", `{"reason":"r"}`, "still_dead", "not_found", "not_found"},
	"GET /api/v1/status":                         {"viewer", "", "", "", ""},
	"GET /api/v1/events":                         {"viewer", "", "", "", ""},
	"GET /api/v1/tokens":                         {"admin", "", "", "forbidden", "forbidden"},
	"POST /api/v1/tokens":                        {"admin", `{"name":"n","role":"viewer","expires_at":"EXPIRES"}`, "", "forbidden", "forbidden"},
	"POST /api/v1/tokens/{id}/revoke":            {"admin", `{"reason":"r"}`, "not_found", "forbidden", "forbidden"},
	"GET /api/v1/session":                        {"none", "", "", "", ""},
	"DELETE /api/v1/session":                     {"none", "", "", "", ""},
	"GET /api/v1/openapi.json":                   {"none", "", "", "", ""},
	"GET /api/v1/signin":                         {"open", "", "", "", ""},
	"POST /api/v1/signin":                        {"open", `{"return_to":"/"}`, "no_issuer", "no_issuer", "no_issuer"},
	"POST /api/v1/session":                       {"open", `{"token":"` + apitest.Token + `"}`, "", "", ""},
	"/api/":                                      {"none", "", "no_such_endpoint", "no_such_endpoint", "no_such_endpoint"},
}

// Every endpoint by every role, everywhere, within the rows' namespace and within
// another one.
func TestEveryEndpointByRole(t *testing.T) {
	e := startRoles(t)
	var described []string
	for _, one := range server.Endpoints(e.Server) {
		described = append(described, one.Pattern)
		row, ok := expected[one.Pattern]
		require.True(t, ok, "%s has no line in the table of roles", one.Pattern)
		least := one.Role.String()
		if one.Open {
			least = "open"
		}
		require.Equal(t, row.least, least, one.Pattern)
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(expected)), described, "the table has lines of endpoints that are not there")

	roles := append([]string{"none"}, access.RoleNames()...)
	number := 0
	for _, pattern := range described {
		row := expected[pattern]
		for i, role := range roles {
			for _, reach := range []struct{ name, want string }{{"", row.everywhere}, {"-shop", row.here}, {"-cart", row.away}, {"-elsewhere", row.away}} {
				if role == "none" && reach.name != "" {
					continue
				}
				want := reach.want
				if i < slices.Index(roles, row.least) {
					want = "forbidden"
				}
				number++
				t.Run(role+reach.name+" "+pattern, func(t *testing.T) {
					require.Equal(t, want, ask(t, e, number, pattern, row.body, roleToken(role+reach.name)))
				})
			}
		}
	}
}

// ask makes a row that a request can be about, and the request, and returns the
// answer's code, empty for a success.
func ask(t *testing.T, e *apitest.Env, number int, pattern, body, token string) string {
	t.Helper()
	method, path, found := strings.Cut(pattern, " ")
	if !found {
		method, path = "GET", "/api/v1/nothing"
	}
	id := apitest.AlertID(number)
	switch {
	case strings.Contains(path, "approv") || strings.Contains(path, "reject"):
		e.Wait(t, number, "requires-approval")
		id = apitest.ActionID(number)
	case strings.Contains(path, "actions/") || strings.Contains(path, "stories/"):
		e.Add(t, number)
		if strings.HasSuffix(path, "cancel") {
			sql(t, e, `UPDATE actions SET state = 'planned', executing_ns = NULL, executed_ns = NULL, verified_ns = NULL WHERE id = $1`, apitest.ActionID(number))
		}
		if strings.HasSuffix(path, "lift") {
			sql(t, e, `UPDATE actions SET lifted_ns = 1 WHERE id = $1`, apitest.ActionID(number))
		}
		id = apitest.ActionID(number)
	case strings.Contains(path, "incidents/"):
		e.Add(t, number)
		id = apitest.IncidentID(number)
	case strings.Contains(path, "decisions/"):
		e.Add(t, number)
		id = apitest.DecisionID(number)
	case strings.Contains(path, "deadletters/"):
		e.AddDeadLetter(t, number)
		id = apitest.DeadLetterID(number)
	case strings.Contains(path, "alerts/"):
		e.Add(t, number)
	case strings.Contains(path, "agents/"):
		sql(t, e, `INSERT INTO agents VALUES ('test', 'node-0', gen_random_uuid(), '{}', now()) ON CONFLICT DO NOTHING`)
	}
	path = strings.NewReplacer("{id}", id, "{name}", apitest.Playbook, "{cluster}", "test", "{node}", "node-0").Replace(path)
	body = strings.Replace(body, "EXPIRES", time.Now().Add(time.Hour).UTC().Format(time.RFC3339), 1)
	header := []string{"Authorization: Bearer " + token}
	if body != "" {
		header = append(header, "Content-Type: application/json")
	}
	if strings.HasSuffix(path, "/events") {
		return askStream(t, e.URL+path, header[0])
	}
	res, answer := do(t, method, e.URL+path, body, header...)
	if res.StatusCode < 300 {
		return ""
	}
	var p api.Problem
	require.NoError(t, json.Unmarshal([]byte(answer), &p), answer)
	return p.Code
}

// askStream reads no more of a stream than that it is one.
func askStream(t *testing.T, url, header string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	name, value, _ := strings.Cut(header, ": ")
	req.Header.Set(name, value)
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		return ""
	}
	var p api.Problem
	require.NoError(t, json.NewDecoder(res.Body).Decode(&p))
	return p.Code
}
