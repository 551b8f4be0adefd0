package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"riposte/responder/store"
)

// ErrTampered says that a chain is not the one that was signed before. Nothing more
// is signed about it: a signature would vouch for what somebody wrote anew.
var ErrTampered = errors.New("the record is not the one that was signed")

// Place keeps copies of checkpoints outside of the database.
type Place interface {
	// Name says where, for people.
	Name() string
	// Last is the newest checkpoint that it has of a cluster, nil for none.
	Last(ctx context.Context, cluster string) (*Point, error)
	// Newest is Last of every cluster that it has checkpoints of.
	Newest(ctx context.Context) ([]Point, error)
	// All are the checkpoints that it has of a cluster.
	All(ctx context.Context, cluster string) ([]Point, error)
	// Put adds one; it must be durable when Put returns.
	Put(ctx context.Context, p Point) error
}

// SignerOptions says what to sign with and where to keep it.
type SignerOptions struct {
	Store *store.Store
	// Key signs. OldKey, if it is set, hands over to Key once.
	Key, OldKey ed25519.PrivateKey
	// Every is after how many entries a checkpoint is signed, Within after how long if
	// there are fewer. Default: DefaultEvery, DefaultWithin.
	Every  int64
	Within time.Duration
	// Places get every checkpoint that the database has.
	Places []Place
	Now    func() time.Time
	Log    *slog.Logger
}

// Defaults of SignerOptions.
const (
	DefaultEvery  = 1000
	DefaultWithin = time.Minute
)

// Signer signs checkpoints. Several may run, with one key: each checkpoint is signed
// by one of them, and all of them put it where they keep copies.
type Signer struct {
	SignerOptions
	// known is each cluster's newest checkpoint, wherever it was seen; sent what each
	// place has.
	known map[string]*Point
	sent  []map[string]int64

	signed, refused, unsent atomic.Uint64
}

// NewSigner makes one; Run or Round has it sign.
func NewSigner(o SignerOptions) *Signer {
	if o.Every == 0 {
		o.Every = DefaultEvery
	}
	if o.Within == 0 {
		o.Within = DefaultWithin
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &Signer{SignerOptions: o, known: map[string]*Point{}}
	for range o.Places {
		s.sent = append(s.sent, map[string]int64{})
	}
	return s
}

// Counts are this process's counters by name.
func (s *Signer) Counts() map[string]uint64 {
	return map[string]uint64{"signed": s.signed.Load(), "refused": s.refused.Load(), "unsent": s.unsent.Load()}
}

// look is how often chains are looked at.
const look = time.Second

// Run signs what is due until ctx ends.
func (s *Signer) Run(ctx context.Context) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	said := ""
	for ctx.Err() == nil {
		err := s.Round(ctx, false)
		if text := fmt.Sprint(err); err != nil && ctx.Err() == nil && text != said { // once for each cause
			s.Log.Error("the record's checkpoints", "error", err)
			said = text
		} else if err == nil {
			said = ""
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

// Round looks at every chain once; all signs to the last entry whether it is due or not.
func (s *Signer) Round(ctx context.Context, all bool) error {
	clusters, err := s.clusters(ctx)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range clusters {
		if err := s.chain(ctx, c, all); err != nil {
			errs = append(errs, fmt.Errorf("cluster %s: %w", c, err))
		}
	}
	return errors.Join(errs...)
}

func (s *Signer) chain(ctx context.Context, cluster string, all bool) error {
	if err := s.learn(ctx, cluster); err != nil {
		return err
	}
	err := s.Store.InTx(ctx, func(tx store.Tx) error { return s.sign(ctx, tx, cluster, all) })
	if errors.Is(err, ErrTampered) {
		s.refused.Add(1)
	}
	return errors.Join(err, s.spread(ctx, cluster))
}

// learn asks the places what they have of a cluster, once.
func (s *Signer) learn(ctx context.Context, cluster string) error {
	if _, asked := s.known[cluster]; asked {
		return nil
	}
	var newest *Point
	for i, place := range s.Places {
		last, err := place.Last(ctx, cluster)
		if err != nil {
			return fmt.Errorf("ask %s for its last checkpoint: %w", place.Name(), err)
		}
		if last == nil {
			continue
		}
		if err := last.check(); err != nil {
			return fmt.Errorf("the last checkpoint of %s: %w: %w", place.Name(), ErrTampered, err)
		}
		s.sent[i][cluster] = last.Seq
		if newest == nil || last.Seq > newest.Seq {
			newest = last
		}
	}
	s.known[cluster] = newest
	return nil
}

// lock makes this the one transaction that signs about a chain.
func (s *Signer) lock(ctx context.Context, tx store.Tx, cluster string) error {
	if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('riposte/checkpoint/' || $1, 0))", cluster); err != nil {
		return fmt.Errorf("lock the checkpoints: %w", err)
	}
	return nil
}

func (s *Signer) clusters(ctx context.Context) ([]string, error) {
	rows, err := s.Store.Pool().Query(ctx, `SELECT cluster FROM audit_heads ORDER BY cluster`)
	if err != nil {
		return nil, fmt.Errorf("read the audit heads: %w", err)
	}
	clusters, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("read the audit heads: %w", err)
	}
	return clusters, nil
}

