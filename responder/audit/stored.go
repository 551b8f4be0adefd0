package audit

import (
	"context"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"

	"riposte/responder/store"
)

const selectPoints = `SELECT cluster, seq, kind, at_ns, hash, prev, key, next_key, signature FROM audit_checkpoints`

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}

// storedCheckpoints are the database's, by cluster and number.
func storedCheckpoints(ctx context.Context, db querier) iter.Seq2[Point, error] {
	return points(ctx, db, selectPoints+" ORDER BY cluster, seq, kind DESC")
}

func points(ctx context.Context, db querier, sql string, args ...any) iter.Seq2[Point, error] {
	return func(yield func(Point, error) bool) {
		rows, err := db.Query(ctx, sql, args...)
		if err != nil {
			yield(Point{}, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var p Point
			if err := rows.Scan(&p.Cluster, &p.Seq, &p.Kind, &p.AtNS, (*[]byte)(&p.Hash), (*[]byte)(&p.Prev), (*[]byte)(&p.Key), (*[]byte)(&p.NextKey), (*[]byte)(&p.Signature)); err != nil {
				yield(Point{}, err)
				return
			}
			if !yield(p, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(Point{}, err)
		}
	}
}

func first(all iter.Seq2[Point, error]) (*Point, error) {
	for p, err := range all {
		if err != nil {
			return nil, fmt.Errorf("read the checkpoints: %w", err)
		}
		return &p, nil
	}
	return nil, nil
}

// lastPoint is a chain's newest checkpoint, nil if there is none.
func lastPoint(ctx context.Context, db querier, cluster string) (*Point, error) {
	return first(points(ctx, db, selectPoints+" WHERE cluster = $1 AND kind = 'checkpoint' ORDER BY seq DESC LIMIT 1", cluster))
}

func addPoint(ctx context.Context, tx store.Tx, p *Point) error {
	_, err := tx.Exec(ctx, `INSERT INTO audit_checkpoints (cluster, seq, kind, at_ns, hash, prev, key, next_key, signature) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		p.Cluster, p.Seq, string(p.Kind), p.AtNS, []byte(p.Hash), []byte(p.Prev), []byte(p.Key), []byte(p.NextKey), []byte(p.Signature))
	if err != nil {
		return fmt.Errorf("store a checkpoint of cluster %s: %w", p.Cluster, err)
	}
	return nil
}
