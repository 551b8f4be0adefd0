package command

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/apitest"
)

// callers is a command for each operation of docs/openapi.json.
var callers = map[string]string{
	"listAlerts": "alerts list", "showAlert": "alerts show a00000000003",
	"listIncidents": "incidents list", "showIncidentTimeline": "incidents show b00000000003",
	"resolveIncident": "incidents resolve b00000000001 --reason r", "falsePositive": "incidents false-positive b00000000002 --reason r",
	"listDecisions": "decisions list", "showDecision": "decisions show d00000000003",
	"exportDecisions": "playbooks replay --since 365d",
	"listActions":     "actions list", "showAction": "actions show c00000000003", "showTimeline": "actions show c00000000003",
	"listApprovals": "actions pending", "showApproval": "actions show c00000000009",
	"approve": "actions approve c00000000005", "reject": "actions reject c00000000006",
	"cancel": "actions cancel c00000000007 --reason r", "lift": "actions lift c00000000008 --reason r",
	"listPlaybooks": "playbooks list", "showSource": "playbooks source " + apitest.Playbook, "showPlaybook": "playbooks show " + apitest.Playbook, "showCoverage": "playbooks show " + apitest.Playbook, "setMode": "playbooks mode " + apitest.Playbook + " observe",
	"showKillSwitch": "killswitch status", "setKillSwitch": "killswitch on", "listBudgets": "guard budgets",
	"listAgents": "agents list", "showAgent": "agents show node-1",
	"listAudit": "audit query", "countAudit": "audit stats", "showStory": "audit show c00000000003", "verifyAudit": "audit verify", "exportAudit": "audit export", "redactAudit": "audit redact 2 --field reason --why r",
	"listDeadLetters": "deadletters list", "showDeadLetter": "deadletters show e00000000001", "redrive": "deadletters redrive e00000000001 --reason r",
	"showStatus": "status", "streamEvents": "alerts list --watch",
	"listTokens": "tokens list", "createToken": "tokens create jane", "revokeToken": "tokens revoke 000000000000 --reason r",
	"showIdentity": "whoami",
}

// uncalled are the operations that no command calls, with the reason.
var uncalled = map[string]string{
	"showIncident": "incidents show has it with its timeline",
	"signIn":       "the console's: a command sends its token",
	"showSignIn":   "the console's: it offers the ways to sign in",
	"beginSignIn":  "the console's: it sends the browser to the issuer",
	"signOut":      "the console's",
	"showDocument": "for programs: docs/openapi.json is the same",
}

// Every operation of the API can be called from the command line: each command's
// requests are looked at on their way to the real API.
func TestEveryOperationHasACommand(t *testing.T) {
	b, err := os.ReadFile("../../docs/openapi.json")
	require.NoError(t, err)
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
		} `json:"paths"`
	}
	require.NoError(t, json.Unmarshal(b, &document))

	e := manualEnv(t)
	to, err := url.Parse(e.URL)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.FlushInterval = -1
	var mu sync.Mutex
	var seen []string
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, r.Method+" "+r.URL.Path)
		mu.Unlock()
		if strings.HasSuffix(r.URL.Path, "/events") { // that it is asked for is enough
			http.Error(w, "{}", http.StatusForbidden)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	data := folder(t, front.URL, apitest.Token)

	operations := 0
	for path, methods := range document.Paths {
		pattern := regexp.MustCompile("^" + regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(path), "[^/]+") + "$")
		for method, o := range methods {
			operations++
			if why, ok := uncalled[o.OperationID]; ok {
				require.NotEmpty(t, why)
				require.NotContains(t, callers, o.OperationID)
				continue
			}
			line, ok := callers[o.OperationID]
			require.True(t, ok, "no command calls %s %s (%s): add one, or say in uncalled why there is none", method, path, o.OperationID)
			mu.Lock()
			seen = nil
			mu.Unlock()
			_, _, err := run(t, append(strings.Fields(line), "--data", data)...) // whether it succeeds is other tests' question
			called := false
			for _, s := range seen {
				m, p, _ := strings.Cut(s, " ")
				called = called || strings.EqualFold(m, method) && pattern.MatchString(p)
			}
			require.True(t, called, "%q does not call %s: %v, %v", line, o.OperationID, seen, err)
		}
	}
	require.Equal(t, operations, len(callers)+len(uncalled), "the tables have operations that are not there")
}

// Every filter of a list of the API is a flag of its command.
func TestEveryFilterIsAFlag(t *testing.T) {
	b, err := os.ReadFile("../../docs/openapi.json")
	require.NoError(t, err)
	var document struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			Parameters  []struct{ Name, In string }
		} `json:"paths"`
	}
	require.NoError(t, json.Unmarshal(b, &document))
	looked := 0
	for _, methods := range document.Paths {
		for _, o := range methods {
			line := callers[o.OperationID]
			if !strings.HasSuffix(line, " list") && line != "audit query" {
				continue
			}
			words := strings.Fields(line)
			for _, c := range New("1.2.3", nil) {
				found, _, err := c.Find(words[1:])
				if c.Name() != words[0] || err != nil || found == c {
					continue
				}
				for _, p := range o.Parameters {
					if p.In == "query" && p.Name != "before" && p.Name != "fields" {
						looked++
						require.NotNil(t, found.Flags().Lookup(strings.ReplaceAll(p.Name, "_", "-")), "%s has no --%s", line, p.Name)
					}
				}
			}
		}
	}
	require.Greater(t, looked, 30)
}
