package audit

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
)

// Evidence is what a record is compared with beside itself.
type Evidence struct {
	// Keys are the public keys that are trusted from the start. Without any,
	// checkpoints are not looked at.
	Keys []ed25519.PublicKey
	// Checkpoints may come from any place, in any order, and more than once.
	Checkpoints []Point
	// Progress is told now and then how many entries were read, if it is not nil.
	Progress func(entries int64)
	// lost is, by cluster, the first of Checkpoints that the database should have and has not.
	lost map[string]Point
}

// miss finds what is lost, given what the database has.
func (e *Evidence) miss(stored map[Hash]bool) {
	e.lost = map[string]Point{}
	for _, p := range e.Checkpoints {
		if p.Kind != PointCheckpoint || stored[p.Digest()] {
			continue
		}
		if first, some := e.lost[p.Cluster]; !some || p.Seq < first.Seq {
			e.lost[p.Cluster] = p
		}
	}
}

func (e *Evidence) clusters() map[string]bool {
	all := map[string]bool{}
	if len(e.Keys) > 0 {
		for i := range e.Checkpoints {
			all[e.Checkpoints[i].Cluster] = true
		}
	}
	return all
}

// trail is what was signed about one chain, by the number of the entry.
type trail struct {
	points  []mark
	anchors []mark
}

// mark is one thing that was signed, or what is wrong with it.
type mark struct {
	seq, atNS int64
	hash      Hash
	problem   string
}

func (t *trail) anchor(seq int64) *mark {
	for i := range t.anchors {
		if t.anchors[i].seq == seq && t.anchors[i].problem == "" {
			return &t.anchors[i]
		}
	}
	return nil
}

// trail checks the checkpoints of a cluster among themselves: signatures, keys, that
// none of two says the other's opposite, that none between two is missing, and that
// time goes on.
func (e *Evidence) trail(cluster string) (t trail) {
	if len(e.Keys) == 0 {
		return t
	}
	var all []*Point
	for i := range e.Checkpoints {
		if e.Checkpoints[i].Cluster == cluster {
			all = append(all, &e.Checkpoints[i])
		}
	}
	slices.SortStableFunc(all, func(a, b *Point) int {
		return cmp.Or(cmp.Compare(a.Seq, b.Seq), cmp.Compare(a.AtNS, b.AtNS), bytes.Compare(a.Signature, b.Signature))
	})
	all = slices.CompactFunc(all, func(a, b *Point) bool { return bytes.Equal(a.Signature, b.Signature) && a.Digest() == b.Digest() })
	k := newKeyring(e.Keys)
	var last *Point
	for i, p := range all {
		m := mark{seq: p.Seq, atNS: p.AtNS}
		err := p.check()
		if err == nil {
			m.hash = Hash(p.Hash)
			err = k.admit(p)
		}
		if err == nil && p.Kind == PointCheckpoint {
			err = follows(last, p)
			last = p
			if i+1 < len(all) && forks(p, all[i+1]) {
				err = fmt.Errorf("there are two, of %s and %s, that differ: the chain was forked", stamp(p.AtNS), stamp(all[i+1].AtNS))
			}
		}
		if err != nil {
			m.problem = fmt.Sprintf("the %s of entry %d: %v", p.Kind, p.Seq, err)
		}
		if p.Kind == PointAnchor && err == nil {
			t.anchors = append(t.anchors, m)
		} else {
			t.points = append(t.points, m)
		}
	}
	return t
}

// forks says that two checkpoints are about one entry and call it something else.
func forks(a, b *Point) bool {
	return a.Seq == b.Seq && b.Kind == PointCheckpoint && !bytes.Equal(a.Hash, b.Hash) && b.check() == nil
}

// follows says why a checkpoint cannot come after the one before it.
func follows(last, p *Point) error {
	if last == nil {
		if !bytes.Equal(p.Prev, make([]byte, len(p.Prev))) {
			return errors.New("it is not the first that was signed: one before it is missing")
		}
		return nil
	}
	digest := last.Digest()
	switch {
	case p.AtNS < last.AtNS:
		return fmt.Errorf("it was signed at %s, before the one before it: the clock went back", stamp(p.AtNS))
	case !bytes.Equal(p.Prev, digest[:]):
		return fmt.Errorf("it does not follow that of entry %d: one between the two is missing, or the chain was forked", last.Seq)
	}
	return nil
}

// keyring knows which keys may sign.
type keyring struct{ trusted, retired map[string]bool }

func newKeyring(keys []ed25519.PublicKey) keyring {
	k := keyring{map[string]bool{}, map[string]bool{}}
	for _, key := range keys {
		k.trusted[string(key)] = true
	}
	return k
}

// admit says whether a checkpoint's key may sign, and learns the key that it hands over to.
func (k keyring) admit(p *Point) error {
	switch {
	case k.retired[string(p.Key)]:
		return fmt.Errorf("it is signed by the key %x…, which had handed over to another", []byte(p.Key[:8]))
	case !k.trusted[string(p.Key)]:
		return fmt.Errorf("it is signed by the key %x…, which nobody trusted has named", []byte(p.Key[:8]))
	case len(p.NextKey) > 0:
		k.trusted[string(p.NextKey)], k.retired[string(p.Key)] = true, true
	}
	return nil
}
