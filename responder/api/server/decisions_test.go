package server_test

import (
	"encoding/json"
	"iter"
	"net/http"
	"net/http/httptest"
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

// told reads an export.
func told(t *testing.T, lines iter.Seq2[[]byte, error]) []api.Recorded {
	t.Helper()
	var all []api.Recorded
	for line, err := range lines {
		require.NoError(t, err)
		var r api.Recorded
		require.NoError(t, json.Unmarshal(line, &r))
		all = append(all, r)
	}
	return all
}

func TestExportDecisions(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	const n = 230 // more than two pages of the store's
	for i := range n {
		e.Add(t, i)
	}
	const body = `{"uuid":"u","time":"2026-03-01T12:00:02Z","rule":"<b>","priority":"Critical","source":"syscall","hostname":"h","output":"o","tags":[],"output_fields":{},` +
		`"riposte":{"schema":1,"cluster":"test","node":"node-0","boot_id":"b","seq":1,"pod":{"uid":"7d0c","labels":{"app":"x"},"owner":"DaemonSet/d"}}}`
	sql := func(query string, args ...any) {
		require.NoError(t, e.Store.InTx(t.Context(), func(tx store.Tx) error {
			_, err := tx.Exec(t.Context(), query, args...)
			return err
		}))
	}
	// Number 2 was never decided about; number 3 was by two, the second later.
	sql(`DELETE FROM actions WHERE alert_id = $1`, apitest.AlertID(2))
	sql(`DELETE FROM decisions WHERE alert_id = $1`, apitest.AlertID(2))
	sql(`UPDATE alerts SET body = $2, binding = 'bound', pod_uid = '7d0c' WHERE id = $1`, apitest.AlertID(2), body)
	sql(`INSERT INTO decisions (id, alert_id, playbook, revision, mode, state, reason, input, decided_ns, month, digest)
		SELECT gen_random_uuid(), alert_id, 'other', 'r', 'observe', 'refused', 'why', '{"now":"x <b>"}', decided_ns + 1, month, '\x01' FROM decisions WHERE alert_id = $1`, apitest.AlertID(3))
	c := newClient(t, e)

	all := told(t, c.Decisions(t.Context(), client.DecisionFilter{}))
	require.Len(t, all, n)
	for i, r := range all {
		require.Equal(t, apitest.AlertID(i), r.AlertID, "the oldest first")
	}
	require.Equal(t, "kill_container", all[0].Decisions[0].Actions[0].Type)
	require.Equal(t, apitest.Base.Add(30*time.Millisecond), *all[0].Decisions[0].Actions[0].ExecutedAt)
	require.False(t, all[0].Rebuilt)
	require.Empty(t, all[2].Decisions)
	require.True(t, all[2].Rebuilt)
	require.Contains(t, string(all[2].Input), `"pod":{"namespace":"shop","name":"cart-2","uid":"7d0c","node":"node-0","labels":{"app":"x"},"owner":"DaemonSet/d"}`)
	require.Len(t, all[3].Decisions, 2)
	require.Equal(t, `{}`, string(all[3].Input))
	require.Nil(t, all[3].Decisions[0].Input, "it is the line's")
	require.Equal(t, `{"now":"x <b>"}`, string(all[3].Decisions[1].Input), "exactly as stored") //nolint:testifylint // the bytes count

	require.Len(t, told(t, c.Decisions(t.Context(), client.DecisionFilter{Since: apitest.Base.Add(10 * time.Second)})), n-10)
	one := told(t, c.Decisions(t.Context(), client.DecisionFilter{Playbook: "other"}))
	require.Len(t, one, 1)
	require.Len(t, one[0].Decisions, 1)
	short := apitest.AlertID(7)
	require.Equal(t, apitest.AlertID(7), told(t, c.Decisions(t.Context(), client.DecisionFilter{Alert: short[len(short)-12:]}))[0].AlertID)
	require.Empty(t, told(t, c.Decisions(t.Context(), client.DecisionFilter{Playbook: "nobody"})))

	res, text := do(t, "GET", e.URL+"/api/v1/decisions/export?alert=x", "", bearer)
	requireProblem(t, res, text, http.StatusBadRequest, "bad_id")
	res, text = do(t, "GET", e.URL+"/api/v1/decisions/export?limit=3", "", bearer)
	requireProblem(t, res, text, http.StatusBadRequest, "unknown_parameter")

	// While one export runs there is no other one.
	next, stop := iter.Pull2(c.Decisions(t.Context(), client.DecisionFilter{}))
	_, err, _ := next()
	require.NoError(t, err)
	stop()
	require.Eventually(t, func() bool { // the server has to notice that the reader left
		res, _ := do(t, "GET", e.URL+"/api/v1/decisions/export?playbook=nobody", "", bearer)
		return res.StatusCode == http.StatusOK
	}, time.Minute, 10*time.Millisecond)
}

// What ends without its last line is not whole.
func TestExportThatBreaksOff(t *testing.T) {
	for name, c := range map[string]struct{ body, want string }{
		"no end":   {`{"alert_id":"a"}` + "\n", "broke off: its last line is missing"},
		"half":     {`{"alert_id":"a"}` + "\n" + `{"alert`, "broke off: its last line is missing"},
		"bad end":  {`{"end":false}` + "\n", `ends with`},
		"complete": {`{"alert_id":"a"}` + "\n" + `{"end":true,"alerts":1}` + "\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(c.body)) }))
			defer s.Close()
			one, err := client.New(s.URL, "t")
			require.NoError(t, err)
			var last error
			lines := 0
			for line, err := range one.Decisions(t.Context(), client.DecisionFilter{}) {
				last = err
				if err == nil {
					lines++
					require.True(t, strings.HasPrefix(string(line), "{"))
				}
			}
			if c.want == "" {
				require.NoError(t, last)
				require.Equal(t, 1, lines)
				return
			}
			require.ErrorContains(t, last, c.want)
		})
	}
}
