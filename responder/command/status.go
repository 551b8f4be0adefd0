package command

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

// NewStatus is the command "status".
func NewStatus() *cobra.Command {
	var p printer
	c := &cobra.Command{
		Use: "status", Short: "Show agents, playbooks and the kill switch", Args: cobra.NoArgs,
		Long:    "Show the running Riposte: its agents with when each was last heard and what it lost,\nthe loaded playbooks with their modes and when they were read, and the kill switch.",
		Example: "  riposte status\n  riposte status -o json | jq .agents",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				s, err := c.Status(ctx)
				if err != nil {
					return err
				}
				if p.form != "table" {
					return p.value(s)
				}
				return printStatus(&p, c.Server(), s)
			})
		},
	}
	ConnectFlags(c)
	printerFlags(c, &p)
	return c
}

func printStatus(p *printer, server string, s api.Status) error {
	if _, err := fmt.Fprintf(p.out, "Riposte %s at %s, cluster %s\n%s\n", visible(s.Version), server, visible(s.Cluster), visible(sayKillSwitch(s.KillSwitch))); err != nil {
		return err
	}
	read := sayLoads(p, "playbooks", s.PlaybookLoads)
	if s.GuardLoads.Good+s.GuardLoads.Bad > 1 { // else the guard's rules are those of the start
		read += sayLoads(p, "guard rules", s.GuardLoads)
	}
	if _, err := fmt.Fprintln(p.out, read); err != nil {
		return err
	}
	agents := make([][]string, len(s.Agents))
	for i, a := range s.Agents {
		agents[i] = []string{a.Node, a.Cluster, dash(a.Source), strconv.Itoa(a.Rules), p.time(a.SeenAt), dash(a.Version), lost(a.Lost)}
	}
	if err := p.table([]string{"NODE", "CLUSTER", "SOURCE", "RULES", "HEARD", "VERSION", "LOST"}, agents); err != nil {
		return err
	}
	if _, err := fmt.Fprintln(p.out); err != nil {
		return err
	}
	books := make([][]string, len(s.Playbooks))
	for i, b := range s.Playbooks {
		mode := b.Mode
		if b.SteppedBack != "" {
			mode += " by " + b.SteppedBack
		}
		books[i] = []string{b.Name, mode, fmt.Sprintf("%.12s", b.Revision), b.Title}
	}
	return p.table([]string{"PLAYBOOK", "MODE", "REVISION", "TITLE"}, books)
}

// sayLoads says when files were read last, and what was wrong with them last.
func sayLoads(p *printer, what string, l api.Loads) string {
	s := fmt.Sprintf("%s: loaded %s", what, p.time(l.GoodAt))
	switch {
	case l.Failing:
		s += fmt.Sprintf(", NOT RELOADED since %s: %s", p.time(*l.ErrorAt), visible(l.Error))
	case l.Error != "":
		s += fmt.Sprintf("; the last error, %s: %s", p.time(*l.ErrorAt), visible(l.Error))
	}
	return s + "\n"
}

// lost lists the places that lost something.
func lost(by map[string]uint64) string {
	var parts []string
	for place, n := range by {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%s=%d", place, n))
		}
	}
	slices.Sort(parts)
	return dash(strings.Join(parts, " "))
}
