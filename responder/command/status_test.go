package command

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/api"
	"riposte/responder/api/apitest"
	"riposte/responder/api/server"
	"riposte/responder/playbook/sandbox"
	"riposte/responder/store/storetest"
)

// wellOptions are those of an API with which nothing is wrong.
func wellOptions() server.Options {
	return server.Options{
		Loads:   func() sandbox.Loads { return sandbox.Loads{Good: 1, GoodAt: apitest.Base} },
		Ready:   func(context.Context) map[string]error { return map[string]error{"bus": nil, "database": nil} },
		Backlog: func(context.Context) (uint64, uint64, error) { return 3, 2, nil },
	}
}

// settled replaces what differs each time: the address, and times of this run.
func settled(e *apitest.Env, out string) string {
	out = strings.ReplaceAll(out, e.URL, "http://API")
	return someTime.ReplaceAllString(out, "$1 some time")
}

var someTime = regexp.MustCompile(`(heard|Guard rules +loaded) [^\n]+`)

func TestStatusThatIsWell(t *testing.T) {
	e := apitest.StartWith(t, storetest.New(t), wellOptions())
	exec(t, e, `INSERT INTO agents VALUES ('test', 'node-0', '0b0c7a2e-1d5f-4a52-9a3c-7d8e9f001122', '{"version":"1.2.3","source":"ebpf","rules":12,"lost":{"ring":3,"queue":0}}', $1)`, apitest.Base)
	data := folder(t, e.URL, apitest.Token)
	out, errOut, err := run(t, "status", "--utc", "--data", data)
	require.NoError(t, err)
	golden(t, "status_well", "$ riposte status --utc\n"+settled(e, out)+errOut)
	out, _, err = run(t, "status", "-q", "--data", data)
	require.NoError(t, err)
	require.Empty(t, out)
}

// Everything at once that needs a person.
func TestStatusThatNeedsPeople(t *testing.T) {
	o := wellOptions()
	o.Loads = nil
	o.Ready = func(context.Context) map[string]error {
		return map[string]error{"bus": errors.New("NATS cannot be reached"), "database": nil}
	}
	o.Backlog = func(context.Context) (uint64, uint64, error) { return 12345, 100, nil }
	e := apitest.StartWith(t, storetest.New(t), o)
	for i := range 3 {
		e.Add(t, i)
	}
	e.Wait(t, 5, "two-person", "budget-node")
	e.AddDeadLetter(t, 1)
	exec(t, e, `UPDATE actions SET state = 'failed', verified_ns = NULL, planned_ns = $2 WHERE id = $1`, apitest.ActionID(0), time.Now().UnixNano())
	exec(t, e, `UPDATE actions SET state = 'unknown', verified_ns = NULL, planned_ns = $2 WHERE id = $1`, apitest.ActionID(1), time.Now().UnixNano())
	exec(t, e, `UPDATE actions SET lift_ns = 1 WHERE id = $1`, apitest.ActionID(2))
	exec(t, e, `UPDATE incidents SET state = 'contained', priority = 4 WHERE id = $1`, apitest.IncidentID(1))
	exec(t, e, `INSERT INTO agents (cluster, node, boot_id, body, seen_at, silent_incident)
		VALUES ('test', 'node; rm -rf '' \x1b', '0b0c7a2e-1d5f-4a52-9a3c-7d8e9f001122', '{}', $1, $2)`, apitest.Base, apitest.IncidentID(0))
	exec(t, e, `INSERT INTO audit_checkpoints (cluster, seq, kind, at_ns, hash, prev, key, signature) VALUES ('test', 2, 'checkpoint', $1, '', '', '', '')`, apitest.Base.UnixNano())
	exec(t, e, `INSERT INTO playbook_modes (playbook, mode, stepped_back, reason, actor, at)
		VALUES ($1, '', 'error-rate', '5 of its last 6 actions failed', 'system:guard', $2)`, apitest.Playbook, apitest.Base)
	require.NoError(t, e.Guard.Refresh(t.Context()))
	exec(t, e, `ALTER TABLE audit DISABLE TRIGGER audit_no_change`)
	exec(t, e, `UPDATE audit SET at = $1 WHERE seq = 3`, apitest.Base) // an hour without a checkpoint
	data := folder(t, e.URL, apitest.Token)
	_, _, err := run(t, "killswitch", "on", "--reason", "drill", "--data", data)
	require.NoError(t, err)

	out, _, err := run(t, "status", "--utc", "--data", data)
	require.ErrorIs(t, err, errNotWell)
	require.Equal(t, exitNotWell, exitStatus(err))
	golden(t, "status_not_well", "$ riposte status --utc\n"+settled(e, out))

	out, _, err = run(t, "status", "-o", "json", "--data", data)
	require.ErrorIs(t, err, errNotWell)
	var got struct {
		api.Status
		Well  bool
		Needs []need
	}
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.False(t, got.Well)
	require.Len(t, got.Needs, 13)
	require.Equal(t, int64(1), got.Actions.Failed)

	out, errOut, err := run(t, "status", "--quiet", "--data", data)
	require.ErrorIs(t, err, errNotWell)
	require.Empty(t, out+errOut)
}

func TestStatusWithoutTheDatabase(t *testing.T) {
	o := wellOptions()
	o.Ready = func(context.Context) map[string]error {
		return map[string]error{"bus": nil, "database": errors.New("connection refused")}
	}
	e := apitest.StartWith(t, storetest.New(t), o)
	e.AddDeadLetter(t, 1)
	out, _, err := run(t, "status", "--data", folder(t, e.URL, apitest.Token))
	require.ErrorIs(t, err, errNotWell)
	require.Contains(t, out, "! database does not work: connection refused\n")
	require.Contains(t, out, "1 thing needs a person")
}

// A verification that finds a change is told of from then on.
func TestStatusKnowsTheLastVerification(t *testing.T) {
	e := apitest.StartWith(t, storetest.New(t), wellOptions())
	e.Add(t, 0)
	exec(t, e, `UPDATE incidents SET state = 'resolved'`)
	data := folder(t, e.URL, apitest.Token)
	_, _, err := run(t, "audit", "verify", "--data", data)
	require.NoError(t, err)
	out, _, err := run(t, "status", "--data", data)
	require.NoError(t, err, out)
	require.Contains(t, out, "2 entries good")
	exec(t, e, `ALTER TABLE audit DISABLE TRIGGER audit_no_change`)
	exec(t, e, `UPDATE audit SET body = replace(convert_from(body, 'UTF8'), 'system:execute', 'system:nobody')::bytea WHERE seq = 2`)
	_, _, err = run(t, "audit", "verify", "--data", data)
	require.ErrorIs(t, err, errChanged)
	out, _, err = run(t, "status", "--data", data)
	require.ErrorIs(t, err, errNotWell)
	require.Contains(t, out, "somebody changed the record")
}
