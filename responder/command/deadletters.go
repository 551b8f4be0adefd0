package command

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

// NewDeadLetters is the command "deadletters".
func NewDeadLetters() *cobra.Command {
	c := &cobra.Command{
		Use: "deadletters", Short: "Look at messages that could not be processed", Args: cobra.NoArgs, RunE: help,
		Long:    "Look at messages that could not be processed: what no agent of ours sends, and\nalerts that could not be stored.",
		Example: "  riposte deadletters list\n  riposte deadletters redrive 6f0c2b7a91de --reason \"playbook mended\"",
	}
	ConnectFlags(c)
	c.AddCommand(newDeadLettersList(), newDeadLettersShow(), newRedrive())
	return c
}

func newDeadLettersList() *cobra.Command {
	var f client.DeadLetterFilter
	var from string
	l := &listing[api.DeadLetter]{
		header: []string{"DIED", "STATE", "REASON", "NODE", "TIMES", "ERROR", "ID"},
		row: func(p *printer, d api.DeadLetter) []string {
			return []string{p.time(d.DiedAt), d.State, d.Reason, d.Node, strconv.FormatInt(d.Deaths, 10), p.cut(d.Error, 80), shortID(d.ID)}
		},
		wideHeader: []string{"CLUSTER", "BYTES", "SUBJECT", "MESSAGE"},
		wide: func(_ *printer, d api.DeadLetter) []string {
			return []string{dash(d.Cluster), strconv.Itoa(d.Bytes), d.Subject, d.MessageID}
		},
		name: func(d api.DeadLetter) string { return d.ID },
		fetch: func(ctx context.Context, c *client.Client, limit int, before string) (api.Page[api.DeadLetter], error) {
			f.Limit, f.Before = limit, before
			return c.DeadLetters(ctx, f)
		},
	}
	c := &cobra.Command{
		Use: "list", Short: "List dead letters, the latest first", Args: cobra.NoArgs,
		Example: "  riposte deadletters list --state dead --reason unstorable",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if f.Since, err = since(from, time.Now()); err != nil {
				return err
			}
			return l.run(cmd, args)
		},
	}
	l.flags(c, "dead letters")
	c.Flags().StringVar(&f.State, "state", "", "only in this state: dead or redriven")
	c.Flags().StringVar(&f.Reason, "reason", "", "only for this reason: oversize, malformed, foreign or unstorable")
	c.Flags().StringVar(&f.Node, "node", "", "only from this node")
	c.Flags().StringVar(&from, "since", "", "only since then: 90m, 24h, 7d, or 2006-01-02T15:04:05Z")
	complete(c, "state", []string{"dead", "redriven"})
	must(c.RegisterFlagCompletionFunc("node", completeAgents))
	complete(c, "reason", []string{"oversize", "malformed", "foreign", "unstorable"})
	return c
}

func newDeadLettersShow() *cobra.Command {
	var p printer
	c := &cobra.Command{
		Use: "show ID", Short: "Show one dead letter as it came", Args: cobra.ExactArgs(1), ValidArgsFunction: once(completeDeadLetters),
		Example: "  riposte deadletters show 6f0c2b7a91de\n  riposte deadletters show 6f0c2b7a91de -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				d, err := c.DeadLetter(ctx, args[0])
				if err != nil {
					return err
				}
				if !p.text() {
					return p.value(d)
				}
				p.widths = []int{11, 0}
				return p.rows([][]string{
					{"Dead letter", d.ID},
					{"State", d.State},
					{"Reason", d.Reason},
					{"Error", d.Error},
					{"Subject", d.Subject},
					{"Message", d.MessageID},
					{"Times", strconv.FormatInt(d.Deaths, 10)},
					{"Received", utc(d.ReceivedAt)},
					{"Died", utc(d.DiedAt)},
					{"Bytes", strconv.Itoa(d.Bytes)},
					{"Body", cut(string(d.Body), 2000)},
				})
			})
		},
	}
	printerFlags(c, &p)
	return c
}

func newRedrive() *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: "redrive ID", Short: "Process a dead letter again", Args: cobra.ExactArgs(1), ValidArgsFunction: once(completeDeadLetters),
		Long:    "Process a dead letter as if it had just come: its alert is stored and decided\nabout, once. This is recorded with the reason.",
		Example: "  riposte deadletters redrive 6f0c2b7a91de --reason \"playbook mended\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				d, err := c.Redrive(ctx, args[0], reason)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Dead letter %s was processed.\n", shortID(d.ID))
				return err
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; it is recorded")
	must(c.MarkFlagRequired("reason"))
	return c
}
