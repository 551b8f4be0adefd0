package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/api"
	"riposte/responder/api/apitest"
	"riposte/responder/api/client"
	"riposte/responder/api/server"
	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
	"riposte/responder/store"
	"riposte/responder/store/storetest"
)

func TestFiltersOfTheRecord(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	for i := range 6 {
		e.Add(t, i)
	}
	c := newClient(t, e)
	// Entries 2i+1 and 2i+2 are of number i.
	for name, q := range map[string]struct {
		filter client.AuditFilter
		want   []int64
	}{
		"kind":                  {client.AuditFilter{Kind: "action.intent"}, []int64{11, 9, 7, 5, 3, 1}},
		"actor and name":        {client.AuditFilter{Actor: "system:execute", Name: "cart-3"}, []int64{8}},
		"type and result":       {client.AuditFilter{Type: "kill_container", Result: "planned", UID: apitest.ContainerID(4)}, []int64{9}},
		"another type":          {client.AuditFilter{Type: "delete_pod"}, nil},
		"target kind and name":  {client.AuditFilter{TargetKind: "container", Namespace: "shop", Name: "cart-0"}, []int64{2, 1}},
		"another namespace":     {client.AuditFilter{Namespace: "bank"}, nil},
		"labels":                {client.AuditFilter{Selector: parse(t, "app=cart,number=5")}, []int64{12, 11}},
		"a label of none":       {client.AuditFilter{Selector: parse(t, "app=cart,number=7")}, nil},
		"playbook":              {client.AuditFilter{Playbook: apitest.Playbook, Name: "cart-1"}, []int64{3}},
		"revision":              {client.AuditFilter{Revision: "0123456789abcd", Name: "cart-1"}, []int64{3}},
		"another revision":      {client.AuditFilter{Revision: "0123456789ab0"}, nil},
		"incident":              {client.AuditFilter{Incident: apitest.IncidentID(2)}, []int64{6, 5}},
		"incident's last group": {client.AuditFilter{Incident: "B00000000002"}, []int64{6, 5}},
		"alert's last group":    {client.AuditFilter{Alert: "a00000000002"}, []int64{6, 5}},
		"no such alert":         {client.AuditFilter{Alert: "affffffffff0"}, nil},
		"text":                  {client.AuditFilter{Text: `"in a container" -pod`, Name: "cart-2"}, []int64{6, 5}},
		"text of none":          {client.AuditFilter{Text: "container -shell"}, nil},
		"hostile text":          {client.AuditFilter{Text: `'"):*&!<->\`}, nil},
		"until":                 {client.AuditFilter{Until: apitest.Base.Add(time.Second)}, []int64{2, 1}},
		"since and until":       {client.AuditFilter{Since: apitest.Base.Add(time.Second), Until: apitest.Base.Add(2 * time.Second)}, []int64{4, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []int64
			for q.filter.Limit = 1; ; {
				p, err := c.Audit(t.Context(), q.filter)
				require.NoError(t, err)
				for _, one := range p.Items {
					got = append(got, one.Seq)
				}
				if q.filter.Before = p.Next; p.Next == "" {
					break
				}
			}
			require.Equal(t, q.want, got)
		})
	}
	for _, bad := range []client.AuditFilter{{Revision: "0123"}, {Kind: "x"}, {Alert: "x"}} {
		_, err := c.Audit(t.Context(), bad)
		var refused *client.Error
		require.ErrorAs(t, err, &refused, "%+v", bad)
		require.Equal(t, 400, refused.Status)
	}
	p, err := c.Audit(t.Context(), client.AuditFilter{Name: "cart-0", Kind: "action.result"})
	require.NoError(t, err)
	require.Equal(t, &api.AuditTarget{Kind: "container", Namespace: "shop", Name: "cart-0", UID: apitest.ContainerID(0), Labels: map[string]string{"app": "cart", "number": "0"}}, p.Items[0].Target)
}

func TestStats(t *testing.T) {
	e := startRoles(t)
	for i := range 3 {
		e.Add(t, i)
	}
	as := func(name string) *client.Client {
		c, err := client.New(e.URL, roleToken(name))
		require.NoError(t, err)
		return c
	}
	counts := func(name string, f client.CountFilter, by ...string) (all []string) {
		p, err := as(name).AuditCounts(t.Context(), f, by)
		require.NoError(t, err)
		for _, c := range p.Items {
			var row []any
			for _, name := range by {
				row = append(row, c.Field(name)+" ")
			}
			all = append(all, fmt.Sprint(append(row, c.Entries)...))
		}
		return all
	}
	require.Equal(t, []string{"2026-03-01 6"}, counts("viewer", client.CountFilter{}, "day"))
	require.Equal(t, []string{"planned kill_container 3", "succeeded kill_container 3"}, counts("viewer", client.CountFilter{}, "result", "action"))
	require.Equal(t, []string{"shop 3"}, counts("viewer-shop", client.CountFilter{Kind: "action.result"}, "namespace"))
	require.Empty(t, counts("viewer-cart", client.CountFilter{}, "day"))
	require.Empty(t, counts("viewer-elsewhere", client.CountFilter{}, "day"))
	require.Empty(t, counts("viewer", client.CountFilter{Since: apitest.Base.AddDate(0, 0, 1)}, "day"))
	for _, bad := range [][]string{{"node"}, {"day", "day"}} {
		_, err := as("viewer").AuditCounts(t.Context(), client.CountFilter{}, bad)
		var refused *client.Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, "bad_parameter", refused.Code)
	}
}

const storyPlaybook = `# METADATA
# scope: package
# title: Kill a container on a Critical alert
# description: A test's.
# custom:
#   owner: tests
#   trigger: {priority: Critical}
#   mode: enforce
#   severity: critical
package playbooks.kill_container_on_critical

import rego.v1

action contains {"type": "kill_container", "target": {"kind": "container", "container_id": id, "cgroup_id": 42, "start_ns": 7}, "reason": "a shell in a container"} if {
	id := input.alert.riposte.container.id
	input.alert.priority == "Critical"
	count(input.alert.tags) > 1
}
`

// storyServer is an API whose playbook decides as the recorded one did.
func storyServer(t *testing.T) (*apitest.Env, *playbook.Holder) {
	t.Helper()
	h, err := playbook.NewHolder(playbook.Options{}, sandbox.Source{Name: "test", FS: fstest.MapFS{"kill_container_on_critical.rego": {Data: []byte(storyPlaybook)}}})
	require.NoError(t, err)
	return apitest.StartWith(t, storetest.New(t), server.Options{Explain: func(ctx context.Context, name, _ string, input json.RawMessage) (playbook.Explanation, error) {
		return h.Explain(ctx, name, input)
	}}), h
}

// tell puts in number 0 as the playbook would have decided about it.
func tell(t *testing.T, e *apitest.Env, h *playbook.Holder) {
	t.Helper()
	e.Wait(t, 0, "protected-namespace")
	a := &alert.Alert{
		UUID: apitest.AlertID(0), Time: apitest.Base, Rule: "Shell", Priority: alert.Critical, Tags: []string{"a\x1b[2J", "b"},
		Riposte: &alert.Riposte{
			Schema: 1, Cluster: "test", Node: "node-0", Container: &alert.Container{ID: apitest.ContainerID(0)},
			Process: &alert.Process{PID: 42, Name: "sh", Exe: "sh", Args: []string{"-c", "id; \x1b[2J"}, Ancestors: []string{"nginx", "containerd-shim"}},
		},
	}
	in := playbook.Input{Schema: playbook.InputSchema, Alert: a, Now: apitest.Base, History: []playbook.Past{}}
	raw, err := json.Marshal(in)
	require.NoError(t, err)
	body, err := json.Marshal(a)
	require.NoError(t, err)
	require.NoError(t, e.Store.InTx(t.Context(), func(tx store.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE decisions SET input = $1, revision = $2 WHERE alert_id = $3`, string(raw), h.Playbooks()[0].Revision, apitest.AlertID(0))
		if err == nil {
			_, err = tx.Exec(t.Context(), `UPDATE alerts SET body = $1 WHERE id = $2`, string(body), apitest.AlertID(0))
		}
		return err
	}))
}

