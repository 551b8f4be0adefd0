package command

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

func newPlaybooksMode() *cobra.Command {
	var m api.Mode
	c := &cobra.Command{
		Use: "mode NAME observe|approve|enforce|default", Short: "Set how far a playbook may go", Args: cobra.ExactArgs(2),
		Long: `Set a playbook's mode in the running Riposte: observe records what it would do,
approve asks people, enforce does it. "default" goes back to what its METADATA says.
With a canary the mode holds for what fits it, and everything else is observed. A
mode above what the guard's file allows is refused. Every change is recorded, and
takes back a step back to observe.`,
		Example: `  riposte playbooks mode kill_container_on_critical enforce --canary-namespace staging
  riposte playbooks mode kill_container_on_critical observe --reason "INC-1234"`,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return append(slices.Clone(modes), "default"), cobra.ShellCompDirectiveNoFileComp
			}
			return completePlaybooks(cmd, args, toComplete)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			m.Mode = args[1]
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				p, err := c.SetMode(ctx, args[0], m)
				if err != nil {
					return err
				}
				line := fmt.Sprintf("Playbook %s is in mode %s", p.Name, p.Mode)
				if where := canaryOf(p); where != "" {
					line += ", for " + where + " alone"
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), visible(line+"."))
				return err
			})
		},
	}
	ConnectFlags(c)
	c.Flags().StringSliceVar(&m.Namespaces, "canary-namespace", nil, "only in these namespaces; observe elsewhere")
	c.Flags().StringToStringVar(&m.Labels, "canary-label", nil, "only for pods with these labels, key=value; observe elsewhere")
	c.Flags().StringVar(&m.Reason, "reason", "", "why, for whoever wonders; it is recorded")
	return c
}

func canaryOf(p api.PlaybookStatus) string {
	var parts []string
	if len(p.Namespaces) > 0 {
		parts = append(parts, "namespace "+strings.Join(p.Namespaces, ", "))
	}
	for _, k := range slices.Sorted(maps.Keys(p.Labels)) {
		parts = append(parts, "label "+k+"="+p.Labels[k])
	}
	return strings.Join(parts, "; ")
}

// runs says whether the flags, a context or a data folder name a running Riposte.
func runs(cmd *cobra.Command) bool {
	_, err := targetOf(cmd)
	var c coded
	return !errors.As(err, &c) || c.code != exitUnreachable
}

// whyMode says why a mode is another one than the declared.
func whyMode(b api.PlaybookStatus) string {
	var parts []string
	if b.SteppedBack != "" {
		parts = append(parts, "stepped back by "+b.SteppedBack)
	} else if b.ModeActor != "" {
		parts = append(parts, "set by "+b.ModeActor)
	}
	if where := canaryOf(b); where != "" {
		parts = append(parts, "only "+where)
	}
	if b.ModeReason != "" {
		parts = append(parts, b.ModeReason)
	}
	return dash(strings.Join(parts, "; "))
}
