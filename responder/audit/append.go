package audit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"riposte/responder/store"
)

// domain keeps a hash of this chain from passing for a hash of anything else.
const domain = "riposte/audit/1\n"

// Hash is the hash of one entry, or 32 zero bytes before the first.
type Hash = [sha256.Size]byte

// Sum computes an entry's hash from what it covers.
func Sum(cluster string, seq int64, prev Hash, body []byte) Hash {
	frame := make([]byte, 0, len(domain)+4+len(cluster)+8+len(prev)+4+len(body))
	frame = append(frame, domain...)
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(cluster)))
	frame = append(frame, cluster...)
	frame = binary.BigEndian.AppendUint64(frame, uint64(seq))
	frame = append(frame, prev[:]...)
	frame = binary.BigEndian.AppendUint32(frame, uint32(len(body)))
	frame = append(frame, body...)
	return sha256.Sum256(frame)
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

// columns are one statement's worth of rows, a slice for each column.
type columns struct {
	seq                 []int64
	at                  []time.Time
	kind, actor, result []string
	alertID, actionID   []*string
	body, prev, hash    [][]byte
}

func extend(ctx context.Context, tx store.Tx, cluster string, entries []Entry) error {
	// Encoded before the lock is taken: it is the one lock that all writers share.
	now := time.Now()
	bodies := make([]body, len(entries))
	raw := make([][]byte, len(entries))
	for i, e := range entries {
		if e.At.IsZero() {
			e.At = now
		}
		var err error
		if bodies[i], raw[i], err = e.encode(); err != nil {
			return err
		}
	}
	seq, prev, err := lockHead(ctx, tx, cluster)
	if err != nil {
		return err
	}
	var c columns
	for i, b := range bodies {
		seq++
		hash := Sum(cluster, seq, prev, raw[i])
		c.seq = append(c.seq, seq)
		c.at = append(c.at, columnTime(b.AtNS))
		c.kind = append(c.kind, string(b.Kind))
		c.actor = append(c.actor, b.Actor)
		c.result = append(c.result, b.Result)
		c.alertID = append(c.alertID, optional(b.alertID()))
		c.actionID = append(c.actionID, optional(b.actionID()))
		c.body = append(c.body, raw[i])
		c.prev = append(c.prev, slices.Clone(prev[:]))
		c.hash = append(c.hash, slices.Clone(hash[:]))
		prev = hash
	}
	batch := &pgx.Batch{}
	batch.Queue(`INSERT INTO audit (cluster, seq, at, kind, actor, result, alert_id, action_id, body, prev, hash)
		SELECT $1, * FROM unnest($2::bigint[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::uuid[],
			$9::bytea[], $10::bytea[], $11::bytea[])`,
		cluster, c.seq, c.at, c.kind, c.actor, c.result, c.alertID, c.actionID, c.body, c.prev, c.hash)
	batch.Queue(`UPDATE audit_heads SET seq = $2, hash = $3 WHERE cluster = $1`, cluster, seq, prev[:])
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("append to the audit record of cluster %s: %w", cluster, err)
	}
	return nil
}

// lockHead locks a chain's head, and starts the chain if there is none.
func lockHead(ctx context.Context, tx store.Tx, cluster string) (int64, Hash, error) {
	const lock = `SELECT seq, hash FROM audit_heads WHERE cluster = $1 FOR UPDATE`
	var seq int64
	var stored []byte
	err := tx.QueryRow(ctx, lock, cluster).Scan(&seq, &stored)
	if errors.Is(err, pgx.ErrNoRows) {
		var none Hash
		_, err = tx.Exec(ctx, `INSERT INTO audit_heads (cluster, seq, hash) VALUES ($1, 0, $2) ON CONFLICT DO NOTHING`, cluster, none[:])
		if err == nil {
			err = tx.QueryRow(ctx, lock, cluster).Scan(&seq, &stored)
		}
	}
	if err != nil {
		return 0, Hash{}, fmt.Errorf("lock the audit head of cluster %s: %w", cluster, err)
	}
	if len(stored) != sha256.Size {
		return 0, Hash{}, fmt.Errorf("the audit head of cluster %s has a hash of %d bytes: somebody changed it; run the verification", cluster, len(stored))
	}
	return seq, Hash(stored), nil
}

// columnTime is a body's time as the database keeps it: in microseconds.
func columnTime(ns int64) time.Time { return time.Unix(0, ns).UTC().Truncate(time.Microsecond) }

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
