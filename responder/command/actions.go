package command

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

// NewActions is the command "actions".
func NewActions() *cobra.Command {
	c := &cobra.Command{
		Use: "actions", Short: "List and show what was done about alerts, agree to what waits", Args: cobra.NoArgs, RunE: help,
		Example: "  riposte actions list --state refused\n  riposte actions show 6f0c2b7a91de\n  riposte actions approve 6f0c2b7a91de --comment \"INC-1234\"",
	}
	ConnectFlags(c)
	c.AddCommand(newActionsList(), newActionsShow(), newActionsPending(), newActionsApprove(), newActionsReject(), newActionsCancel(), newActionsLift())
	return c
}

func newActionsList() *cobra.Command {
	var f client.ActionFilter
	var from string
	var space namespaceFlags
	l := &listing[api.Action]{
		header: []string{"TIME", "ACTION", "STATE", "TARGET", "PLAYBOOK", "RULE", "ID"},
		row: func(p *printer, a api.Action) []string {
			return []string{p.time(a.PlannedAt), a.Type, StateOf(a), a.TargetName, a.Playbook, p.cut(a.Rule, 40), shortID(a.ID)}
		},
		wideHeader: []string{"CLUSTER", "NODE", "MODE", "ATTEMPTS", "ALERT", "NOTE"},
		wide: func(_ *printer, a api.Action) []string {
			return []string{a.Cluster, a.Node, a.Mode, strconv.Itoa(a.Attempts), shortID(a.AlertID), dash(a.Note)}
		},
		name: func(a api.Action) string { return a.ID },
		fetch: func(ctx context.Context, c *client.Client, limit int, before string) (api.Page[api.Action], error) {
			f.Limit, f.Before = limit, before
			return c.Actions(ctx, f)
		},
		event: api.EventAction, decode: client.Event.Action, key: func(a api.Action) string { return a.ID + StateOf(a) },
		keep: func(a api.Action) bool {
			return equal(f.State, a.State) && equal(f.Type, a.Type) && equal(f.Playbook, a.Playbook) && strings.HasSuffix(a.AlertID, strings.ToLower(f.Alert)) &&
				strings.HasPrefix(containerOf(a), f.Container) && f.Selector.Matches(a.Labels) && !a.PlannedAt.Before(f.Since)
		},
	}
	c := &cobra.Command{
		Use: "list", Short: "List actions, newest first", Args: cobra.NoArgs,
		Long: "List actions, newest first: what was done, what would have been done, and what was\nrefused. With --watch each change of an action is a line of its own.",
		Example: `  riposte actions list
  riposte actions list --state refused --since 24h
  riposte actions list --type kill_container -o json
  riposte actions list --watch`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if f.Since, err = since(from, time.Now()); err != nil {
				return err
			}
			if f.Namespace, err = space.of(cmd); err != nil {
				return err
			}
			if f.Namespace != "" { // an action's event does not name it, so a watch reads the list again
				l.event = ""
			}
			return l.run(cmd, args)
		},
	}
	l.flags(c, "actions")
	c.Flags().StringVar(&f.State, "state", "", "only in this state")
	c.Flags().StringVar(&f.Type, "type", "", "only of this type")
	c.Flags().StringVar(&f.Playbook, "playbook", "", "only of this playbook")
	c.Flags().StringVar(&f.Alert, "alert", "", "only about this alert (its id, or the last group of it)")
	c.Flags().StringVar(&f.Container, "container", "", "only about this container (its id, or the beginning of it)")
	selectorFlag(c, &f.Selector, "only about pods with such labels")
	c.Flags().StringVar(&from, "since", "", "only since then: 90m, 24h, 7d, or 2006-01-02T15:04:05Z")
	complete(c, "state", api.ActionStates)
	space.flags(c, "only about pods, or objects, of this namespace")
	complete(c, "type", slices.Sorted(maps.Keys(registry())))
	must(c.RegisterFlagCompletionFunc("playbook", completePlaybooks))
	must(c.RegisterFlagCompletionFunc("alert", completeAlerts))
	return c
}

// containerOf is the target's container id, empty for another kind of target.
func containerOf(a api.Action) string {
	var t struct {
		ContainerID string `json:"container_id"`
	}
	_ = json.Unmarshal(a.Target, &t) // a target that is none has no container
	return t.ContainerID
}

// StateOf is an action's state and what a person wants to know with it.
func StateOf(a api.Action) string {
	switch {
	case a.Recorded:
		return a.State + " (recording)"
	case a.LiftedAt != nil:
		return a.State + ", lifted"
	case a.VerifiedAt != nil:
		return a.State + ", verified"
	case a.RefusedBy != "":
		return a.State + " by " + a.RefusedBy
	}
	return a.State
}

func newActionsShow() *cobra.Command {
	var p printer
	c := &cobra.Command{
		Use: "show ID", Short: "Show one action and how long each stage took", Args: cobra.ExactArgs(1), ValidArgsFunction: completeActions(client.ActionFilter{}, anyAction),
		Long:    "Show one action with its timeline: each stage since the system call.\nThe id may be given by its last group, as the lists show it.",
		Example: "  riposte actions show 6f0c2b7a91de\n  riposte actions show 6f0c2b7a91de -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error { return showAction(ctx, c, &p, args[0]) })
		},
	}
	printerFlags(c, &p)
	return c
}

func showAction(ctx context.Context, c *client.Client, p *printer, id string) error {
	a, err := c.Action(ctx, id)
	if err != nil {
		return err
	}
	line, err := c.Timeline(ctx, a.ID)
	if err != nil {
		return err
	}
	if !p.text() {
		return p.value(struct {
			api.Action
			Timeline api.Timeline `json:"timeline"`
		}{a, line})
	}
	rows := [][]string{
		{"Action", a.ID},
		{"Type", a.Type},
		{"State", StateOf(a)},
		{"Note", a.Note},
		{"Target", a.TargetName},
		{"Why", a.Reason},
		{"Rule", a.Rule},
		{"Playbook", fmt.Sprintf("%s (%s, revision %.12s)", a.Playbook, a.Mode, a.Revision)},
		{"Alert", a.AlertID},
		{"Planned", utc(a.PlannedAt)},
		{"Attempts", strconv.Itoa(a.Attempts)},
	}
	rows = append(rows, liftRows(a)...)
	if a.State == "waiting" {
		asked, err := c.Approval(ctx, a.ID)
		if err != nil {
			return err
		}
		rows = append(rows, []string{"Asked", asked.Reason}, []string{"Agreed", agreed(asked)}, []string{"Until", utc(asked.ExpiresAt)})
	}
	p.widths = []int{8, 0}
	if err := p.rows(rows); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(p.out); err != nil {
		return err
	}
	var stages [][]string
	for _, s := range line.Stages {
		stages = append(stages, []string{s.Name, fmt.Sprintf("%12.3f ms", float64(s.NS)/1e6), utc(s.At)})
	}
	return p.table([]string{"STAGE", "SINCE SYSCALL", "TIME"}, stages)
}
