package ingest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"riposte/agent/alert"
	"riposte/responder/audit"
	"riposte/responder/store"
)

// letter is a message that is put aside.
type letter struct {
	Message
	reason Reason
	err    error
	// alertID and origin are known only if it was an alert.
	alertID string
	origin  store.Origin
}

// reject counts and logs a message that is no alert.
func (in *Ingest) reject(m Message, err error) letter {
	reason := Malformed
	if r := (*Rejection)(nil); errors.As(err, &r) {
		reason, err = r.Reason, r.Err
	}
	in.counts.rejected(reason)
	// Quoted: the text is whatever the sender chose.
	in.Log.Warn("a message is no alert and is put aside", "reason", string(reason), "subject", strconv.QuoteToASCII(clip(m.Subject())),
		"message_id", strconv.QuoteToASCII(clip(m.ID())), "error", strconv.QuoteToASCII(clip(err.Error())))
	return letter{Message: m, reason: reason, err: err}
}

// bury puts messages among the dead letters and ends their delivery. While the
// database is away they wait.
func (in *Ingest) bury(ctx context.Context, dead []letter) {
	if len(dead) == 0 {
		return
	}
	kept, err := in.keep(ctx, dead)
	if err != nil && in.away(ctx, err) {
		hold(ctx, in, dead, err)
		return
	}
	for i, l := range dead {
		if err == nil && kept[i] {
			in.counts.deadLetters.Add(1)
		} else {
			// Not even that: its node has too many, or the database refuses this one.
			in.counts.deadLettersDropped.Add(1)
			sum := sha256.Sum256(l.Data())
			in.Log.Error("a message was given up and is not among the dead letters", "reason", string(l.reason), "subject", strconv.QuoteToASCII(clip(l.Subject())),
				"sha256", hex.EncodeToString(sum[:]), "store_error", err, "data", strconv.QuoteToASCII(clip(string(l.Data()))))
		}
		in.Observer.Left(Dead, priorityOf(l.Subject()))
		delete(in.failures, l.origin)
		in.answer(l.Term(string(l.reason)))
	}
}

// keep stores dead letters with their entries in the record. False is one for
// which there is no room.
func (in *Ingest) keep(ctx context.Context, dead []letter) (kept []bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	rows := make([]store.DeadLetter, len(dead))
	for i, l := range dead {
		rows[i] = l.row(in.Now())
	}
	err = in.Store.InTx(ctx, func(tx store.Tx) error {
		if kept, err = tx.AddDeadLetters(ctx, rows); err != nil {
			return err
		}
		var entries []audit.Entry
		for i, l := range dead {
			if kept[i] {
				entries = append(entries, l.entry(in.Cluster, rows[i], in.Now()))
			}
		}
		return audit.Append(ctx, tx, entries...)
	})
	return kept, err
}

func (l *letter) row(now time.Time) store.DeadLetter {
	d := store.DeadLetter{
		Subject: store.Text(l.Subject()), MessageID: store.Text(clip(l.ID())), Reason: string(l.reason), Error: store.Text(clip(l.err.Error())),
		Body: l.Data(), ReceivedAt: l.ReceivedAt(), DiedAt: now, Cluster: l.origin.Cluster, Node: l.origin.Node,
	}
	if d.Cluster == "" {
		if cluster, node, err := alert.ParseOrigin(l.Subject()); err == nil {
			d.Cluster, d.Node = store.Text(clip(cluster)), store.Text(clip(node))
		}
	}
	sum := sha256.New()
	for _, part := range [][]byte{[]byte(l.Subject()), []byte(l.ID()), l.Data()} {
		fmt.Fprintf(sum, "%d:", len(part))
		sum.Write(part)
	}
	d.ID = uuid.NewSHA1(uuid.NameSpaceOID, sum.Sum(nil)).String()
	return d
}

// entry is what the record says of it: in the chain of the cluster whose node sent
// it, or in the responder's own.
func (l *letter) entry(own string, d store.DeadLetter, now time.Time) audit.Entry {
	sum := sha256.Sum256(l.Data())
	e := audit.Entry{
		Cluster: own, Kind: audit.DeadLetter, At: now, Actor: audit.System("ingest"), Result: string(l.reason),
		Note: store.Text(fmt.Sprintf("dead letter %s: %s; subject %s, message %s, %d bytes, SHA-256 %s", d.ID, clip(l.err.Error()),
			clip(l.Subject()), clip(l.ID()), len(l.Data()), hex.EncodeToString(sum[:]))),
	}
	if l.alertID != "" {
		e.Cluster, e.Why = l.origin.Cluster, audit.Why{AlertID: l.alertID}
	}
	return e
}