func TestStory(t *testing.T) {
	e, h := storyServer(t)
	tell(t, e, h)
	c := newClient(t, e)
	s, err := c.Story(t.Context(), "c00000000000")
	require.NoError(t, err)
	require.Equal(t, "action", s.Asked)
	require.Equal(t, apitest.AlertID(0), s.Alert.ID)
	require.Len(t, s.Decisions, 1)
	require.Empty(t, s.Decisions[0].Note)
	require.Len(t, s.Decisions[0].Rules, 1)
	fired := s.Decisions[0].Rules[0]
	require.Equal(t, "test/kill_container_on_critical.rego", fired.File)
	require.Equal(t, 14, fired.Line)
	require.Len(t, fired.Conditions, 3)
	require.Equal(t, 16, fired.Conditions[1].Line)
	require.Equal(t, `input.alert.priority == "Critical"`, fired.Conditions[1].Text)
	require.Contains(t, fired.Conditions[1].Values, api.StoryValue{Name: "input.alert.priority", Value: `"Critical"`})
	require.Len(t, s.Actions, 1)
	require.JSONEq(t, `"kill_container"`, string(field(t, s.Actions[0].Guard.Effect, "type")))
	require.Equal(t, []string{"protected-namespace"}, s.Actions[0].Approval.Rules)
	require.NotEmpty(t, s.Actions[0].Timeline.Stages)
	require.NotEmpty(t, s.Actions[0].Checks)
	require.Len(t, s.Entries, 2)
	require.Equal(t, "action.intent", s.Entries[0].Kind, "the oldest first")

	for _, id := range []string{apitest.AlertID(0), "a00000000000", "1", "test/2"} {
		other, err := c.Story(t.Context(), id)
		require.NoError(t, err, id)
		require.Equal(t, s.Actions, other.Actions, id)
		require.Equal(t, s.Decisions, other.Decisions, id)
	}
	for id, status := range map[string]int{"c99999999999": 404, "999": 404, "other/1": 404, "x": 400, "0": 400} {
		_, err := c.Story(t.Context(), id)
		var refused *client.Error
		require.ErrorAs(t, err, &refused, id)
		require.Equal(t, status, refused.Status, id)
	}

	// The revision that decided is not there any more; and the alert's month is gone.
	require.NoError(t, e.Store.InTx(t.Context(), func(tx store.Tx) error {
		_, err := tx.Exec(t.Context(), `UPDATE decisions SET revision = 'ffffffffffffffff'`)
		return err
	}))
	s, err = c.Story(t.Context(), "c00000000000")
	require.NoError(t, err)
	require.Empty(t, s.Decisions[0].Rules)
	require.Contains(t, s.Decisions[0].Note, "decided at revision ffffffffffff")
	require.NoError(t, e.Store.InTx(t.Context(), func(tx store.Tx) error {
		_, err := tx.Exec(t.Context(), `DELETE FROM alerts`)
		return err
	}))
	s, err = c.Story(t.Context(), apitest.AlertID(0))
	require.NoError(t, err)
	require.Nil(t, s.Alert)
	require.Len(t, s.Entries, 2)
}

func field(t *testing.T, raw json.RawMessage, name string) json.RawMessage {
	t.Helper()
	var all map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(raw, &all))
	return all[name]
}

func TestExplainerThatFailsIsANote(t *testing.T) {
	e := apitest.StartWith(t, storetest.New(t), server.Options{Explain: func(context.Context, string, string, json.RawMessage) (playbook.Explanation, error) {
		return playbook.Explanation{}, playbook.ErrNotLoaded
	}})
	e.Add(t, 0)
	s, err := newClient(t, e).Story(t.Context(), "c00000000000")
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(s.Decisions[0].Note, "no playbook of this name is loaded"), s.Decisions[0].Note)
}

func TestChecksAreOfOneWordEach(t *testing.T) {
	for in, want := range map[string]string{
		"web-0": "web-0", "": "''", "a b": "'a b'", "x;reboot": "'x;reboot'", "it's": `'it'\''s'`, "-rf": "'-rf'", "$(id)": "'$(id)'", "a\nb": "'a\nb'",
	} {
		require.Equal(t, want, server.Quote(in))
	}
}
