package ingest_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder/ingest"
)

func TestCheck(t *testing.T) {
	subject := alert.Subject("prod", "n1", alert.Critical)
	id := "n1/" + bootID + "/7"
	set := func(f func(*alert.Alert)) func(*alert.Alert) { return f }
	for name, c := range map[string]struct {
		edit        func(*alert.Alert)
		subject, id string
		data        string
		reason      ingest.Reason
		want        string
	}{
		"good":                      {},
		"empty":                     {data: " ", reason: ingest.Malformed},
		"null":                      {data: "null", reason: ingest.Malformed, want: "time"},
		"a list":                    {data: "[]", reason: ingest.Malformed},
		"two alerts":                {data: "{} {}", reason: ingest.Malformed},
		"deep":                      {data: strings.Repeat("[", 100_000), reason: ingest.Malformed},
		"long":                      {data: strings.Repeat(" ", alert.MaxBytes+1), reason: ingest.Oversize, want: "262145 bytes"},
		"another node":              {edit: ofNode("n2"), id: "n2/" + bootID + "/7", reason: ingest.Foreign, want: `riposte names node "n2"`},
		"another cluster":           {edit: set(func(a *alert.Alert) { a.Riposte.Cluster = "p" }), reason: ingest.Foreign},
		"another priority":          {edit: set(func(a *alert.Alert) { a.Priority = alert.Debug }), reason: ingest.Foreign, want: "the priority is Debug"},
		"the other way to write it": {edit: set(func(a *alert.Alert) { a.Priority = alert.Informational }), subject: "alerts.prod.n1.info", reason: ingest.Foreign},
		"another number":            {edit: set(func(a *alert.Alert) { a.Riposte.Seq = 8 }), reason: ingest.Foreign, want: "the message id"},
		"no message id":             {id: "-", reason: ingest.Foreign},
		"a strange subject":         {subject: "alerts.prod.n1", reason: ingest.Foreign},
		"an alert of Falco's":       {edit: set(func(a *alert.Alert) { a.Riposte = nil }), reason: ingest.Malformed, want: "riposte is missing"},
		"a schema of tomorrow":      {edit: set(func(a *alert.Alert) { a.Riposte.Schema = 2 }), reason: ingest.Malformed, want: "schema is 2"},
		"no rule":                   {edit: set(func(a *alert.Alert) { a.Rule = "" }), reason: ingest.Malformed},
		"no uuid":                   {edit: set(func(a *alert.Alert) { a.UUID = "x" }), reason: ingest.Malformed, want: `uuid "x"`},
		"two forms of a uuid":       {edit: set(func(a *alert.Alert) { a.UUID = "{" + a.UUID + "}" }), reason: ingest.Malformed},
		"no boot id":                {edit: set(func(a *alert.Alert) { a.Riposte.BootID = "b" }), id: "n1/b/7", reason: ingest.Malformed, want: "boot_id"},
		"a number too large": {
			edit: set(func(a *alert.Alert) { a.Riposte.Seq = math.MaxInt64 + 1 }), id: "n1/" + bootID + "/9223372036854775808",
			reason: ingest.Malformed, want: "riposte.seq",
		},
		"a long container id": {edit: set(func(a *alert.Alert) { a.Riposte.Container.ID = strings.Repeat("a", 257) }), reason: ingest.Malformed, want: "container.id has 257"},
		"a long pod uid":      {edit: set(func(a *alert.Alert) { a.Riposte.Pod = &alert.Pod{UID: strings.Repeat("a", 257)} }), reason: ingest.Malformed, want: "pod.uid has 257"},
		"a long rule":         {edit: set(func(a *alert.Alert) { a.Rule = strings.Repeat("a", 1025) }), reason: ingest.Malformed},
		"a long node": {
			edit: ofNode(strings.Repeat("a", 254)), subject: alert.Subject("prod", strings.Repeat("a", 254), alert.Critical),
			id: strings.Repeat("a", 254) + "/" + bootID + "/7", reason: ingest.Malformed, want: "riposte.node has 254",
		},
		"a node with a line break": {
			edit: ofNode("n\n1"), subject: alert.Subject("prod", "n\n1", alert.Critical), id: "n\n1/" + bootID + "/7",
			reason: ingest.Malformed, want: "characters that no name has",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := anAlert(7)
			if c.edit != nil {
				c.edit(a)
			}
			data, err := json.Marshal(a)
			require.NoError(t, err)
			if c.data != "" {
				data = []byte(c.data)
			}
			s, i := subject, id
			if c.subject != "" {
				s = c.subject
			}
			if c.id != "" {
				i = c.id
			}
			got, err := ingest.Check(s, i, data)
			if c.reason == "" {
				require.NoError(t, err)
				require.Equal(t, a.UUID, got.UUID)
				return
			}
			var r *ingest.Rejection
			require.ErrorAs(t, err, &r)
			require.Equal(t, c.reason, r.Reason, err)
			require.ErrorContains(t, err, c.want)
		})
	}
}

// Whatever comes is either rejected with a reason, or an alert that is its
// sender's and fits the columns.
func FuzzCheck(f *testing.F) {
	good, err := json.Marshal(anAlert(7, inPod))
	require.NoError(f, err)
	subject, id := alert.Subject("prod", "n1", alert.Critical), "n1/"+bootID+"/7"
	for _, data := range []string{
		string(good), "", "null", "{}", `{"riposte":{}}`, `{"time":"2026-01-01T00:00:00Z","rule":"r","priority":"x"}`,
		strings.Replace(string(good), `"n1"`, `"n2"`, 1), strings.Replace(string(good), `"rule"`, `"RULE"`, 1), strings.Repeat(`{"a":`, 100),
	} {
		f.Add(subject, id, []byte(data))
	}
	f.Add("alerts.prod.n_31.critical", id, good)
	f.Add("alerts..n1.critical", "", good)
	f.Fuzz(func(t *testing.T, subject, id string, data []byte) {
		a, err := ingest.Check(subject, id, data)
		if err != nil {
			var r *ingest.Rejection
			if !errors.As(err, &r) || r.Reason == "" {
				t.Fatalf("an error without a reason: %v", err)
			}
			return
		}
		r := a.Riposte
		if alert.Subject(r.Cluster, r.Node, a.Priority) != subject {
			t.Fatalf("%q was taken for %q", subject, alert.Subject(r.Cluster, r.Node, a.Priority))
		}
		if r.MessageID() != id || len(r.Node) > 253 || r.Seq > math.MaxInt64 {
			t.Fatalf("a bad alert was taken: %+v", r)
		}
	})
}

func FuzzCheckHeartbeat(f *testing.F) {
	f.Add("agents.prod.n1", []byte(`{"cluster":"prod","node":"n1","boot_id":"`+bootID+`"}`))
	f.Add("agents.prod.n1", []byte(`{"cluster":"prod"}`))
	f.Add("", []byte(``))
	f.Fuzz(func(t *testing.T, subject string, data []byte) {
		if h, err := ingest.CheckHeartbeat(subject, data); err == nil && alert.HeartbeatSubject(h.Cluster, h.Node) != subject {
			t.Fatalf("%q was taken for %+v", subject, h)
		}
	})
}
