package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Schema is the version of the body's JSON.
const Schema = 1

// Bounds of what one entry keeps. Longer text is cut and says so; longer
// parameters are replaced by their SHA-256.
const (
	maxText   = 4 << 10
	maxName   = 256
	maxParams = 16 << 10
)

// Entry is one thing that happened. Cluster, Kind and Actor are needed, all
// else is given as far as it is known.
type Entry struct {
	// Cluster chooses the chain.
	Cluster string
	Kind    Kind
	// At is when it happened; zero means now.
	At time.Time
	// Actor is who did it: see Playbook, User and System.
	Actor string
	// Result is how it ended, one stable word such as an action's state; empty where nothing ends.
	Result string
	// Note is a sentence for a person.
	Note string
	Why  Why
	What What
	When When
}

// Playbook names a playbook, at the revision that decided, as an Actor.
func Playbook(name, revision string) string { return "playbook:" + name + "@" + revision }

// User names a person or token as an Actor.
func User(name string) string { return "user:" + name }

// System names a component of the responder as an Actor, for instance "execute".
func System(component string) string { return "system:" + component }

// Why is the cause.
type Why struct {
	// AlertID and IncidentID are UUIDs.
	AlertID    string
	IncidentID string
	Rule       string
	Reason     string
}

// What is the effect, wanted or caused.
type What struct {
	// ActionID is a UUID.
	ActionID string
	// Type is the action's type, for instance "delete_pod".
	Type string
	// Object is the target's whole identity (action.Target.Identity), UID the part
	// of it that tells it from an object of the same name.
	Object string
	UID    string
	Params json.RawMessage
	// Attempt counts from 1.
	Attempt int
}

// When is the event's way so far, each in Unix nanoseconds, 0 for not yet.
type When struct {
	KernelNS   int64
	AgentNS    int64
	ReceivedNS int64
	DecidedNS  int64
	ExecutedNS int64
	VerifiedNS int64
}

// body is an Entry as it is written. The keys stand in alphabetical order.
type body struct {
	Actor   string   `json:"actor"`
	AtNS    int64    `json:"at_ns"`
	Cluster string   `json:"cluster"`
	Kind    Kind     `json:"kind"`
	Note    string   `json:"note,omitempty"`
	Result  string   `json:"result"`
	Schema  int      `json:"schema"`
	What    *bodyFor `json:"what,omitempty"`
	When    *bodyAt  `json:"when,omitempty"`
	Why     *bodyWhy `json:"why,omitempty"`
}

type bodyFor struct {
	ActionID string          `json:"action_id,omitempty"`
	Attempt  int             `json:"attempt,omitempty"`
	Object   string          `json:"object,omitempty"`
	Params   json.RawMessage `json:"params,omitempty"`
	Type     string          `json:"type,omitempty"`
	UID      string          `json:"uid,omitempty"`
}

type bodyAt struct {
	AgentNS    int64 `json:"agent_ns,omitempty"`
	DecidedNS  int64 `json:"decided_ns,omitempty"`
	ExecutedNS int64 `json:"executed_ns,omitempty"`
	KernelNS   int64 `json:"kernel_ns,omitempty"`
	ReceivedNS int64 `json:"received_ns,omitempty"`
	VerifiedNS int64 `json:"verified_ns,omitempty"`
}

type bodyWhy struct {
	AlertID    string `json:"alert_id,omitempty"`
	IncidentID string `json:"incident_id,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Rule       string `json:"rule,omitempty"`
}

// encode checks an entry and returns it with its canonical bytes.
func (e Entry) encode() (body, []byte, error) {
	switch {
	case e.Cluster == "" || !utf8.ValidString(e.Cluster) || strings.Contains(e.Cluster, "\x00"):
		return body{}, nil, fmt.Errorf("audit entry: cluster %q is empty or no text", clip(e.Cluster, maxName))
	case !kinds[e.Kind]:
		return body{}, nil, fmt.Errorf("audit entry: unknown kind %q", e.Kind)
	case e.Actor == "":
		return body{}, nil, fmt.Errorf("audit entry of kind %s: actor is empty", e.Kind)
	}
	alertID, err := canonicalID("why.alert_id", e.Why.AlertID)
	if err != nil {
		return body{}, nil, err
	}
	actionID, err := canonicalID("what.action_id", e.What.ActionID)
	if err != nil {
		return body{}, nil, err
	}
	params, err := canonicalParams(e.What.Params)
	if err != nil {
		return body{}, nil, err
	}
	b := body{
		Actor: plain(e.Actor), AtNS: e.At.UnixNano(), Cluster: e.Cluster, Kind: e.Kind, Note: clip(e.Note, maxText), Result: plain(e.Result), Schema: Schema,
	}
	what := bodyFor{
		ActionID: actionID, Attempt: e.What.Attempt, Object: clip(e.What.Object, maxText), Params: params,
		Type: clip(e.What.Type, maxName), UID: clip(e.What.UID, maxName),
	}
	if actionID != "" || what.Attempt != 0 || what.Object != "" || params != nil || what.Type != "" || what.UID != "" {
		b.What = &what
	}
	if e.When != (When{}) {
		b.When = &bodyAt{
			AgentNS: e.When.AgentNS, DecidedNS: e.When.DecidedNS, ExecutedNS: e.When.ExecutedNS,
			KernelNS: e.When.KernelNS, ReceivedNS: e.When.ReceivedNS, VerifiedNS: e.When.VerifiedNS,
		}
	}
	if e.Why != (Why{}) {
		b.Why = &bodyWhy{
			AlertID: alertID, IncidentID: clip(e.Why.IncidentID, maxName), Reason: clip(e.Why.Reason, maxText), Rule: clip(e.Why.Rule, maxName),
		}
	}
	raw, err := encodeJSON(b)
	return b, raw, err
}

// alertID and actionID are empty where the entry names none.
func (b body) alertID() string {
	if b.Why == nil {
		return ""
	}
	return b.Why.AlertID
}

func (b body) actionID() string {
	if b.What == nil {
		return ""
	}
	return b.What.ActionID
}

// canonicalID writes a UUID in its one lower-case form, because the column does.
func canonicalID(name, s string) (string, error) {
	if s == "" {
		return "", nil
	}
	id, err := uuid.Parse(s)
	if err != nil {
		return "", fmt.Errorf("audit entry: %s %q is not a UUID", name, clip(s, maxName))
	}
	return id.String(), nil
}

// canonicalParams sorts the keys and takes the white space out.
func canonicalParams(raw json.RawMessage) (json.RawMessage, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if len(raw) > maxParams {
		sum := sha256.Sum256(raw)
		return encodeJSON(map[string]any{"bytes": len(raw), "sha256": hex.EncodeToString(sum[:])})
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("audit entry: what.params: %w", err)
	}
	if dec.More() {
		return nil, errors.New("audit entry: what.params holds more than one JSON value")
	}
	return encodeJSON(v)
}

func encodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("audit entry: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// plain makes a text fit for a column and a terminal. Odd bytes are replaced, not
// refused: an entry that cannot be written would stop the action that it is about.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
	return clip(s, maxName)
}

// clip cuts a text at a character's border and says so.
func clip(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	const mark = " [cut]"
	end := limit - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + mark
}
