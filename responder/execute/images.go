package execute

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"riposte/responder/action"
	"riposte/responder/store"
)

// Bounds of what an action records, in bytes. A before-image over its bound would not
// fit into an undo if it were cut; it is left out, and the undo works with what the
// action noted on the object.
const (
	maxBefore   = 1 << 20
	maxAfter    = 1 << 20
	maxEvidence = 4 << 20
)

// images is what an action recorded, within bounds.
type images struct {
	before, after, evidence string
	// lost says what was over its bound.
	lost string
}

func imagesOf(r action.Result) images {
	var i images
	i.before = string(r.Before)
	if len(i.before) > maxBefore {
		i.before, i.lost = "", fmt.Sprintf("; how it was before has %d bytes and was not kept", len(r.Before))
	}
	i.after, i.evidence = bounded(r.After, maxAfter), bounded(r.Evidence, maxEvidence)
	return i
}

// cutImage stands for JSON that was too large: how it began, and what it was.
type cutImage struct {
	Cut    bool   `json:"cut"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"`
	Begin  string `json:"begin"`
}

// bounded returns JSON as it is, or a cutImage with its first half of limit bytes.
func bounded(raw json.RawMessage, limit int) string {
	if len(raw) <= limit {
		return store.Text(string(raw))
	}
	sum := sha256.Sum256(raw)
	b, err := json.Marshal(cutImage{Cut: true, Bytes: len(raw), SHA256: hex.EncodeToString(sum[:]), Begin: strings.ToValidUTF8(string(raw[:limit/2]), "")})
	if err != nil { // a struct of texts and numbers
		return ""
	}
	return string(b)
}

// keep records what an attempt found and left, and when its effect is to be lifted.
func (e *Executor) keep(ctx context.Context, tx store.Tx, c *claim, end ending) error {
	a := e.o.Registry[c.Type]
	lift, renew := holds(a, c, end)
	k := end.kept
	if k != (images{}) || !lift.IsZero() {
		_, err := tx.Exec(ctx, `UPDATE actions SET before_image = $2, after_image = $3, evidence = $4, lift_ns = $5, renew_ns = $6 WHERE id = $1`,
			c.ID, store.Text(k.before), k.after, k.evidence, nsOrNull(lift), nsOrNull(renew))
		if err != nil {
			return err
		}
	}
	return e.wake(ctx, tx, c, a)
}

// holds says when the effect of an action is to be lifted, and when the lease that it
// lasts for is to be renewed; zero for never. An effect that may be there is lifted
// too. One with a lease and without a ttl ends with the lease: the lifting records it.
func holds(a action.Action, c *claim, end ending) (lift, renew time.Time) {
	if _, ok := a.(action.Undoer); !ok || end.state != succeeded && end.state != unknown {
		return lift, renew
	}
	from := end.executed
	if from.IsZero() {
		from = time.Now()
	}
	ttl := c.ttl
	if l, ok := a.(action.Leaser); ok {
		if lease, err := l.Lease(c.Params); err == nil && ttl == 0 {
			ttl = lease
		} else if err == nil && ttl > lease {
			renew = from.Add(lease / 2)
		}
	}
	if ttl > 0 {
		lift = from.Add(ttl)
	}
	return lift, renew
}
