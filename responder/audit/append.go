package audit

import (
	"bytes"
	"context"
	"crypto/rand"
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
	rows := head.extend(cluster, all)
	_, err = tx.Conn().PgConn().CopyFrom(ctx, bytes.NewReader(rows), copyRows)
	if err == nil {
		_, err = tx.Exec(ctx, `UPDATE audit_heads SET seq = $2, hash = $3, written_ns = $4 WHERE cluster = $1`, cluster, head.seq, head.hash[:], head.writtenNS)
	}
	if err != nil {
		return fmt.Errorf("append to the audit record of cluster %s: %w", cluster, err)
	}
	return nil
}

// head is where a chain goes on: the last entry's number and hash, and when the
// next ones are written.
type head struct {
	seq       int64
	hash      Hash
	writtenNS int64
}

// extend numbers and hashes entries and returns their rows for copyRows.
func (h *head) extend(cluster string, all []writing) []byte {
	month := store.Month(time.Unix(0, h.writtenNS))
	r := make(rows, 0, len(all)*rowSize)
	r = append(r, copyBegin...)
	var frame []byte
	for i := range all {
		w := &all[i]
		w.finish(h.writtenNS)
		h.seq++
		prev := h.hash
		frame = appendFrame(frame[:0], cluster, h.seq, prev[:], w.body)
		h.hash = sha256.Sum256(frame)
		r.add(cluster, month, h.seq, w, prev, h.hash)
	}
	return append(r, copyEnd...)
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
