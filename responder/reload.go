package responder

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"riposte/responder/audit"
	"riposte/responder/playbook/sandbox"
	"riposte/responder/store"
)

// reloaded is a kind of files that are read anew, as the log and the record name it.
type reloaded struct {
	name string
	kind audit.Kind
	by   string
}

var (
	playbooksReloaded = reloaded{name: "playbooks", kind: audit.PlaybookReload, by: "playbook"}
	policiesReloaded  = reloaded{name: "guard rules", kind: audit.GuardReload, by: "guard"}
	limitsReloaded    = reloaded{name: "guard limits", kind: audit.Configuration, by: "guard"}
)

// recordAgain is how long a reload's entry waits for a database that is away.
const recordAgain = 2 * time.Second

// reporter tells the log and the record what became of each reload.
type reporter struct {
	r    *Responder
	log  *slog.Logger
	what reloaded
	// also is done in the transaction of the entry, if there is something to do.
	also func(ctx context.Context, tx store.Tx) error
}

func (p reporter) with(ctx context.Context) func(sandbox.Reload) {
	return func(l sandbox.Reload) { p.report(ctx, l) }
}

// report returns when the entry is written, or ctx ends: while the database is away
// nothing is decided, and nothing has to be read anew.
func (p reporter) report(ctx context.Context, l sandbox.Reload) {
	args := []any{"in_use", l.Parts, "added", names(l.Added), "changed", names(l.Changed), "removed", names(l.Removed)}
	if l.Err != nil {
		p.log.Error(p.what.name+" were not reloaded, the last good ones stay in use", append(args, "error", sandbox.First(l.Err))...)
	} else {
		p.log.Info(p.what.name+" loaded", args...)
	}
	e := p.entry(l)
	for {
		err := p.r.store.InTx(ctx, func(tx store.Tx) error {
			if p.also != nil {
				if err := p.also(ctx, tx); err != nil {
					return err
				}
			}
			return audit.Append(ctx, tx, e)
		})
		if err == nil || ctx.Err() != nil {
			return
		}
		p.log.Warn("a reload was not recorded yet", "error", err, "again_in", recordAgain)
		select {
		case <-ctx.Done():
			return
		case <-time.After(recordAgain):
		}
	}
}

func (p reporter) entry(l sandbox.Reload) audit.Entry {
	e := audit.Entry{
		Cluster: p.r.o.Cluster, Kind: p.what.kind, At: l.At, Actor: audit.System(p.what.by), Result: "loaded",
		Note: fmt.Sprintf("instance %s has %d %s", p.r.o.Instance, l.Parts, p.what.name),
	}
	if l.Err != nil {
		e.Result, e.Note = "failed", e.Note+" as before: "+sandbox.First(l.Err)
	}
	e.What.Params, _ = json.Marshal(struct { // texts alone
		Added   []sandbox.Change `json:"added,omitempty"`
		Changed []sandbox.Change `json:"changed,omitempty"`
		Removed []sandbox.Change `json:"removed,omitempty"`
	}{l.Added, l.Changed, l.Removed})
	return e
}

func names(list []sandbox.Change) string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = fmt.Sprintf("%s@%.12s", c.Name, c.Revision)
	}
	return strings.Join(out, " ")
}
