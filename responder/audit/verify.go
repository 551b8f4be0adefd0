package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// Row is one row of the table audit.
type Row struct {
	Cluster string
	Seq     int64
	At      time.Time
	Kind    string
	Actor   string
	Result  string
	// AlertID and ActionID are empty for NULL.
	AlertID  string
	ActionID string
	Body     []byte
	Prev     []byte
	Hash     []byte
}

// Head is one row of the table audit_heads.
type Head struct {
	Cluster string
	Seq     int64
	Hash    []byte
}

// Report says whether the record is as it was written.
type Report struct {
	OK bool
	// Entries counts the entries of all chains.
	Entries int64
	// Chains are in the order of the clusters' names.
	Chains []Chain
}

// Chain is one cluster's part of a Report.
type Chain struct {
	Cluster string
	OK      bool
	Entries int64
	// Head is the hash that the table of heads gives, as hexadecimal; empty if it gives none.
	Head string
	// BadSeq is the first entry that does not fit, and Reason why; 0 and empty if all do.
	BadSeq int64
	Reason string
}

// Beginner is a pool or a connection.
type Beginner interface {
	BeginTx(ctx context.Context, o pgx.TxOptions) (pgx.Tx, error)
}

// Verify reads the whole record, in constant memory, as it stands at one moment:
// entries that are appended meanwhile do not disturb it. Its error means that
// the record could not be read; what is wrong with the record is in the Report.
func Verify(ctx context.Context, db Beginner) (Report, error) {
	tx, err := db.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return Report{}, fmt.Errorf("verify the audit record: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // read only: there is nothing to lose
	rows, err := tx.Query(ctx, `SELECT cluster, seq, hash FROM audit_heads`)
	if err != nil {
		return Report{}, fmt.Errorf("read the audit heads: %w", err)
	}
	heads, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Head])
	if err != nil {
		return Report{}, fmt.Errorf("read the audit heads: %w", err)
	}
	report, err := VerifyRows(stream(ctx, tx), heads)
	if err != nil {
		return Report{}, fmt.Errorf("read the audit record: %w", err)
	}
	return report, nil
}

// stream yields the table in the order that VerifyRows wants. The row's byte
// slices are overwritten by the next row.
func stream(ctx context.Context, tx pgx.Tx) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		rows, err := tx.Query(ctx, `SELECT cluster, seq, at, kind, actor, result, coalesce(alert_id::text, ''), coalesce(action_id::text, ''),
			body, prev, hash FROM audit ORDER BY cluster, seq`)
		if err != nil {
			yield(Row{}, err)
			return
		}
		defer rows.Close()
		var body, prev, hash pgtype.DriverBytes
		for rows.Next() {
			var r Row
			if err := rows.Scan(&r.Cluster, &r.Seq, &r.At, &r.Kind, &r.Actor, &r.Result, &r.AlertID, &r.ActionID, &body, &prev, &hash); err != nil {
				yield(Row{}, err)
				return
			}
			r.Body, r.Prev, r.Hash = body, prev, hash
			if !yield(r, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Row{}, err)
		}
	}
}

// VerifyRows is Verify for rows from anywhere, for instance an exported file.
// The rows of a cluster must come together and in the order of their numbers:
// another order is what it reports as wrong. It keeps no row. Its error is the
// first that rows yields.
func VerifyRows(rows iter.Seq2[Row, error], heads []Head) (Report, error) {
	byCluster := map[string]*chain{}
	for _, h := range heads {
		byCluster[h.Cluster] = &chain{Chain: Chain{Cluster: h.Cluster, Head: hex.EncodeToString(h.Hash)}, head: &h}
	}
	var last *chain
	for row, err := range rows {
		if err != nil {
			return Report{}, err
		}
		if last == nil || last.Cluster != row.Cluster {
			if last = byCluster[row.Cluster]; last == nil {
				last = &chain{Chain: Chain{Cluster: strings.Clone(row.Cluster)}}
				byCluster[last.Cluster] = last
			}
		}
		last.Entries++
		if last.Reason == "" {
			last.add(row)
		}
	}
	report := Report{OK: true}
	for _, c := range byCluster {
		if c.Reason == "" {
			c.end()
		}
		c.OK = c.Reason == ""
		report.OK = report.OK && c.OK
		report.Entries += c.Entries
		report.Chains = append(report.Chains, c.Chain)
	}
	slices.SortFunc(report.Chains, func(a, b Chain) int { return strings.Compare(a.Cluster, b.Cluster) })
	return report, nil
}

// chain is the state of one cluster's verification: seq and hash are the last
// entry's that fitted.
type chain struct {
	Chain
	head *Head
	seq  int64
	hash Hash
}

func (c *chain) bad(seq int64, format string, args ...any) {
	c.BadSeq, c.Reason = seq, fmt.Sprintf(format, args...)
}

func (c *chain) add(r Row) {
	want := c.seq + 1
	switch {
	case r.Seq > want:
		c.bad(want, "entry %d is missing: the next one that is there is %d", want, r.Seq)
		return
	case r.Seq < want:
		c.bad(r.Seq, "entry %d stands after entry %d: it was moved or put in", r.Seq, c.seq)
		return
	}
	hash := Sum(c.Cluster, r.Seq, c.hash, r.Body)
	switch {
	case !bytes.Equal(r.Prev, c.hash[:]):
		c.bad(r.Seq, "its prev is not the hash of the entry before it: one of the two was changed, moved or put in")
	case !bytes.Equal(r.Hash, hash[:]):
		c.bad(r.Seq, "its body is not the one that was hashed: it was edited or moved")
	default:
		if column := r.differs(); column != "" {
			c.bad(r.Seq, "%s: the body is as it was written", column)
			return
		}
		c.seq, c.hash = r.Seq, hash
	}
}

func (c *chain) end() {
	switch {
	case c.head == nil:
		c.bad(c.seq, "the chain has no head: it was removed, or the chain put in")
	case len(c.head.Hash) != sha256.Size:
		c.bad(c.seq, "the head's hash has %d bytes: it was edited", len(c.head.Hash))
	case c.head.Seq > c.seq:
		c.bad(c.seq+1, "the tail is missing: the head says that there are %d entries", c.head.Seq)
	case c.head.Seq < c.seq:
		c.bad(c.head.Seq+1, "the head ends at %d: what follows was put in, or the head was set back", c.head.Seq)
	case !bytes.Equal(c.head.Hash, c.hash[:]):
		c.bad(c.seq, "the head has another hash than the last entry: one of the two was changed")
	}
}

// differs names the first column that is not what the body says.
func (r Row) differs() string {
	var b body
	if err := json.Unmarshal(r.Body, &b); err != nil {
		return fmt.Sprintf("the body is no JSON of this version (%v)", err)
	}
	switch {
	case b.Cluster != r.Cluster:
		return "the column cluster was changed"
	case !columnTime(b.AtNS).Equal(r.At):
		return "the column at was changed"
	case string(b.Kind) != r.Kind:
		return "the column kind was changed"
	case b.Actor != r.Actor:
		return "the column actor was changed"
	case b.Result != r.Result:
		return "the column result was changed"
	case b.alertID() != r.AlertID:
		return "the column alert_id was changed"
	case b.actionID() != r.ActionID:
		return "the column action_id was changed"
	}
	return ""
}
