package audit

import (
	"context"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

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
	// First is the first entry that is kept: 1, unless retention took what was before.
	First int64
	// Signed is the last entry that a checkpoint vouches for, 0 without one.
	Signed int64
	// Erased counts the sealed values that were erased.
	Erased int64
	// BadSeq is the first entry that does not fit, and Reason why; 0 and empty if all do.
	BadSeq int64
	Reason string
}

// Beginner is a pool or a connection.
type Beginner interface {
	BeginTx(ctx context.Context, o pgx.TxOptions) (pgx.Tx, error)
}

// Verify reads the whole record, in constant memory, as it stands at one moment:
// entries that are appended meanwhile do not disturb it. To the evidence it adds the
// checkpoints of the database, which must have had those of the evidence too. Its error
// means that the record could not be read; what is wrong with the record is in the Report.
func Verify(ctx context.Context, db Beginner, e Evidence) (Report, error) {
	tx, err := db.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return Report{}, fmt.Errorf("verify the audit record: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // read only: there is nothing to lose
	heads, err := readHeads(ctx, tx)
	if err != nil {
		return Report{}, err
	}
	var stored []Point
	has := map[Hash]bool{}
	for c, err := range storedCheckpoints(ctx, tx) {
		if err != nil {
			return Report{}, fmt.Errorf("read the checkpoints: %w", err)
		}
		stored = append(stored, c)
		has[c.Digest()] = true
	}
	e.miss(has)
	e.Checkpoints = append(stored, e.Checkpoints...)
	report, err := verify(batches(ctx, tx, Part{}), heads, e)
	if err != nil {
		return Report{}, fmt.Errorf("read the audit record: %w", err)
	}
	return report, nil
}

func readHeads(ctx context.Context, tx pgx.Tx) ([]Head, error) {
	rows, err := tx.Query(ctx, `SELECT cluster, seq, hash FROM audit_heads ORDER BY cluster`)
	if err != nil {
		return nil, fmt.Errorf("read the audit heads: %w", err)
	}
	heads, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Head])
	if err != nil {
		return nil, fmt.Errorf("read the audit heads: %w", err)
	}
	return heads, nil
}

// VerifyRows is Verify for rows from anywhere, for instance an exported file, with
// the checkpoints of the evidence alone. The rows of a cluster must come together and
// in the order of their numbers: another order is what it reports as wrong. It keeps
// no more than some hundred rows. Its error is the first that rows yields.
func VerifyRows(rows iter.Seq2[Row, error], heads []Head, e Evidence) (Report, error) {
	return verify(func(yield func([]Row, error) bool) {
		var some []Row
		for r, err := range rows {
			if err != nil {
				yield(some, err)
				return
			}
			if some = append(some, r); len(some) == batchRows {
				if !yield(some, nil) {
					return
				}
				some = nil
			}
		}
		if len(some) > 0 {
			yield(some, nil)
		}
	}, heads, e)
}

// verify checks rows by themselves in parallel, and how they follow each other in
// their order.
func verify(rows iter.Seq2[[]Row, error], heads []Head, e Evidence) (Report, error) {
	v := verifying{chains: map[string]*chain{}, evidence: e}
	for _, h := range heads {
		c := v.chain(h.Cluster)
		c.Head, c.head = hex.EncodeToString(h.Hash), &h
	}
	for c := range e.clusters() {
		v.chain(c)
	}
	for done, err := range parallel(rows) {
		if err != nil {
			return Report{}, err
		}
		for i := range done.rows {
			v.add(&done.rows[i], done.checks[i])
		}
		if e.Progress != nil {
			e.Progress(v.entries)
		}
	}
	return v.report(), nil
}

type verifying struct {
	chains   map[string]*chain
	last     *chain
	entries  int64
	evidence Evidence
}

func (v *verifying) chain(cluster string) *chain {
	c := v.chains[cluster]
	if c == nil {
		cluster = strings.Clone(cluster)
		c = &chain{Chain: Chain{Cluster: cluster}, trail: v.evidence.trail(cluster)}
		if p, some := v.evidence.lost[cluster]; some && len(v.evidence.Keys) > 0 {
			c.lost = &p
		}
		v.chains[cluster] = c
	}
	return c
}

func (v *verifying) add(r *Row, is check) {
	if v.last == nil || v.last.Cluster != r.Cluster {
		v.last = v.chain(r.Cluster)
	}
	v.entries++
	v.last.Entries++
	if v.last.Reason == "" {
		v.last.add(r, is)
	}
}

func (v *verifying) report() Report {
	report := Report{OK: true, Entries: v.entries}
	for _, c := range v.chains {
		if c.Reason == "" {
			c.end()
		}
		c.OK = c.Reason == ""
		report.OK = report.OK && c.OK
		report.Chains = append(report.Chains, c.Chain)
	}
	slices.SortFunc(report.Chains, func(a, b Chain) int { return strings.Compare(a.Cluster, b.Cluster) })
	return report
}
