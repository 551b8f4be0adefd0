package audit

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"riposte/responder/store"
)

// domain keeps a hash of this chain from passing for a hash of anything else.
const domain = "riposte/audit/1\n"

// Hash is the hash of one entry, or 32 zero bytes before the first.
type Hash = [sha256.Size]byte

// Sum computes an entry's hash from what it covers.
func Sum(cluster string, seq int64, prev Hash, body []byte) Hash {
	return sha256.Sum256(appendFrame(nil, cluster, seq, prev[:], body))
}

func appendFrame(frame []byte, cluster string, seq int64, prev, body []byte) []byte {
	frame = append(frame, domain...)
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(cluster)))
	frame = append(frame, cluster...)
	frame = binary.BigEndian.AppendUint64(frame, uint64(seq))
	frame = append(frame, prev...)
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(body)))
	return append(frame, body...)
}

// Append adds entries, in their order, to their clusters' chains. It is part of
// the caller's transaction: the entries stand in the record if and only if that
// transaction commits. The chains stay locked until it ends.
func Append(ctx context.Context, tx store.Tx, entries ...Entry) error {
	chains := map[string][]Entry{}
	for _, e := range entries {
		chains[e.Cluster] = append(chains[e.Cluster], e)
	}
	// One order for all writers, so that no two wait for each other.
	clusters := make([]string, 0, len(chains))
	for c := range chains {
		clusters = append(clusters, c)
	}
	slices.Sort(clusters)
	for _, c := range clusters {
		if err := extend(ctx, tx, c, chains[c]); err != nil {
			return err
		}
	}
	return nil
}

func extend(ctx context.Context, tx store.Tx, cluster string, entries []Entry) error {
	// Encoded before the lock is taken: it is the one lock that all writers share.
	now := time.Now()
	size := len(Sealed) * saltSize
	salt := make([]byte, size*len(entries))
	_, _ = rand.Read(salt) // never fails
	all := make([]writing, len(entries))
	for i, e := range entries {
		if e.At.IsZero() {
			e.At = now
		}
		var err error
		if all[i], err = e.prepare(salt[i*size : (i+1)*size]); err != nil {
			return err
		}
	}
	head, err := lockHead(ctx, tx, cluster)
	if err != nil {
		return err
	}
	args := head.extend(cluster, all)
	batch := &pgx.Batch{}
	batch.Queue(insert, args...)
	batch.Queue(`UPDATE audit_heads SET seq = $2, hash = $3, written_ns = $4 WHERE cluster = $1`, cluster, head.seq, head.hash[:], head.writtenNS)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("append to the audit record of cluster %s: %w", cluster, err)
	}
	return nil
}

const insert = `INSERT INTO audit (cluster, month, seq, at, kind, actor, result, alert_id, incident_id, action_id, action_type, playbook, revision,
		rule, node, target_kind, target_namespace, target_name, target_uid, labels, note, note_salt, params, params_salt, reason, reason_salt, body, prev, hash, namespace)
	SELECT $1, $2, * FROM unnest($3::bigint[], $4::timestamptz[], $5::text[], $6::text[], $7::text[], $8::uuid[], $9::uuid[], $10::uuid[], $11::text[],
		$12::text[], $13::text[], $14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::text[], $20::jsonb[], $21::text[], $22::bytea[],
		$23::text[], $24::bytea[], $25::text[], $26::bytea[], $27::bytea[], $28::bytea[], $29::bytea[], $30::text[])`

// head is where a chain goes on: the last entry's number and hash, and when the
// next ones are written.
type head struct {
	seq       int64
	hash      Hash
	writtenNS int64
}

