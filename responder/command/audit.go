package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
	"riposte/responder/audit"
)

// NewAudit is the command "audit".
func NewAudit() *cobra.Command {
	c := &cobra.Command{
		Use: "audit", Short: "Ask the record who did what, and prove that nobody changed it", Args: cobra.NoArgs, RunE: help,
		Example: "  riposte audit list --action 6f0c2b7a91de\n  riposte audit verify",
	}
	ConnectFlags(c)
	c.AddCommand(newAuditList(), newAuditVerify())
	return c
}

func newAuditList() *cobra.Command {
	var f client.AuditFilter
	var from string
	l := &listing[api.AuditEntry]{
		header: []string{"TIME", "CLUSTER", "SEQ", "KIND", "RESULT", "ACTOR", "ACTION", "ALERT"},
		row: func(p *printer, e api.AuditEntry) []string {
			return []string{p.time(e.At), e.Cluster, strconv.FormatInt(e.Seq, 10), e.Kind, dash(e.Result), shortActor(e.Actor), dash(shortID(e.ActionID)), dash(shortID(e.AlertID))}
		},
		fetch: func(ctx context.Context, c *client.Client, limit int, before string) (api.Page[api.AuditEntry], error) {
			f.Limit, f.Before = limit, before
			return c.Audit(ctx, f)
		},
		event: api.EventAudit, decode: client.Event.Audit, key: func(e api.AuditEntry) string { return fmt.Sprint(e.Seq, " ", e.Cluster) },
		keep: func(e api.AuditEntry) bool {
			return equal(f.Kind, e.Kind) && equal(f.Actor, e.Actor) && strings.HasSuffix(e.ActionID, strings.ToLower(f.Action)) &&
				strings.HasSuffix(e.AlertID, strings.ToLower(f.Alert)) && !e.At.Before(f.Since)
		},
	}
	c := &cobra.Command{
		Use: "list", Short: "List entries of the record, newest first", Args: cobra.NoArgs,
		Long: "List entries of the record, newest first. -o json has each entry's body, the exact\nbytes that the chain's hashes cover, and its hashes.",
		Example: `  riposte audit list --since 24h
  riposte audit list --kind action.result
  riposte audit list --alert 0d5be1c7f2a4 -o json`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if f.Since, err = since(from, time.Now()); err != nil {
				return err
			}
			return l.run(cmd, args)
		},
	}
	l.flags(c, "entries")
	c.Flags().StringVar(&f.Kind, "kind", "", "only of this kind")
	c.Flags().StringVar(&f.Actor, "actor", "", "only of this actor, such as user:token")
	c.Flags().StringVar(&f.Action, "action", "", "only about this action (its id, or the last group of it)")
	c.Flags().StringVar(&f.Alert, "alert", "", "only about this alert (its id, or the last group of it)")
	c.Flags().StringVar(&from, "since", "", "only since then: 90m, 24h, 7d, or 2006-01-02T15:04:05Z")
	var kinds []string
	for _, k := range audit.Kinds() {
		kinds = append(kinds, string(k))
	}
	complete(c, "kind", kinds)
	return c
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// shortActor leaves a playbook's revision at twelve digits.
func shortActor(actor string) string {
	name, revision, found := strings.Cut(actor, "@")
	if !found {
		return actor
	}
	return name + "@" + revision[:min(len(revision), 12)]
}

// errChanged is the non-zero exit of a verification that found something.
var errChanged = errors.New("somebody changed the record: compare it with a backup and with the hashes that you keep elsewhere")

func newAuditVerify() *cobra.Command {
	var p printer
	c := &cobra.Command{
		Use: "verify", Short: "Check every hash of the record", Args: cobra.NoArgs,
		Long: `Check the record's chains from their first entries to their heads. The exit code
is 1 if an entry was edited, removed, put in or moved. Keep a copy of the heads
elsewhere: whoever can write the whole database can compute every hash anew.`,
		Example: "  riposte audit verify\n  riposte audit verify -o json | jq -r '.chains[].head'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error { return verify(ctx, c, &p) })
		},
	}
	printerFlags(c, &p)
	return c
}

func verify(ctx context.Context, c *client.Client, p *printer) error {
	v, err := c.Verify(ctx)
	if err != nil {
		return err
	}
	if p.form != "table" {
		err = p.value(v)
	} else {
		rows := make([][]string, len(v.Chains))
		for i, ch := range v.Chains {
			result := "good"
			if !ch.OK {
				result = fmt.Sprintf("BAD at entry %d: %s", ch.BadSeq, ch.Reason)
			}
			rows[i] = []string{ch.Cluster, strconv.FormatInt(ch.Entries, 10), dash(ch.Head), result}
		}
		err = p.table([]string{"CLUSTER", "ENTRIES", "HEAD", "RESULT"}, rows)
	}
	if err == nil && !v.OK {
		err = errChanged
	}
	return err
}
