package command

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
	"riposte/responder/playbook"
)

// A completion is asked for between two keys: it is soon there, or there is none.
const (
	completionTime = time.Second
	completionMost = 50
)

// typable is what may stand on a command line without quotation marks: what else a node
// is named, a shell must not be offered.
var typable = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:@-]{0,252}$`)

// offers are values with what a person should know of each.
type offers []cobra.Completion

func (o *offers) add(value, says string, args ...any) {
	if typable.MatchString(value) {
		*o = append(*o, cobra.CompletionWithDesc(value, cut(visible(fmt.Sprintf(says, args...)), 70)))
	}
}

// live asks the running Riposte. It says nothing when that cannot be asked: there is
// nobody to tell.
func live(ask func(ctx context.Context, c *client.Client, o *offers) error) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var o offers
		_ = call(cmd, func(ctx context.Context, c *client.Client) error {
			ctx, cancel := context.WithTimeout(ctx, completionTime)
			defer cancel()
			return ask(ctx, c, &o)
		})
		return o, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
	}
}

// once completes the first argument alone.
func once(f cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return f(cmd, args, toComplete)
	}
}

func completeContexts(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var o offers
	if f, err := loadContexts(); err == nil {
		for _, c := range f.Contexts {
			o.add(c.Name, "%s", c.Server)
		}
	}
	return o, cobra.ShellCompDirectiveNoFileComp
}

// completeActions offers actions that a filter and a condition let through.
func completeActions(f client.ActionFilter, keep func(api.Action) bool) cobra.CompletionFunc {
	return once(live(func(ctx context.Context, c *client.Client, o *offers) error {
		f.Limit = completionMost
		page, err := c.Actions(ctx, f)
		for _, a := range page.Items {
			if keep(a) {
				o.add(shortID(a.ID), "%s %s: %s", ago(a.PlannedAt, time.Now()), StateOf(a), a.Type+" of "+a.TargetName)
			}
		}
		return err
	}))
}

func anyAction(api.Action) bool { return true }

func liftable(a api.Action) bool { return a.LiftAt != nil && a.LiftedAt == nil }

// completeIncidents offers all incidents, or those in the states.
func completeIncidents(over bool) cobra.CompletionFunc {
	return once(live(func(ctx context.Context, c *client.Client, o *offers) error {
		page, err := c.Incidents(ctx, client.IncidentFilter{Limit: completionMost})
		for _, i := range page.Items {
			if over || i.State == "open" || i.State == "contained" {
				o.add(shortID(i.ID), "%s %s %s: %s", ago(i.LastAt, time.Now()), i.State, i.Priority, i.Title)
			}
		}
		return err
	}))
}

var completeAlerts = live(func(ctx context.Context, c *client.Client, o *offers) error {
	page, err := c.Alerts(ctx, client.AlertFilter{Limit: completionMost})
	for _, a := range page.Items {
		o.add(shortID(a.ID), "%s %s: %s", ago(a.Time, time.Now()), a.Priority, a.Rule)
	}
	return err
})

var completeDecisions = live(func(ctx context.Context, c *client.Client, o *offers) error {
	page, err := c.ListDecisions(ctx, client.DecisionSearch{Limit: completionMost})
	for _, d := range page.Items {
		o.add(shortID(d.ID), "%s %s %s: %s", ago(d.DecidedAt, time.Now()), d.Playbook, d.State, d.Rule)
	}
	return err
})

var completeAgents = live(func(ctx context.Context, c *client.Client, o *offers) error {
	page, err := c.Agents(ctx, client.AgentFilter{Limit: api.MaxPage})
	for _, a := range page.Items {
		o.add(a.Node, "cluster %s, %s, heard %s", a.Cluster, agentState(a), ago(a.SeenAt, time.Now()))
	}
	return err
})

// completePlaybooks offers the running Riposte's playbooks, or where none runs those
// that come with it.
func completePlaybooks(cmd *cobra.Command, args []string, toComplete string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if runs(cmd) {
		return live(func(ctx context.Context, c *client.Client, o *offers) error {
			all, err := c.Playbooks(ctx)
			for _, p := range all {
				o.add(p.Name, "%s: %s", p.Mode, p.Title)
			}
			return err
		})(cmd, args, toComplete)
	}
	var o offers
	if set, err := playbook.Load(playbook.Options{}, playbook.Embedded()); err == nil {
		for _, p := range set.Playbooks() {
			o.add(p.Name, "%s: %s", p.Mode, p.Title)
		}
	}
	return o, cobra.ShellCompDirectiveNoFileComp
}

var completeDeadLetters = live(func(ctx context.Context, c *client.Client, o *offers) error {
	page, err := c.DeadLetters(ctx, client.DeadLetterFilter{State: "dead", Limit: completionMost})
	for _, d := range page.Items {
		o.add(shortID(d.ID), "%s %s of %s: %s", ago(d.DiedAt, time.Now()), d.Reason, d.Node, d.Error)
	}
	return err
})

var completeTokens = live(func(ctx context.Context, c *client.Client, o *offers) error {
	page, err := c.Tokens(ctx, "", completionMost, "")
	for _, t := range page.Items {
		if state := tokenState(t, time.Now()); state == "good" {
			o.add(shortID(t.ID), "%s, %s, expires %s", t.Name, t.Role, utc(t.ExpiresAt))
		}
	}
	return err
})
