package ocsf

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Entry is an entry of the record: its body as it is hashed, and what stands beside it.
type Entry struct {
	Cluster string
	Seq     int64
	// Hash is hexadecimal.
	Hash         string
	Body         []byte
	Note, Reason string
	Params       json.RawMessage
}

// Body is what an entry's body says. In one of schema 1, Note, Reason and Params stand
// in it; see docs/audit.md.
type Body struct {
	Actor   string `json:"actor"`
	AtNS    int64  `json:"at_ns"`
	Kind    string `json:"kind"`
	Note    string `json:"note"`
	Result  string `json:"result"`
	Schema  int    `json:"schema"`
	Written int64  `json:"written_ns"`
	What    struct {
		ActionID  string            `json:"action_id"`
		Kind      string            `json:"kind"`
		Labels    map[string]string `json:"labels"`
		Name      string            `json:"name"`
		Namespace string            `json:"namespace"`
		Node      string            `json:"node"`
		Object    string            `json:"object"`
		Params    json.RawMessage   `json:"params"`
		Type      string            `json:"type"`
		UID       string            `json:"uid"`
	} `json:"what"`
	Why struct {
		AlertID    string `json:"alert_id"`
		IncidentID string `json:"incident_id"`
		Playbook   string `json:"playbook"`
		Reason     string `json:"reason"`
		Revision   string `json:"revision"`
		Rule       string `json:"rule"`
	} `json:"why"`
}

// ReadBody reads a body of any version.
func ReadBody(b []byte) (Body, error) {
	var body Body
	if err := json.Unmarshal(b, &body); err != nil {
		return body, err
	}
	if body.Schema != 1 && body.Schema != 2 {
		return body, fmt.Errorf("schema %d is none that this version knows", body.Schema)
	}
	return body, nil
}

// Event is the entry as an event, or an error if its body is none of ours.
func (e Entry) Event() (Event, error) {
	b, err := ReadBody(e.Body)
	if err != nil {
		return Event{}, fmt.Errorf("entry %d of cluster %.100q: %w", e.Seq, e.Cluster, err)
	}
	note, reason, params := first(e.Note, b.Note), first(e.Reason, b.Why.Reason), e.Params
	if params == nil {
		params = b.What.Params
	}
	v := Event{
		Time: ms(b.AtNS), Message: strings.Join(slices.DeleteFunc([]string{note, reason}, func(s string) bool { return s == "" }), "; "),
		Metadata: product(Metadata{
			UID: fmt.Sprintf("%s/%d", e.Cluster, e.Seq), EventCode: b.Kind, Sequence: e.Seq, CorrelationUID: b.Why.IncidentID, LoggedTime: ms(b.Written), Profiles: []string{"host"},
		}),
		Unmapped: map[string]any{"cluster": e.Cluster, "hash": e.Hash, "actor": b.Actor},
	}
	v.severity(1)
	v.who(b)
	v.classify(b)
	for k, s := range map[string]string{
		"alert_id": b.Why.AlertID, "rule": b.Why.Rule, "playbook": b.Why.Playbook, "revision": b.Why.Revision, "reason": reason, "result": b.Result,
		"action": b.What.Type, "object": b.What.Object,
	} {
		if s != "" {
			v.Unmapped[k] = s
		}
	}
	if len(params) > 0 {
		v.Unmapped["params"] = params
	}
	return v, nil
}

func (e *Event) who(b Body) {
	if name, person := strings.CutPrefix(b.Actor, "user:"); person {
		e.Actor = &Actor{User: &User{name}}
	} else {
		e.Actor = &Actor{AppName: b.Actor}
	}
	if b.What.Node != "" {
		e.Device = &Device{Hostname: b.What.Node}
	}
}

// classify finds the class, and fills in what only it has.
func (e *Event) classify(b Body) {
	kind, _, _ := strings.Cut(b.Kind, ".")
	target := resource(b)
	switch {
	case kind == "alert" && b.Kind != "alert.lost" && b.Why.AlertID != "":
		activity := 1
		if b.Kind == "alert.repeated" {
			activity = 2
		}
		e.is(finding, activity, "")
		e.severity(0) // the record does not say it; the alert does
		e.StatusID, e.Status = 1, "New"
		e.FindingInfo = &FindingInfo{UID: b.Why.AlertID, Title: b.Why.Rule, Analytic: ruleOf(b.Why.Rule)}
		if target != nil {
			e.Resources = []Resource{*target}
		}
		return
	case (kind == "action" || b.Kind == "approval") && b.What.ActionID != "":
		activity := tactics[b.What.Type]
		if b.Kind == "action.lifted" || b.Kind == "action.lift" {
			activity = tactics["lift"]
		}
		e.is(remediation, activity, first(b.What.Type, b.Kind))
		e.CommandUID = b.What.ActionID
	case b.Kind == "login":
		e.is(authentication, 1, "")
	case b.Kind == "logout":
		e.is(authentication, 2, "")
	default:
		e.is(base, other, b.Kind)
	}
	if e.ClassUID == authentication.uid {
		e.User, e.Service = &User{strings.TrimPrefix(b.Actor, "user:")}, &Named{"Riposte API"}
	}
	if target != nil {
		e.Unmapped["target"] = target
	}
	e.outcome(b.Result)
}

// tactics are D3FEND's, as OCSF numbers them, of the actions by their types.
var tactics = map[string]int{
	"cut_network": 1, "isolate_pod": 1, "apply_network_policy": 1, "calico_network_policy": 1, "cilium_network_policy": 1, "cordon_node": 1, "taint_node": 1, "freeze_container": 1, "suspend_cronjob": 1,
	"kill_container": 2, "kill_process": 2, "delete_pod": 2, "evict_pod": 2, "delete_resource": 2, "revoke_access": 2, "drain_node": 2, "scale_workload": 2,
	"restart_workload": 3, "rollback_workload": 3, "uncordon_node": 3, "lift": 3,
	"collect_logs": 5, "snapshot_object": 5,
	"acknowledge_incident": other, "annotate": other, "label": other, "notify": other, "webhook": other,
}

// outcome says how it went: OCSF's word, or ours where it has none.
func (e *Event) outcome(result string) {
	switch result {
	case "succeeded", "verified", "lifted", "accepted":
		e.StatusID, e.Status = 1, "Success"
	case "failed", "denied":
		e.StatusID, e.Status = 2, "Failure"
	case "", "unknown":
		e.StatusID, e.Status = 0, "Unknown"
	default:
		e.StatusID, e.Status = other, result
	}
	if e.Status != result {
		e.StatusDetail = result
	}
}

func resource(b Body) *Resource {
	r := Resource{Type: b.What.Kind, Namespace: b.What.Namespace, Name: b.What.Name, UID: b.What.UID}
	for _, k := range slices.Sorted(maps.Keys(b.What.Labels)) {
		r.Labels = append(r.Labels, k+"="+b.What.Labels[k])
	}
	if r.Type == "" && r.Name == "" && r.UID == "" {
		return nil
	}
	return &r
}

func ruleOf(name string) *Rule {
	if name == "" {
		return nil
	}
	return &Rule{name, 1, "Rule"}
}

func ms(ns int64) int64 { return ns / 1_000_000 }

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
