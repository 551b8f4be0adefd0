package command

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"riposte/agent/alert"
	"riposte/responder/api"
	"riposte/responder/api/client"
	"riposte/responder/audit/ocsf"
)

// NewAlerts is the command "alerts".
func NewAlerts() *cobra.Command {
	c := &cobra.Command{
		Use: "alerts", Short: "List and show what the rules found", Args: cobra.NoArgs, RunE: help,
		Example: "  riposte alerts list --priority warning --since 24h\n  riposte alerts show 6f0c2b7a91de\n  riposte alerts list --watch",
	}
	ConnectFlags(c)
	c.AddCommand(newAlertsList(), newAlertsShow())
	return c
}

// help prints a command's help: it only holds others.
func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

var priorities = []string{"emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug"}

func newAlertsList() *cobra.Command {
	var f client.AlertFilter
	var from string
	var atLeast alert.Priority
	var space namespaceFlags
	l := &listing[api.Alert]{
		header: []string{"TIME", "PRIORITY", "RULE", "WHERE", "NODE", "ID"},
		row: func(p *printer, a api.Alert) []string {
			return []string{p.time(a.Time), a.Priority, p.cut(recording(a)+a.Rule, 60), place(a), a.Node, shortID(a.ID)}
		},
		wideHeader: []string{"CLUSTER", "COUNT", "CONTAINER", "INCIDENT", "OUTPUT"},
		wide: func(_ *printer, a api.Alert) []string {
			return []string{a.Cluster, strconv.FormatInt(a.Count, 10), dash(fmt.Sprintf("%.12s", a.ContainerID)), shortID(a.IncidentID), a.Output}
		},
		name: func(a api.Alert) string { return a.ID },
		fetch: func(ctx context.Context, c *client.Client, limit int, before string) (api.Page[api.Alert], error) {
			f.Limit, f.Before = limit, before
			return c.Alerts(ctx, f)
		},
		event: api.EventAlert, decode: client.Event.Alert, key: func(a api.Alert) string { return a.ID },
		keep: func(a api.Alert) bool {
			p, err := alert.ParsePriority(a.Priority)
			return equal(f.Rule, a.Rule) && equal(f.Node, a.Node) && equal(f.Namespace, a.Namespace) && strings.HasPrefix(a.ContainerID, f.Container) &&
				f.Selector.Matches(a.Labels) && (f.Priority == "" || err == nil && p <= atLeast) && !a.ReceivedAt.Before(f.Since)
		},
	}
	l.others = map[string]func(io.Writer, []api.Alert) error{"ocsf": writeFindings}
	c := &cobra.Command{
		Use: "list", Short: "List alerts, newest first", Args: cobra.NoArgs,
		Long: `List alerts, newest first. What an attacker wrote into a name is shown with its
control characters escaped; -o json has everything, the alert as the agent sent
it included, and -o ocsf a Detection Finding on each line.`,
		Example: `  riposte alerts list
  riposte alerts list --priority critical --since 2h
  riposte alerts list --container 4e5f6a7b8c9d -o json
  riposte alerts list -n shop -l app=cart --watch
  riposte alerts list -o jsonpath='{range [*]}{.pod}{"\n"}{end}'`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if f.Since, err = since(from, time.Now()); err != nil {
				return err
			}
			if f.Priority != "" {
				if atLeast, err = alert.ParsePriority(f.Priority); err != nil {
					return badFlag(fmt.Errorf("--priority: %w", err))
				}
			}
			if f.Namespace, err = space.of(cmd); err != nil {
				return err
			}
			return l.run(cmd, args)
		},
	}
	l.flags(c, "alerts")
	c.Flags().StringVar(&f.Rule, "rule", "", "only of this rule")
	c.Flags().StringVar(&f.Priority, "priority", "", "only of this priority and more severe ones")
	c.Flags().StringVar(&f.Node, "node", "", "only from this node")
	space.flags(c, "only about pods of this namespace")
	c.Flags().StringVar(&f.Container, "container", "", "only about this container (its id, or the beginning of it)")
	selectorFlag(c, &f.Selector, "only about pods with such labels")
	c.Flags().StringVar(&from, "since", "", "only since then: 90m, 24h, 7d, or 2006-01-02T15:04:05Z")
	complete(c, "priority", priorities)
	must(c.RegisterFlagCompletionFunc("node", completeAgents))
	return c
}

// place names what an alert is about.
func place(a api.Alert) string {
	switch {
	case a.Pod != "":
		return a.Namespace + "/" + a.Pod
	case a.ContainerID != "":
		return a.ContainerID[:min(len(a.ContainerID), 12)]
	}
	return "host"
}

// recording marks an alert about a recording.
func recording(a api.Alert) string {
	if a.Recorded {
		return "(recording) "
	}
	return ""
}

// writeFindings writes alerts as OCSF events. One whose message is no alert, which only
// a hand could have put there, is told as its row has it.
func writeFindings(out io.Writer, items []api.Alert) error {
	for _, one := range items {
		var a alert.Alert
		if a.UnmarshalJSON(one.Body) != nil {
			p, _ := alert.ParsePriority(one.Priority)
			a = alert.Alert{
				Time: one.Time, Rule: one.Rule, Priority: p, Source: one.Source, Output: one.Output, Hostname: one.Node,
				Riposte: &alert.Riposte{Cluster: one.Cluster, Node: one.Node},
			}
		}
		if err := writeLine(out, ocsf.Finding(one.ID, one.IncidentID, &a)); err != nil {
			return err
		}
	}
	return nil
}
