package audit

import (
	"encoding/binary"
	"encoding/json"
	"time"

	"github.com/google/uuid"
)

// copyRows takes rows in the order in which add writes them.
const copyRows = `COPY audit (cluster, month, seq, at, kind, actor, result, alert_id, incident_id, action_id, action_type, playbook, revision, rule, node,
	target_kind, target_namespace, target_name, target_uid, labels, note, note_salt, params, params_salt, reason, reason_salt, body, prev, hash, namespace)
	FROM STDIN (FORMAT binary)`

// What stands before the first and after the last row.
const (
	copyBegin = "PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00"
	copyEnd   = "\xff\xff"
)

// rowSize is about what a row of an entry about an action takes.
const rowSize = 1536

// rows are rows of the table in PostgreSQL's binary form for COPY. An INSERT from an
// array a column costs both sides more: each array is written, read and kept, each
// value of it converted.
type rows []byte

func (r *rows) add(cluster string, month time.Time, seq int64, w *writing, prev, hash Hash) {
	*r = binary.BigEndian.AppendUint16(*r, rowColumns)
	r.text(cluster)
	r.day(month)
	r.number(seq)
	r.number(columnTime(w.At.UnixNano()).UnixMicro() - pgEpoch.UnixMicro())
	r.text(string(w.Kind))
	r.text(w.Actor)
	r.text(w.Result)
	for _, id := range [...]string{w.Why.AlertID, w.Why.IncidentID, w.What.ActionID} {
		r.id(id)
	}
	for _, s := range [...]string{
		w.What.Type, w.Why.Playbook, w.Why.Revision, w.Why.Rule, w.What.Node, w.What.Kind, w.What.Namespace, w.What.Name, w.What.UID,
	} {
		r.some(s)
	}
	r.labels(w.What.Labels)
	for _, s := range w.seals {
		r.some(s.Value)
		r.bytes(s.Salt)
	}
	r.bytes(w.body)
	r.bytes(prev[:])
	r.bytes(hash[:])
	r.text(w.Namespace)
}

func (r *rows) null() { *r = append(*r, 0xff, 0xff, 0xff, 0xff) }

func (r *rows) size(n int) { *r = binary.BigEndian.AppendUint32(*r, uint32(n)) }

func (r *rows) text(s string) {
	r.size(len(s))
	*r = append(*r, s...)
}

// some is NULL where there is nothing.
func (r *rows) some(s string) {
	if s == "" {
		r.null()
		return
	}
	r.text(s)
}

func (r *rows) bytes(b []byte) {
	if b == nil {
		r.null()
		return
	}
	r.size(len(b))
	*r = append(*r, b...)
}

func (r *rows) number(n int64) {
	r.size(8)
	*r = binary.BigEndian.AppendUint64(*r, uint64(n))
}

func (r *rows) day(t time.Time) {
	r.size(4)
	*r = binary.BigEndian.AppendUint32(*r, uint32(int32(t.Sub(pgEpoch)/(24*time.Hour))))
}

func (r *rows) id(s string) {
	id, err := uuid.Parse(s)
	if err != nil { // there is none: what is no id was refused
		r.null()
		return
	}
	r.bytes(id[:])
}

func (r *rows) labels(all map[string]string) {
	if len(all) == 0 {
		r.null()
		return
	}
	b, _ := json.Marshal(all) // texts always can be
	r.size(1 + len(b))
	*r = append(append(*r, 1), b...) // jsonb's version
}
