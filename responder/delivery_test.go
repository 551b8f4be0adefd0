package responder_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/api"
	"riposte/responder/api/client"
)

// The HTTP intake beside the bus, as a responder starts it.
func TestTheHTTPIntake(t *testing.T) {
	r := newRig(t)
	sum := sha256.Sum256([]byte("a-token-of-falco"))
	file := filepath.Join(t.TempDir(), "intake.yaml")
	require.NoError(t, os.WriteFile(file, []byte("identities:\n- {name: falco, token_sha256: ["+hex.EncodeToString(sum[:])+"], clusters: ["+cluster+"]}\n"), 0o600))
	r.options.IntakeListen, r.options.IntakeIdentities = "127.0.0.1:0", file
	one, c := r.run(t)
	body := `{"output":"o","priority":"Warning","rule":"From Falco","source":"syscall","time":"2026-01-02T15:04:05.1Z","output_fields":{"proc.name":"sh"},"hostname":"h"}`
	for range 2 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+one.IntakeAddr()+"/falco", strings.NewReader(body))
		require.NoError(t, err)
		req.Header.Set("Authorization", "Bearer a-token-of-falco")
		res, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		answer, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		require.NoError(t, res.Body.Close())
		require.Equal(t, http.StatusOK, res.StatusCode, string(answer))
	}
	http.DefaultClient.CloseIdleConnections()
	p, err := c.Alerts(t.Context(), client.AlertFilter{Rule: "From Falco"})
	require.NoError(t, err)
	require.Len(t, p.Items, 1)
	require.EqualValues(t, 1, p.Items[0].Count)
}

// What a node may not publish reaches the dead letters, or nobody: it cannot even
// write another node's subject.
func TestForgedAndBrokenMessages(t *testing.T) {
	r := newRig(t)
	_, c := r.run(t)
	other := critical(1, strings.Repeat("ab", 32))
	other.Riposte.Node = "node-2.example"
	r.send(t, critical(2, strings.Repeat("cd", 32))) // a good one
	publish := func(data, id string) {
		t.Helper()
		require.NoError(t, r.node.PublishMsg(alertMessage(alert.Critical, data, id)))
	}
	foreign, err := json.Marshal(other)
	require.NoError(t, err)
	publish(string(foreign), other.Riposte.MessageID())
	publish("{", "broken")
	require.NoError(t, r.node.Flush())
	var letters []api.DeadLetter
	require.Eventually(t, func() bool {
		p, err := c.DeadLetters(t.Context(), client.DeadLetterFilter{})
		require.NoError(t, err)
		letters = p.Items
		return len(letters) == 2
	}, 20*time.Second, 10*time.Millisecond)
	reasons := map[string]string{}
	for _, d := range letters {
		reasons[d.Reason] = d.Node
	}
	require.Equal(t, map[string]string{"foreign": node, "malformed": node}, reasons)
	var open []api.Incident
	require.Eventually(t, func() bool {
		p, err := c.Incidents(t.Context(), client.IncidentFilter{State: "open", Kind: "alerts"})
		require.NoError(t, err)
		open = p.Items
		return len(open) == 1
	}, 20*time.Second, 10*time.Millisecond)
	p, err := c.Alerts(t.Context(), client.AlertFilter{})
	require.NoError(t, err)
	require.Len(t, p.Items, 1)
	require.Equal(t, node, p.Items[0].Node)
	closed, err := c.ResolveIncident(t.Context(), open[0].ID, "a test")
	require.NoError(t, err)
	require.Equal(t, "resolved", closed.State)
}
