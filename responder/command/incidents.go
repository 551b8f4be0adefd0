package command

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"riposte/agent/alert"
	"riposte/responder/api"
	"riposte/responder/api/client"
)

// NewIncidents is the command "incidents".
func NewIncidents() *cobra.Command {
	c := &cobra.Command{
		Use: "incidents", Short: "List, show and close attacks", Args: cobra.NoArgs, RunE: help,
		Example: "  riposte incidents list --state open\n  riposte incidents show 6f0c2b7a91de\n  riposte incidents resolve 6f0c2b7a91de --reason \"INC-1234, image rebuilt\"",
	}
	ConnectFlags(c)
	c.AddCommand(newIncidentsList(), newIncidentsShow(),
		newClose("resolve", "Say that an incident is over", (*client.Client).ResolveIncident),
		newClose("false-positive", "Say that an incident was none", (*client.Client).FalsePositive))
	return c
}

func newIncidentsList() *cobra.Command {
	var f client.IncidentFilter
	var from string
	l := &listing[api.Incident]{
		header: []string{"LAST", "PRIORITY", "STATE", "ALERTS", "ACTIONS", "TITLE", "ID"},
		row: func(p *printer, i api.Incident) []string {
			return []string{
				p.time(i.LastAt), i.Priority, i.State, strconv.FormatInt(i.Alerts, 10), strconv.FormatInt(i.Actions, 10), p.cut(i.Title, 70), shortID(i.ID),
			}
		},
		wideHeader: []string{"CLUSTER", "KIND", "FIRST", "ABOUT"},
		wide: func(p *printer, i api.Incident) []string {
			return []string{i.Cluster, i.Kind, p.time(i.FirstAt), i.Key}
		},
		name: func(i api.Incident) string { return i.ID },
		fetch: func(ctx context.Context, c *client.Client, limit int, before string) (api.Page[api.Incident], error) {
			f.Limit, f.Before = limit, before
			return c.Incidents(ctx, f)
		},
	}
	c := &cobra.Command{
		Use: "list", Short: "List incidents, the latest alert first", Args: cobra.NoArgs,
		Example: "  riposte incidents list --state open --priority critical\n  riposte incidents list --kind silence\n  riposte incidents list --watch",
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if f.Since, err = since(from, time.Now()); err != nil {
				return err
			}
			if f.Priority != "" {
				if _, err := alert.ParsePriority(f.Priority); err != nil {
					return badFlag(fmt.Errorf("--priority: %w", err))
				}
			}
			return l.run(cmd, args)
		},
	}
	l.flags(c, "incidents")
	c.Flags().StringVar(&f.State, "state", "", "only in this state")
	c.Flags().StringVar(&f.Kind, "kind", "", "only of this kind: alerts, gap or silence")
	c.Flags().StringVar(&f.Cluster, "cluster", "", "only of this cluster")
	c.Flags().StringVar(&f.Cluster, "in-cluster", "", "only of this cluster")
	must(c.Flags().MarkDeprecated("in-cluster", "it is called --cluster"))
	c.Flags().StringVar(&f.Priority, "priority", "", "only of this priority and more severe ones")
	selectorFlag(c, &f.Selector, "only those that began with a pod with such labels")
	c.Flags().StringVar(&from, "since", "", "only with an alert since then: 90m, 24h, 7d, or 2006-01-02T15:04:05Z")
	complete(c, "state", api.IncidentStates)
	complete(c, "kind", []string{"alerts", "gap", "silence"})
	complete(c, "priority", priorities)
	return c
}

func newIncidentsShow() *cobra.Command {
	var p printer
	c := &cobra.Command{
		Use: "show ID", Short: "Show an incident and what happened in it", Args: cobra.ExactArgs(1), ValidArgsFunction: completeIncidents(true),
		Long:    "Show an incident and its timeline: alerts, decisions, actions and states, oldest\nfirst. The id may be given by its last group, as the lists show it.",
		Example: "  riposte incidents show 6f0c2b7a91de\n  riposte incidents show 6f0c2b7a91de -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				line, err := c.IncidentTimeline(ctx, args[0])
				if err != nil {
					return err
				}
				return showIncident(&p, line)
			})
		},
	}
	printerFlags(c, &p)
	return c
}

func showIncident(p *printer, line api.IncidentTimeline) error {
	if !p.text() {
		return p.value(line)
	}
	i := line.Incident
	p.widths = []int{8, 0}
	if err := p.rows([][]string{
		{"Incident", i.ID},
		{"Title", i.Title},
		{"State", i.State},
		{"Priority", i.Priority},
		{"Cluster", i.Cluster},
		{"About", i.Key},
		{"Alerts", strconv.FormatInt(i.Alerts, 10)},
		{"First", utc(i.FirstAt)},
		{"Last", utc(i.LastAt)},
	}); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(p.out); err != nil {
		return err
	}
	rows := make([][]string, len(line.Events))
	for n, e := range line.Events {
		what := e.Name
		if e.Count > 1 {
			what += fmt.Sprintf(" (%d times)", e.Count)
		}
		if e.State != "" {
			what += " " + e.State
		}
		if e.Actor != "" {
			what += " by " + e.Actor
		}
		rows[n] = []string{utc(e.At), e.Kind, p.cut(what, 70), p.cut(e.Detail, 80), shortID(e.ID)}
	}
	if err := p.table([]string{"TIME", "KIND", "WHAT", "DETAIL", "ID"}, rows); err != nil || !line.More {
		return err
	}
	_, err := fmt.Fprintln(p.out, "There is more: `riposte alerts list` has the latest.")
	return err
}

func newClose(use, short string, do func(*client.Client, context.Context, string, string) (api.Incident, error)) *cobra.Command {
	var reason string
	c := &cobra.Command{
		Use: use + " ID", Short: short, Args: cobra.ExactArgs(1), ValidArgsFunction: completeIncidents(false),
		Long:    short + ". The next alert of the same kind begins another incident. The\nreason is recorded.",
		Example: "  riposte incidents " + use + " 6f0c2b7a91de --reason \"INC-1234\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				i, err := do(c, ctx, args[0], reason)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "Incident %s is %s.\n", shortID(i.ID), visible(i.State))
				return err
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why; it is recorded")
	must(c.MarkFlagRequired("reason"))
	return c
}
