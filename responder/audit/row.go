package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"riposte/responder/store"
)

// Row is one row of the table audit. What is NULL there is empty here.
type Row struct {
	Cluster string
	Seq     int64
	// Month is the first day of the month that the row is kept in; zero if it is not known.
	Month time.Time
	At    time.Time
	Kind  string
	Actor string
	// Namespace, Result and what follows are the columns of the same names.
	Namespace                                          string
	Result                                             string
	AlertID, IncidentID, ActionID                      string
	ActionType, Playbook, Revision, Rule, Node         string
	TargetKind, TargetNamespace, TargetName, TargetUID string
	// Labels is a JSON object of texts.
	Labels string
	// Seals are the sealed values, in the order of Sealed.
	Seals [3]Seal
	Body  []byte
	Prev  []byte
	Hash  []byte
	// BodyOnly says that the columns that are copies of the body are not given, as in an export.
	BodyOnly bool
}

// differs names the first column or sealed value that is not what the body says.
func (r *Row) differs(b *said) string {
	if b.cluster != r.Cluster {
		return "the column cluster was changed"
	}
	if !r.BodyOnly {
		if column := r.column(b); column != "" {
			return "the column " + column + " was changed"
		}
	}
	var digits [2 * sha256.Size]byte
	for i, s := range r.Seals {
		if len(s.Salt) == 0 && s.Value == "" {
			continue // there was none, or it was erased
		}
		sum := Digest(Sealed[i], s)
		if hex.Encode(digits[:], sum[:]); string(digits[:]) != b.sealed[i] {
			return "the sealed " + Sealed[i] + " was changed"
		}
	}
	return ""
}

// column names the first column that is no copy of what the body says.
func (r *Row) column(b *said) string {
	for _, c := range [...]struct{ name, row, body string }{
		{"kind", r.Kind, b.kind},
		{"actor", r.Actor, b.actor},
		{"namespace", r.Namespace, b.seen},
		{"result", r.Result, b.result},
		{"alert_id", r.AlertID, b.alertID},
		{"incident_id", r.IncidentID, b.incidentID},
		{"action_id", r.ActionID, b.actionID},
		{"action_type", r.ActionType, b.actionType},
		{"playbook", r.Playbook, b.playbook},
		{"revision", r.Revision, b.revision},
		{"rule", r.Rule, b.rule},
		{"node", r.Node, b.node},
		{"target_kind", r.TargetKind, b.targetKind},
		{"target_namespace", r.TargetNamespace, b.namespace},
		{"target_name", r.TargetName, b.name},
		{"target_uid", r.TargetUID, b.uid},
	} {
		if c.row != c.body {
			return c.name
		}
	}
	switch {
	case !columnTime(b.atNS).Equal(r.At):
		return "at"
	case b.schema == Schema && !r.Month.IsZero() && !store.Month(time.Unix(0, b.writtenNS)).Equal(r.Month):
		return "month"
	case !sameLabels(r.Labels, b.labels):
		return "labels"
	}
	return ""
}

// erased counts the sealed values that the body has digests of and that are gone.
func (r *Row) erased(b *said) (n int64) {
	for i, s := range r.Seals {
		if b.sealed[i] != "" && len(s.Salt) == 0 {
			n++
		}
	}
	return n
}

// check is all about a row that does not depend on the one before it.
type check struct {
	// fits says that the hash is that of prev and body.
	fits    bool
	problem string
	// writtenNS is 0 for what was written before bodies said it.
	writtenNS int64
	erased    int64
}

// look checks a row by itself; frame is a buffer to reuse.
func (r *Row) look(frame []byte) (check, []byte) {
	frame = appendFrame(frame[:0], r.Cluster, r.Seq, r.Prev, r.Body)
	sum := sha256.Sum256(frame)
	c := check{fits: string(sum[:]) == string(r.Hash)}
	if !c.fits {
		return c, frame
	}
	b, err := readBody(string(r.Body))
	if err != nil {
		c.problem = fmt.Sprintf("the body is no JSON of a known version (%v)", err)
		return c, frame
	}
	c.problem, c.writtenNS, c.erased = r.differs(&b), b.writtenNS, r.erased(&b)
	return c, frame
}
