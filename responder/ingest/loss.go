package ingest

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"riposte/agent/alert"
	"riposte/responder/audit"
	"riposte/responder/store"
)

// loss is a message in which an agent says what it dropped.
type loss struct {
	Message
	said alert.Loss
}

// checkLoss decodes a loss and makes sure that it is the node's whose subject it
// came on. Its error is a *Rejection.
func checkLoss(subject string, data []byte) (l alert.Loss, err error) {
	if len(data) > alert.MaxBytes {
		return l, reject(Oversize, "%d bytes, a loss has %d at most", len(data), alert.MaxBytes)
	}
	if err := json.Unmarshal(data, &l); err != nil {
		return l, reject(Malformed, "%w", err)
	}
	if err := l.Validate(); err != nil {
		return l, reject(Malformed, "%w", err)
	}
	if want := alert.LossSubject(l.Cluster, l.Node); subject != want {
		return l, reject(Foreign, "it names node %q of cluster %q, the subject is %s", l.Node, l.Cluster, subject)
	}
	if err := checkNames(l.Cluster, l.Node); err != nil {
		return l, reject(Malformed, "%w", err)
	}
	if err := checkUUID("boot_id", l.BootID); err != nil {
		return l, reject(Malformed, "%w", err)
	}
	return l, nil
}

// announce stores losses and answers their messages.
func (in *Ingest) announce(ctx context.Context, losses []loss) {
	for _, l := range losses {
		err := in.storeLoss(ctx, l.said)
		run := store.Origin{Cluster: l.said.Cluster, Node: l.said.Node, BootID: l.said.BootID} // no alert has the number 0
		switch {
		case err == nil:
			in.counts.losses.Add(1)
			delete(in.failures, run)
			in.answer(l.Ack())
		case in.away(ctx, err):
			hold(ctx, in, []loss{l}, err)
		case !store.Fault(err) && in.failures.add(run) < in.Tries: // a connection that broke, say
			in.counts.failed.Add(1)
			in.Log.Warn("what an agent dropped could not be stored and is tried again", "node", clipName(l.said.Node), "error", strconv.QuoteToASCII(err.Error()))
			in.answer(l.Nak(firstPause))
		default:
			delete(in.failures, run)
			in.bury(ctx, []letter{{Message: l, reason: Unstorable, err: err}})
		}
	}
}

func (in *Ingest) storeLoss(ctx context.Context, l alert.Loss) error {
	ctx, cancel := context.WithTimeout(ctx, writeTime)
	defer cancel()
	return in.Store.InTx(ctx, func(tx store.Tx) error {
		fresh, err := tx.AddLosses(ctx, l, in.Now())
		if err != nil || len(fresh) == 0 {
			return err
		}
		var lost uint64
		var ranges []string
		for i, r := range fresh {
			lost += r.Count
			if i < 20 {
				ranges = append(ranges, fmt.Sprintf("%d to %d (%d, %s)", r.First, r.Last, r.Count, r.Reason))
			}
		}
		return audit.Append(ctx, tx, audit.Entry{
			Cluster: l.Cluster, Kind: audit.AlertLost, At: in.Now(), Actor: audit.System("agent on " + clipName(l.Node)), Result: "lost",
			Note: store.Text(fmt.Sprintf("%d alerts of run %s were dropped by the agent: %s", lost, l.BootID, strings.Join(ranges, ", "))),
		})
	})
}
