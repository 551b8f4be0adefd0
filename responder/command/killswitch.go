package command

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

// NewKillSwitch is the command "killswitch".
func NewKillSwitch() *cobra.Command {
	c := &cobra.Command{
		Use: "killswitch", Short: "Stop every effect at once, or let them happen again", Args: cobra.NoArgs, RunE: help,
		Long: `While the kill switch is on, alerts are taken in and decided about, and nothing is
done. What was planned before waits until it expires. Turning it is recorded. With
--in-cluster or --playbook it is the switch of that one alone.`,
		Example: `  riposte killswitch on --reason "a playbook runs wild"
  riposte killswitch on --playbook kill_container_on_critical
  riposte killswitch status
  riposte killswitch off`,
	}
	ConnectFlags(c)
	var reason, cluster, playbook string
	scoped := func(cmd *cobra.Command, k api.KillSwitch) error {
		switch {
		case cluster != "":
			k.Scope, k.Name = "cluster", cluster
		case playbook != "":
			k.Scope, k.Name = "playbook", playbook
		}
		return turn(cmd, k)
	}
	on := &cobra.Command{
		Use: "on", Short: "Stop every effect", Args: cobra.NoArgs, Example: "  riposte killswitch on --reason \"INC-1234\"",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return scoped(cmd, api.KillSwitch{On: true, Reason: reason})
		},
	}
	on.Flags().StringVar(&reason, "reason", "", "why, for whoever wonders; it is recorded")
	off := &cobra.Command{
		Use: "off", Short: "Let effects happen again", Args: cobra.NoArgs, Example: "  riposte killswitch off",
		RunE: func(cmd *cobra.Command, _ []string) error { return scoped(cmd, api.KillSwitch{}) },
	}
	for _, c := range []*cobra.Command{on, off} {
		c.Flags().StringVar(&cluster, "in-cluster", "", "only in this cluster")
		c.Flags().StringVar(&playbook, "playbook", "", "only of this playbook")
		c.MarkFlagsMutuallyExclusive("in-cluster", "playbook")
	}
	var p printer
	status := &cobra.Command{
		Use: "status", Short: "Say whether it is on", Args: cobra.NoArgs, Example: "  riposte killswitch status",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				k, err := c.KillSwitch(ctx)
				if err != nil {
					return err
				}
				if !p.text() {
					return p.value(k)
				}
				_, err = fmt.Fprintln(p.out, visible(sayKillSwitch(k)))
				return err
			})
		},
	}
	printerFlags(status, &p)
	c.AddCommand(on, off, status)
	return c
}

func turn(cmd *cobra.Command, k api.KillSwitch) error {
	return call(cmd, func(ctx context.Context, c *client.Client) error {
		got, err := c.SetKillSwitch(ctx, k)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), visible(sayKillSwitch(got)))
		return err
	})
}

func sayKillSwitch(k api.KillSwitch) string {
	s := "The kill switch is off: effects happen."
	if k.On {
		s = "The kill switch is ON: nothing is done." + turnedBy(k)
	}
	var others strings.Builder
	for _, o := range k.Others {
		fmt.Fprintf(&others, " The one of %s %s is ON.%s", o.Scope, o.Name, turnedBy(o))
	}
	return s + others.String()
}

func turnedBy(k api.KillSwitch) (s string) {
	if k.Actor != "" {
		s += " Turned on by " + k.Actor
		if k.At != nil {
			s += " at " + utc(*k.At)
		}
		s += "."
	}
	if k.Reason != "" {
		s += " Reason: " + k.Reason
	}
	return s
}