// sign signs a chain's last entry, if that is due.
func (s *Signer) sign(ctx context.Context, tx store.Tx, cluster string, all bool) error {
	if err := s.lock(ctx, tx, cluster); err != nil {
		return err
	}
	last, err := lastPoint(ctx, tx, cluster)
	if err != nil {
		return err
	}
	head, found, err := s.head(ctx, tx, cluster, last)
	if err != nil || !found {
		return err
	}
	p := Point{Cluster: cluster, Seq: head.Seq, Kind: PointCheckpoint, AtNS: max(s.Now().UnixNano(), head.writtenNS), Hash: head.Hash, Prev: make([]byte, 32)}
	key := s.Key
	if last != nil {
		due := all || head.Seq-last.Seq >= s.Every || p.AtNS-last.AtNS >= int64(s.Within)
		if head.Seq == last.Seq || !due {
			return nil
		}
		digest := last.Digest()
		p.Prev, p.AtNS = digest[:], max(p.AtNS, last.AtNS)
		if key, err = s.keyAfter(last, &p); err != nil {
			return err
		}
	}
	p.sign(key)
	if err := addPoint(ctx, tx, &p); err != nil {
		return err
	}
	s.signed.Add(1)
	return nil
}

// keyAfter is the key that signs what follows a checkpoint, and hands over where it must.
func (s *Signer) keyAfter(last, p *Point) (ed25519.PrivateKey, error) {
	now := []byte(last.Key)
	if len(last.NextKey) > 0 {
		now = last.NextKey
	}
	own := []byte(s.Key.Public().(ed25519.PublicKey))
	switch {
	case bytes.Equal(now, own):
		return s.Key, nil
	case s.OldKey != nil && bytes.Equal(now, s.OldKey.Public().(ed25519.PublicKey)):
		p.NextKey = own
		return s.OldKey, nil
	}
	return nil, fmt.Errorf("the last checkpoint is by the key %x…, which is not ours: give it as the old key, so that it hands over", now[:8])
}

// head is a chain's last entry, false for an empty chain. It makes sure that the
// chain still is the one that was signed before.
func (s *Signer) head(ctx context.Context, tx store.Tx, cluster string, last *Point) (entryAt, bool, error) {
	head, found, err := hashAt(ctx, tx, cluster, 0)
	if err != nil || !found {
		return head, false, err
	}
	if err := s.compare(ctx, tx, cluster, last, head.Seq); err != nil {
		return head, false, err
	}
	if last != nil && last.Seq == head.Seq { // compare has looked at it
		return head, true, nil
	}
	entry, found, err := hashAt(ctx, tx, cluster, head.Seq)
	if err == nil && (!found || !bytes.Equal(entry.Hash, head.Hash)) {
		err = fmt.Errorf("%w: entry %d is not the one that the head names", ErrTampered, head.Seq)
	}
	return head, true, err
}

// compare makes sure that the chain still is the one that was signed before.
func (s *Signer) compare(ctx context.Context, tx store.Tx, cluster string, last *Point, head int64) error {
	known := s.known[cluster]
	if last != nil && (known == nil || last.Seq >= known.Seq) {
		known = last
	}
	if known == nil {
		return nil
	}
	if last == nil || last.Seq < known.Seq {
		return fmt.Errorf("%w: the checkpoint of entry %d, signed at %s, is not in the database", ErrTampered, known.Seq, stamp(known.AtNS))
	}
	if known.Seq > head {
		return fmt.Errorf("%w: entry %d was signed at %s, and the chain ends at %d", ErrTampered, known.Seq, stamp(known.AtNS), head)
	}
	there, found, err := hashAt(ctx, tx, cluster, known.Seq)
	if err != nil {
		return err
	}
	if !found || !bytes.Equal(there.Hash, known.Hash) {
		return fmt.Errorf("%w: entry %d is another than that of %s", ErrTampered, known.Seq, stamp(known.AtNS))
	}
	s.known[cluster] = known
	return nil
}

// spread puts into each place what the database has and the place has not.
func (s *Signer) spread(ctx context.Context, cluster string) error {
	var errs []error
	for i, place := range s.Places {
		for p, err := range points(ctx, s.Store.Pool(), selectPoints+" WHERE cluster = $1 AND seq > $2 AND kind = 'checkpoint' ORDER BY seq", cluster, s.sent[i][cluster]) {
			if err == nil {
				err = place.Put(ctx, p)
			}
			if err != nil {
				s.unsent.Add(1)
				errs = append(errs, fmt.Errorf("put checkpoints into %s: %w", place.Name(), err))
				break
			}
			s.sent[i][cluster] = p.Seq
		}
	}
	return errors.Join(errs...)
}

// entryAt is what a signer needs to know of an entry.
type entryAt struct {
	Head
	writtenNS int64
}

// hashAt is an entry's hash, the head's for number 0.
func hashAt(ctx context.Context, tx store.Tx, cluster string, seq int64) (e entryAt, found bool, err error) {
	e.Cluster, e.Seq = cluster, seq
	sql, args := `SELECT seq, hash, written_ns FROM audit_heads WHERE cluster = $1 AND seq > 0`, []any{cluster}
	if seq > 0 {
		sql, args = `SELECT seq, hash, 0::bigint FROM audit WHERE cluster = $1 AND seq = $2`, append(args, seq)
	}
	err = tx.QueryRow(ctx, sql, args...).Scan(&e.Seq, &e.Hash, &e.writtenNS)
	if errors.Is(err, pgx.ErrNoRows) {
		return e, false, nil
	}
	if err != nil {
		return e, false, fmt.Errorf("read an entry's hash: %w", err)
	}
	return e, true, nil
}
