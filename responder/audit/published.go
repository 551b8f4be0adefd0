package audit

import (
	"context"
	"fmt"
)

// Published is what the places have to compare the record with, also of chains that are
// not in the database any more. Of a chain whose newest checkpoint the database has that
// one is enough: it vouches for all before it. Otherwise it is all, for the first that the
// database has not may be much older.
func (s *Signer) Published(ctx context.Context) (all []Point, err error) {
	for _, place := range s.Places {
		newest, err := place.Newest(ctx)
		if err != nil {
			return nil, fmt.Errorf("ask %s for its last checkpoints: %w", place.Name(), err)
		}
		for _, p := range newest {
			stored, err := s.stored(ctx, p)
			if err != nil {
				return nil, err
			}
			if stored {
				all = append(all, p)
				continue
			}
			points, err := place.All(ctx, p.Cluster)
			if err != nil {
				return nil, fmt.Errorf("read the checkpoints of %s: %w", place.Name(), err)
			}
			all = append(all, points...)
		}
	}
	return all, nil
}

// stored says whether the database has a checkpoint.
func (s *Signer) stored(ctx context.Context, p Point) (has bool, err error) {
	err = s.Store.Pool().QueryRow(ctx, `SELECT EXISTS (SELECT FROM audit_checkpoints WHERE cluster = $1 AND seq = $2 AND kind = $3 AND signature = $4)`,
		p.Cluster, p.Seq, string(p.Kind), []byte(p.Signature)).Scan(&has)
	if err != nil {
		return false, fmt.Errorf("look for a checkpoint of cluster %s: %w", p.Cluster, err)
	}
	return has, nil
}
