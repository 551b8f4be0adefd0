package ocsf_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/alert"
	"riposte/responder"
	"riposte/responder/audit"
	"riposte/responder/audit/ocsf"
)

// required are the attributes that version 1.6.0 asks of each class, by its number;
// those of the base event are asked of all.
var required = map[float64][]string{
	0:    {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"},
	2004: {"finding_info"},
	3002: {"user", "service"},
	7001: {"command_uid"},
}

// checked is an event as a reader sees it, once it has what its class asks for.
func checked(t *testing.T, e ocsf.Event) map[string]any {
	t.Helper()
	b, err := json.Marshal(e)
	require.NoError(t, err)
	var v map[string]any
	require.NoError(t, json.Unmarshal(b, &v))
	uid := v["class_uid"].(float64)
	require.Contains(t, required, uid)
	for _, name := range append(required[0], required[uid]...) {
		require.Contains(t, v, name, "class %v", uid)
	}
	require.InDelta(t, uid*100+v["activity_id"].(float64), v["type_uid"], 0)
	require.InDelta(t, float64(int(uid)/1000), v["category_uid"], 0)
	require.NotEmpty(t, v["activity_name"])
	require.NotEmpty(t, v["severity"])
	require.NotEmpty(t, v["status"])
	m := v["metadata"].(map[string]any)
	require.Equal(t, "1.6.0", m["version"])
	require.Equal(t, map[string]any{"name": "Riposte", "vendor_name": "Riposte"}, m["product"])
	if uid == 2004 {
		require.NotEmpty(t, v["finding_info"].(map[string]any)["uid"])
	}
	return v
}

// entry is one as the record keeps it.
func entry(t *testing.T, body string) ocsf.Event {
	t.Helper()
	e, err := ocsf.Entry{Cluster: "prod", Seq: 7, Hash: "ab", Body: []byte(body), Note: "a note", Reason: "\x1b[2J=cmd|' /C calc'!A0", Params: json.RawMessage(`{"grace":1}`)}.Event()
	require.NoError(t, err)
	return e
}

func TestEveryKindIsAnEvent(t *testing.T) {
	classes := map[audit.Kind]float64{
		audit.Alert: 2004, audit.AlertForged: 2004, audit.AlertRepeated: 2004, audit.Login: 3002, audit.Logout: 3002, audit.Approval: 7001,
	}
	for _, kind := range audit.Kinds() {
		want := classes[kind]
		if strings.HasPrefix(string(kind), "action.") {
			want = 7001
		}
		v := checked(t, entry(t, `{"actor":"user:jane","at_ns":1767323045123456789,"cluster":"prod","kind":"`+string(kind)+`","result":"planned","schema":2,
			"what":{"action_id":"01950000-0000-7000-8000-c00000000001","kind":"pod","labels":{"app":"web"},"name":"web-0","namespace":"shop","node":"n1","type":"delete_pod","uid":"u"},
			"why":{"alert_id":"01950000-0000-7000-8000-a00000000001","incident_id":"01950000-0000-7000-8000-b00000000001","rule":"A rule"},"written_ns":1767323046000000000}`))
		require.InDelta(t, want, v["class_uid"], 0, kind)
		require.InDelta(t, 1767323045123, v["time"], 0)
		require.Equal(t, string(kind), v["metadata"].(map[string]any)["event_code"])
		require.Equal(t, "prod/7", v["metadata"].(map[string]any)["uid"])
	}
}

// An action without a tactic would be exported as nothing known.
func TestEveryActionHasATactic(t *testing.T) {
	for _, a := range responder.Actions() {
		require.True(t, ocsf.HasTactic(a.Spec().Type), a.Spec().Type)
	}
	v := checked(t, entry(t, `{"actor":"playbook:p@r","at_ns":1,"kind":"action.result","result":"failed","schema":2,"what":{"action_id":"x","type":"delete_pod"}}`))
	require.Equal(t, "Evict", v["activity_name"])
	require.Equal(t, "Failure", v["status"])
	v = checked(t, entry(t, `{"actor":"playbook:p@r","at_ns":1,"kind":"action.lifted","result":"lifted","schema":2,"what":{"action_id":"x","type":"cut_network"}}`))
	require.Equal(t, "Restore", v["activity_name"])
	require.Equal(t, "Success", v["status"])
}

func TestBodiesOfBothSchemasAndOfNone(t *testing.T) {
	e, err := ocsf.Entry{Cluster: "c", Seq: 1, Body: []byte(`{"schema":1,"kind":"startup","actor":"system:responder","at_ns":5000000,"note":"old","why":{"reason":"because"}}`)}.Event()
	require.NoError(t, err)
	require.Equal(t, "old; because", e.Message)
	checked(t, e)
	for _, bad := range []string{"", "[]", `{"schema":3}`, `{"schema":2,"at_ns":"x"}`} {
		_, err := ocsf.Entry{Cluster: "c", Seq: 9, Body: []byte(bad)}.Event()
		require.ErrorContains(t, err, "entry 9 of cluster", bad)
	}
}

func TestAlertsAreFindings(t *testing.T) {
	a := &alert.Alert{
		Time: time.Unix(1767323045, 123456789), Rule: "Terminal shell", Priority: alert.Critical, Source: "syscall", Output: "a shell \x1b[2J", Tags: []string{"T1059"},
		Riposte: &alert.Riposte{
			Cluster: "prod", Node: "n1", Process: &alert.Process{PID: 7, Name: "sh", Exe: "sh", Args: []string{"-c", "id"}, Ancestors: []string{"nginx", "containerd-shim"}},
			Container: &alert.Container{ID: "c0", Image: "nginx:1"}, Pod: &alert.Pod{Namespace: "shop", Name: "web-0", UID: "u", Labels: map[string]string{"app": "web"}},
		},
	}
	v := checked(t, ocsf.Finding("id-1", "incident-1", a))
	require.InDelta(t, 5, v["severity_id"], 0)
	process := v["evidences"].([]any)[0].(map[string]any)["process"].(map[string]any)
	require.Equal(t, "sh -c id", process["cmd_line"])
	require.Equal(t, "containerd-shim", process["parent_process"].(map[string]any)["parent_process"].(map[string]any)["name"])
	require.Equal(t, []any{"app=web"}, v["resources"].([]any)[0].(map[string]any)["labels"])

	b, err := os.ReadFile(filepath.Join("..", "..", "..", "agent", "alert", "testdata", "from-falco.json"))
	require.NoError(t, err)
	var falco alert.Alert
	require.NoError(t, json.Unmarshal(b, &falco))
	checked(t, ocsf.Finding("id-2", "", &falco))
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte(`{"schema":2,"kind":"alert","why":{"alert_id":"x"},"what":{"labels":{"a":"b"},"params":{}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := ocsf.Entry{Body: body}.Event()
		if err != nil {
			return
		}
		_, err = json.Marshal(e)
		require.NoError(t, err)
	})
}
