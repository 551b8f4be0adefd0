package command

import (
	"context"
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
	c.AddCommand(newAuditList(), newAuditVerify(), newAuditExport(), newAuditRedact())
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
		name: func(e api.AuditEntry) string { return fmt.Sprintf("%s/%d", e.Cluster, e.Seq) },
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