// extend numbers and hashes entries and returns the arguments of insert.
func (h *head) extend(cluster string, all []writing) []any {
	seq, prev, hash := make([]int64, len(all)), make([][]byte, len(all)), make([][]byte, len(all))
	var frame []byte
	for i := range all {
		w := &all[i]
		w.finish(h.writtenNS)
		h.seq++
		seq[i], prev[i] = h.seq, slices.Clone(h.hash[:])
		frame = appendFrame(frame[:0], cluster, h.seq, prev[i], w.body)
		h.hash = sha256.Sum256(frame)
		hash[i] = slices.Clone(h.hash[:])
	}
	text := func(f func(*writing) string) []pgtype.Text {
		return column(all, func(w *writing) pgtype.Text {
			s := f(w)
			return pgtype.Text{String: s, Valid: s != ""}
		})
	}
	id := func(f func(*writing) string) []pgtype.UUID {
		return column(all, func(w *writing) pgtype.UUID {
			u, err := uuid.Parse(f(w))
			return pgtype.UUID{Bytes: u, Valid: err == nil}
		})
	}
	args := []any{
		cluster, store.Month(time.Unix(0, h.writtenNS)), seq, column(all, func(w *writing) time.Time { return columnTime(w.At.UnixNano()) }),
		column(all, func(w *writing) string { return string(w.Kind) }), column(all, func(w *writing) string { return w.Actor }),
		column(all, func(w *writing) string { return w.Result }),
		id(func(w *writing) string { return w.Why.AlertID }), id(func(w *writing) string { return w.Why.IncidentID }), id(func(w *writing) string { return w.What.ActionID }),
		text(func(w *writing) string { return w.What.Type }), text(func(w *writing) string { return w.Why.Playbook }), text(func(w *writing) string { return w.Why.Revision }),
		text(func(w *writing) string { return w.Why.Rule }), text(func(w *writing) string { return w.What.Node }), text(func(w *writing) string { return w.What.Kind }),
		text(func(w *writing) string { return w.What.Namespace }), text(func(w *writing) string { return w.What.Name }), text(func(w *writing) string { return w.What.UID }),
		column(all, func(w *writing) []byte { return labelsJSON(w.What.Labels) }),
	}
	for i := range Sealed {
		args = append(args, text(func(w *writing) string { return w.seals[i].Value }), column(all, func(w *writing) []byte { return w.seals[i].Salt }))
	}
	return append(args, column(all, func(w *writing) []byte { return w.body }), prev, hash, column(all, func(w *writing) string { return w.Namespace }))
}

// labelsJSON is nil, for NULL, where there are none.
func labelsJSON(labels map[string]string) []byte {
	if len(labels) == 0 {
		return nil
	}
	b, _ := json.Marshal(labels) // texts always can be
	return b
}

// lockHead locks a chain's head, and starts the chain if there is none. The time is
// the database's, so that it is one clock for all writers, and never before the last
// entry's: a record in which time goes back was tampered with.
func lockHead(ctx context.Context, tx store.Tx, cluster string) (h head, err error) {
	const lock = `SELECT seq, hash, greatest(written_ns, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000) FROM audit_heads
		WHERE cluster = $1 FOR UPDATE`
	var stored []byte
	err = tx.QueryRow(ctx, lock, cluster).Scan(&h.seq, &stored, &h.writtenNS)
	if errors.Is(err, pgx.ErrNoRows) {
		_, err = tx.Exec(ctx, `INSERT INTO audit_heads (cluster, seq, hash) VALUES ($1, 0, $2) ON CONFLICT DO NOTHING`, cluster, h.hash[:])
		if err == nil {
			err = tx.QueryRow(ctx, lock, cluster).Scan(&h.seq, &stored, &h.writtenNS)
		}
	}
	if err != nil {
		return h, fmt.Errorf("lock the audit head of cluster %s: %w", cluster, err)
	}
	if len(stored) != sha256.Size {
		return h, fmt.Errorf("the audit head of cluster %s has a hash of %d bytes: somebody changed it; run the verification", cluster, len(stored))
	}
	h.hash = Hash(stored)
	return h, nil
}

// columnTime is a body's time as the database keeps it: in microseconds.
func columnTime(ns int64) time.Time { return time.Unix(0, ns).UTC().Truncate(time.Microsecond) }

// column is one field of all entries: a statement takes its rows as columns.
func column[V any](all []writing, field func(*writing) V) []V {
	out := make([]V, len(all))
	for i := range all {
		out[i] = field(&all[i])
	}
	return out
}
