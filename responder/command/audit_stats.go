package command

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

func newAuditStats() *cobra.Command {
	var f client.CountFilter
	var from, to string
	var by []string
	p := printer{others: []string{"csv"}}
	c := &cobra.Command{
		Use: "stats", Short: "Count the record's entries by day, playbook, namespace, action, result", Args: cobra.NoArgs,
		Long: `Count the record's entries by any of day, cluster, kind, namespace, playbook, action
(its type) and result, within days in UTC. The numbers are kept beside the record as
entries are written, so they are quick and outlive them; they are no proof.`,
		Example: `  riposte audit stats --since 30d
  riposte audit stats --by playbook,result --kind action.result --since 30d
  riposte audit stats --by namespace,action --since 7d -o csv`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := p.begin(cmd); err != nil {
				return err
			}
			now := time.Now()
			if f.Since, err = moment("since", from, now); err != nil {
				return err
			}
			if f.Until, err = moment("until", to, now); err != nil {
				return err
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				counts, err := c.AuditCounts(ctx, f, by)
				if err != nil {
					return err
				}
				return printCounts(&p, counts.Items, by)
			})
		},
	}
	printerFlags(c, &p)
	c.Flags().StringSliceVar(&by, "by", []string{"day"}, "what to count by, in this order: "+strings.Join(api.AuditCounts, ", "))
	for name, of := range map[string]struct {
		into *string
		says string
	}{
		"kind": {&f.Kind, "only entries of this kind, such as action.result"}, "namespace": {&f.Namespace, "only about this namespace"}, "playbook": {&f.Playbook, "only of this playbook"},
		"type": {&f.Action, "only about actions of this type"}, "result": {&f.Result, "only with this result"},
		"since": {&from, "only since that day (UTC): 24h, 30d, or 2006-01-02T15:04:05Z"}, "until": {&to, "only before that day (UTC)"},
	} {
		c.Flags().StringVar(of.into, name, "", of.says)
	}
	complete(c, "by", api.AuditCounts)
	return c
}

func printCounts(p *printer, counts []api.AuditCount, by []string) error {
	rows := make([][]string, len(counts))
	for i, c := range counts {
		for _, name := range by {
			rows[i] = append(rows[i], c.Field(name))
		}
		rows[i] = append(rows[i], strconv.FormatInt(c.Entries, 10))
	}
	header := append(slices.Clone(by), "entries")
	if p.form == "csv" {
		return writeCSV(p.out, header, rows)
	}
	if !p.text() {
		return p.value(counts)
	}
	for i := range header {
		header[i] = strings.ToUpper(header[i])
	}
	for _, row := range rows {
		for i := range row {
			row[i] = dash(row[i])
		}
	}
	return p.table(header, rows)
}
