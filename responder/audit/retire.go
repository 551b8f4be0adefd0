package audit

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"riposte/responder/store"
)

// Retire takes the months that ended before a day out of the record. For each chain
// it leaves an anchor, signed, where the chain begins from then on, and an entry. It
// returns the names of the tables, which the database's owner finds in the schema
// riposte_retired. Nothing goes out of a chain that is not the one that was signed.
func (s *Signer) Retire(ctx context.Context, before time.Time) (gone []string, err error) {
	err = s.Store.InTx(ctx, func(tx store.Tx) error {
		ends, err := s.endsBefore(ctx, tx, store.Month(before))
		if err != nil || len(ends) == 0 {
			return err
		}
		var entries []Entry
		for _, e := range ends {
			if err := s.anchor(ctx, tx, e); err != nil {
				return fmt.Errorf("cluster %s: %w", e.Cluster, err)
			}
			entries = append(entries, Entry{
				Cluster: e.Cluster, Kind: Retention, Actor: System("retention"), Result: "retired", Note: fmt.Sprintf("the entries up to %d", e.Seq),
			})
		}
		if gone, err = tx.RetireMonths(ctx, "audit", before); err != nil {
			return err
		}
		for i := range entries {
			entries[i].Note += ", in the tables " + strings.Join(gone, ", ")
		}
		return Append(ctx, tx, entries...)
	})
	return gone, err
}

// endsBefore are each chain's last entries of the months before one.
func (s *Signer) endsBefore(ctx context.Context, tx store.Tx, month time.Time) ([]Head, error) {
	rows, err := tx.Query(ctx, `SELECT a.cluster, a.seq, a.hash FROM audit a JOIN (SELECT cluster, max(seq) AS seq FROM audit WHERE month < $1::date GROUP BY cluster) e
		USING (cluster, seq) WHERE a.month < $1::date ORDER BY a.cluster`, month)
	if err != nil {
		return nil, fmt.Errorf("find what to retire: %w", err)
	}
	ends, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Head])
	if err != nil {
		return nil, fmt.Errorf("find what to retire: %w", err)
	}
	return ends, nil
}

func (s *Signer) anchor(ctx context.Context, tx store.Tx, end Head) error {
	if err := s.learn(ctx, end.Cluster); err != nil {
		return err
	}
	if err := s.lock(ctx, tx, end.Cluster); err != nil {
		return err
	}
	last, err := lastPoint(ctx, tx, end.Cluster)
	if err != nil {
		return err
	}
	if _, _, err := s.head(ctx, tx, end.Cluster, last); err != nil {
		return err
	}
	p := Point{Cluster: end.Cluster, Seq: end.Seq, Kind: PointAnchor, AtNS: s.Now().UnixNano(), Hash: end.Hash, Prev: make([]byte, 32)}
	p.sign(s.Key)
	return addPoint(ctx, tx, &p)
}
