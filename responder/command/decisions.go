package command

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
	"riposte/responder/playbook"
)

// NewDecisions is the command "decisions".
func NewDecisions() *cobra.Command {
	c := &cobra.Command{
		Use: "decisions", Short: "List and show what playbooks answered to alerts", Args: cobra.NoArgs, RunE: help,
		Example: "  riposte decisions list --playbook kill_container_on_critical --since 24h\n  riposte decisions show 6f0c2b7a91de",
	}
	ConnectFlags(c)
	c.AddCommand(newDecisionsList(), newDecisionsShow())
	return c
}

func newDecisionsList() *cobra.Command {
	var f client.DecisionSearch
	var from string
	l := &listing[api.Decision]{
		header: []string{"TIME", "PLAYBOOK", "MODE", "STATE", "PROPOSED", "RULE", "ID"},
		row: func(p *printer, d api.Decision) []string {
			return []string{p.time(d.DecidedAt), d.Playbook, d.Mode, d.State, p.cut(proposed(d), 60), p.cut(d.Rule, 40), shortID(d.ID)}
		},
		wideHeader: []string{"CLUSTER", "REVISION", "COUNT", "ALERT"},
		wide: func(_ *printer, d api.Decision) []string {
			return []string{d.Cluster, fmt.Sprintf("%.12s", d.Revision), strconv.FormatInt(d.Count, 10), shortID(d.AlertID)}
		},
		name: func(d api.Decision) string { return d.ID },
		fetch: func(ctx context.Context, c *client.Client, limit int, before string) (api.Page[api.Decision], error) {
			f.Limit, f.Before = limit, before
			return c.ListDecisions(ctx, f)
		},
	}
	c := &cobra.Command{
		Use: "list", Short: "List decisions, newest first", Args: cobra.NoArgs,
		Long: "List what playbooks answered to alerts, newest first, with the actions that they\n" +
			"proposed. A refused decision is an answer of a wrong shape, or one that came too late.",
		Example: "  riposte decisions list --since 24h\n  riposte decisions list --state refused -o wide\n  riposte decisions list --alert 6f0c2b7a91de -o json",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if f.Since, err = since(from, time.Now()); err != nil {
				return err
			}
			return l.run(cmd, args)
		},
	}
	l.flags(c, "decisions")
	c.Flags().StringVar(&f.Playbook, "playbook", "", "only of this playbook")
	c.Flags().StringVar(&f.State, "state", "", "only in this state: decided or refused")
	c.Flags().StringVar(&f.Alert, "alert", "", "only about this alert (its id, or the last group of it)")
	c.Flags().StringVar(&from, "since", "", "only since then: 90m, 24h, 7d, or 2006-01-02T15:04:05Z")
	complete(c, "state", api.DecisionStates)
	must(c.RegisterFlagCompletionFunc("playbook", completePlaybooks))
	must(c.RegisterFlagCompletionFunc("alert", completeAlerts))
	return c
}

// proposed names the types of the actions that a decision proposed, or why it was refused.
func proposed(d api.Decision) string {
	result, err := playbook.ReadResult(d.Result)
	if d.State == "refused" || err != nil {
		return dash(d.Reason)
	}
	var types []string
	for _, a := range result {
		types = append(types, a.Type)
	}
	return dash(strings.Join(types, " "))
}

func newDecisionsShow() *cobra.Command {
	var p printer
	c := &cobra.Command{
		Use: "show ID", Short: "Show one decision with what the playbook was asked", Args: cobra.ExactArgs(1), ValidArgsFunction: once(completeDecisions),
		Long: "Show one decision: the exact input of the playbook and its exact answer. \"riposte\n" +
			"playbooks explain --alert ID\" says which rules were true.",
		Example: "  riposte decisions show 6f0c2b7a91de\n  riposte decisions show 6f0c2b7a91de -o jsonpath={.input.alert.rule}",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				d, err := c.Decision(ctx, args[0])
				if err != nil {
					return err
				}
				return showDecision(&p, d)
			})
		},
	}
	printerFlags(c, &p)
	return c
}

func showDecision(p *printer, d api.Decision) error {
	if !p.text() {
		return p.value(d)
	}
	p.widths = []int{8, 0}
	if err := p.rows([][]string{
		{"Decision", d.ID},
		{"Playbook", fmt.Sprintf("%s (%s, revision %.12s)", d.Playbook, d.Mode, d.Revision)},
		{"State", d.State},
		{"Why", dash(d.Reason)},
		{"Alert", d.AlertID},
		{"Rule", d.Rule},
		{"Cluster", d.Cluster},
		{"Decided", utc(d.DecidedAt)},
		{"Times", strconv.FormatInt(d.Count, 10)},
	}); err != nil {
		return err
	}
	for _, part := range []struct {
		title string
		value json.RawMessage
	}{{"Answer", d.Result}, {"Input", d.Input}} {
		if len(part.value) == 0 {
			continue
		}
		if _, err := fmt.Fprintf(p.out, "\n%s:\n", part.title); err != nil {
			return err
		}
		asJSON := *p
		asJSON.form = "json"
		if err := asJSON.value(part.value); err != nil {
			return err
		}
	}
	return nil
}
