package audit

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"time"
)

// chain is the state of one cluster's verification: seq, hash and writtenNS are the
// last entry's that fitted.
type chain struct {
	Chain
	head      *Head
	trail     trail
	lost      *Point // the first checkpoint that the database should have and has not
	seq       int64
	hash      Hash
	writtenNS int64
}

func (c *chain) bad(seq int64, format string, args ...any) {
	c.BadSeq, c.Reason = seq, fmt.Sprintf(format, args...)
}

func (c *chain) add(r *Row, is check) {
	if c.First == 0 {
		c.begin(r)
	}
	want := c.seq + 1
	switch {
	case r.Seq > want:
		c.bad(want, "entry %d is missing: the next one that is there is %d", want, r.Seq)
		return
	case r.Seq == c.seq && c.Entries > 1:
		c.bad(r.Seq, "there are two entries %d: the chain was forked, or one was put in", r.Seq)
		return
	case r.Seq < want:
		c.bad(r.Seq, "entry %d stands after entry %d: it was moved or put in", r.Seq, c.seq)
		return
	case !bytes.Equal(r.Prev, c.hash[:]):
		c.bad(r.Seq, "its prev is not the hash of the entry before it: one of the two was changed, moved or put in")
		return
	case !is.fits:
		c.bad(r.Seq, "its body is not the one that was hashed: it was edited or moved")
		return
	case is.problem != "":
		c.bad(r.Seq, "%s: the body is as it was written", is.problem)
		return
	case is.writtenNS != 0 && is.writtenNS < c.writtenNS:
		c.bad(r.Seq, "it says that it was written at %s, before the entry before it: the clock went back", stamp(is.writtenNS))
		return
	}
	c.seq, c.hash, c.writtenNS = r.Seq, Hash(r.Hash), max(c.writtenNS, is.writtenNS)
	c.Erased += is.erased
	c.signed()
}

// begin starts where retention left the chain, if its first entry is not the first.
func (c *chain) begin(r *Row) {
	c.First = 1
	if r.Seq <= 1 {
		return
	}
	if a := c.trail.anchor(r.Seq - 1); a != nil {
		c.First, c.seq, c.hash = r.Seq, a.seq, a.hash
	}
}

// signed compares the entry with what was signed about it.
func (c *chain) signed() {
	for len(c.trail.points) > 0 && c.trail.points[0].seq <= c.seq {
		p := c.trail.points[0]
		c.trail.points = c.trail.points[1:]
		switch {
		case p.problem != "":
			c.bad(p.seq, "%s", p.problem)
			return
		case p.seq < c.seq:
			continue // from before the first entry that is kept
		case p.hash != c.hash:
			c.bad(c.seq, "it is not the entry that was signed at %s: the chain was written anew from some entry after %d", stamp(p.atNS), max(c.Signed, c.First-1))
			return
		case p.atNS < c.writtenNS:
			c.bad(c.seq, "its checkpoint was signed at %s, before it was written: the clock went back", stamp(p.atNS))
			return
		}
		c.Signed = c.seq
	}
}

func (c *chain) end() {
	if c.Entries == 0 && c.head != nil { // retention may have taken all of a cluster that is no more
		if a := c.trail.anchor(c.head.Seq); a != nil {
			c.First, c.seq, c.hash = a.seq+1, a.seq, a.hash
			c.signed()
		}
	}
	if c.Reason != "" {
		return
	}
	if len(c.trail.points) > 0 {
		p := c.trail.points[0]
		if p.problem != "" {
			c.bad(p.seq, "%s", p.problem)
		} else {
			c.bad(c.seq+1, "the tail is missing: entry %d was signed at %s", p.seq, stamp(p.atNS))
		}
		return
	}
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
	case c.lost != nil:
		c.bad(c.lost.Seq, "its checkpoint, signed at %s, is not in the database any more: it was removed. The entries are those that were signed", stamp(c.lost.AtNS))
	}
}

func stamp(ns int64) string { return time.Unix(0, ns).UTC().Format(time.RFC3339Nano) }
