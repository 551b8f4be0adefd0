package audit

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// selectRows are a row's columns in the order in which readRow wants them.
const selectRows = `SELECT cluster, seq, month, at, kind, actor, result, alert_id, incident_id, action_id, action_type, playbook, revision, rule, node,
	target_kind, target_namespace, target_name, target_uid, labels, note_salt, note, params_salt, params, reason_salt, reason, body, prev, hash, namespace FROM audit`

const rowColumns = 30

// rowOrder is the order in which verify wants them.
const rowOrder = " ORDER BY cluster, seq, month"

// batchBytes bounds a batch of long rows.
const batchBytes = 1 << 20

// where is a part as a condition with its values.
func (p Part) where() (condition string, args []any) {
	var all []string
	add := func(text string, v any) {
		args = append(args, v)
		all = append(all, text+strconv.Itoa(len(args)))
	}
	if p.Cluster != "" {
		add("cluster = $", p.Cluster)
	}
	if p.After > 0 {
		add("seq > $", p.After)
	}
	if p.To > 0 {
		add("seq <= $", p.To)
	}
	if len(all) == 0 {
		return "", nil
	}
	return " WHERE " + strings.Join(all, " AND "), args
}

// inOrder has the rows read along the primary key, which is in the order that is asked
// for. A planner that knows little of the table, or that clusters alternate in it, would
// rather read it whole and sort it, on disk, before the first row comes: that costs three
// times as much, and as much space as the record.
const inOrder = `SET LOCAL enable_sort = off`

// batches yields a part of the table in the order that verify wants. All texts of a batch
// are parts of one: a row costs no allocation of its own.
func batches(ctx context.Context, tx pgx.Tx, p Part) iter.Seq2[[]Row, error] {
	return func(yield func([]Row, error) bool) {
		if _, err := tx.Exec(ctx, inOrder); err != nil {
			yield(nil, err)
			return
		}
		where, args := p.where()
		rows, err := tx.Query(ctx, selectRows+where+rowOrder, append([]any{pgx.QueryResultFormats{pgx.BinaryFormatCode}}, args...)...)
		if err != nil {
			yield(nil, err)
			return
		}
		defer rows.Close()
		var raw []byte
		var ends []int
		flush := func() bool {
			some, err := cutRows(raw, ends)
			raw, ends = make([]byte, 0, cap(raw)), ends[:0]
			return yield(some, err) && err == nil
		}
		for rows.Next() {
			for _, v := range rows.RawValues() {
				raw = append(raw, v...)
				ends = append(ends, len(raw))
			}
			if len(ends) == batchRows*rowColumns || len(raw) > batchBytes {
				if !flush() {
					return
				}
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, err)
			return
		}
		if len(ends) > 0 {
			flush()
		}
	}
}

// cutRows makes rows of their columns' bytes, as the database sends them.
func cutRows(raw []byte, ends []int) ([]Row, error) {
	text := string(raw)
	rows := make([]Row, len(ends)/rowColumns)
	at := 0
	for i := range rows {
		var from, to [rowColumns]int
		for c := range rowColumns {
			from[c], to[c] = at, ends[i*rowColumns+c]
			at = to[c]
		}
		column := func(c int) string { return text[from[c]:to[c]] }
		bytes := func(c int) []byte { return raw[from[c]:to[c]:to[c]] }
		r := &rows[i]
		var err error
		if r.Seq, r.Month, r.At, err = readTimes(bytes(1), bytes(2), bytes(3)); err != nil {
			return nil, err
		}
		r.Cluster, r.Kind, r.Actor, r.Result = column(0), column(4), column(5), column(6)
		r.AlertID, r.IncidentID, r.ActionID = idText(bytes(7)), idText(bytes(8)), idText(bytes(9))
		r.ActionType, r.Playbook, r.Revision, r.Rule, r.Node = column(10), column(11), column(12), column(13), column(14)
		r.TargetKind, r.TargetNamespace, r.TargetName, r.TargetUID, r.Labels = column(15), column(16), column(17), column(18), strings.TrimPrefix(column(19), "\x01") // jsonb's version
		for s := range r.Seals {
			r.Seals[s] = Seal{Salt: bytes(20 + 2*s), Value: column(21 + 2*s)}
		}
		r.Body, r.Prev, r.Hash = bytes(26), bytes(27), bytes(28)
		r.Namespace = column(29)
	}
	return rows, nil
}

// pgEpoch is where the database's binary dates and times begin.
var pgEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func readTimes(seq, month, at []byte) (int64, time.Time, time.Time, error) {
	if len(seq) != 8 || len(month) != 4 || len(at) != 8 {
		return 0, time.Time{}, time.Time{}, fmt.Errorf("a row has a number of %d bytes, a month of %d and a time of %d", len(seq), len(month), len(at))
	}
	days := int(int32(binary.BigEndian.Uint32(month)))
	micro := int64(binary.BigEndian.Uint64(at))
	return int64(binary.BigEndian.Uint64(seq)), pgEpoch.AddDate(0, 0, days), time.UnixMicro(pgEpoch.UnixMicro() + micro).UTC(), nil
}

func idText(b []byte) string {
	if len(b) != 16 {
		return ""
	}
	return uuid.UUID(b).String()
}
