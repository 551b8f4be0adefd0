package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"riposte/responder/api"
	"riposte/responder/api/client"
	"riposte/responder/playbook"
	"riposte/responder/playbook/replay"
)

// modes are the modes of a playbook.
var modes = []string{string(playbook.Observe), string(playbook.Approve), string(playbook.Enforce)}

// stages are the steps in which a playbook is switched on: a canary is mode enforce
// for a part of the cluster.
var stages = []string{"observe", "approve", "canary", "enforce"}

func stageOf(p api.PlaybookStatus) string {
	if p.Mode == string(playbook.Enforce) && canaryOf(p) != "" {
		return "canary"
	}
	return p.Mode
}

// promoting is what "promote" was asked to do.
type promoting struct {
	mode  api.Mode
	to    string
	yes   bool
	since string
	guard string
}

func newPlaybooksPromote() *cobra.Command {
	var p promoting
	c := &cobra.Command{
		Use: "promote NAME", Short: "Switch a playbook on by one more step", Args: cobra.ExactArgs(1),
		Long: `Move a playbook of the running Riposte one step on: from observe to approve, from
approve to a canary, from the canary to enforce. The canary needs --canary-namespace or
--canary-label: there it acts, everywhere else it observes. First it is shown what would
have come of the playbook's decisions of the last days in the new step; then a person is
asked. Without a terminal it needs --yes. The change is recorded with its reason.`,
		Example:           "  riposte playbooks promote delete_miners\n  riposte playbooks promote delete_miners --canary-namespace staging --reason 'a week without a false alarm'",
		ValidArgsFunction: completePlaybooks,
		RunE: func(cmd *cobra.Command, args []string) error {
			return call(cmd, func(ctx context.Context, c *client.Client) error { return p.run(ctx, cmd, c, args[0]) })
		},
	}
	ConnectFlags(c)
	f := c.Flags()
	f.StringVar(&p.to, "to", "", "go to this step at once: approve, canary or enforce")
	f.StringSliceVar(&p.mode.Namespaces, "canary-namespace", nil, "the canary's namespaces")
	f.StringToStringVar(&p.mode.Labels, "canary-label", nil, "the labels that the canary's pods have, key=value")
	f.StringVar(&p.mode.Reason, "reason", "", "why, for whoever wonders; it is recorded")
	f.StringVar(&p.since, "since", "7d", "of how long the decisions are replayed")
	f.StringVar(&p.guard, "guard-file", "", "file with the guard's limits for the replay (default: the guard's own)")
	f.BoolVarP(&p.yes, "yes", "y", false, "do not ask")
	complete(c, "to", stages[1:])
	return c
}

func (p *promoting) run(ctx context.Context, cmd *cobra.Command, c *client.Client, name string) error {
	now, err := loaded(ctx, c, name)
	if err != nil {
		return err
	}
	from := stageOf(now)
	if err := p.choose(from, now); err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	if err := p.show(ctx, cmd, c, name); err != nil {
		return err
	}
	what := fmt.Sprintf("%s: %s → %s", name, from, p.to)
	if p.to == "canary" {
		what += ", for " + canaryOf(api.PlaybookStatus{Namespaces: p.mode.Namespaces, Labels: p.mode.Labels}) + " alone"
	}
	if !p.yes {
		if err := confirm(cmd, what); err != nil {
			return err
		}
		again, err := loaded(ctx, c, name)
		if err != nil {
			return err
		}
		if stageOf(again) != from || again.Revision != now.Revision {
			return fmt.Errorf("playbook %s was changed meanwhile: nothing is done, look again", name)
		}
	}
	if p.mode.Reason == "" {
		p.mode.Reason = "promoted from " + from + " to " + p.to
	}
	if _, err := c.SetMode(ctx, name, p.mode); err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, visible(what+"."))
	return err
}

// choose finds the next step and the mode that it is.
func (p *promoting) choose(from string, now api.PlaybookStatus) error {
	at := slices.Index(stages, from)
	switch {
	case at < 0:
		return fmt.Errorf("playbook %s is in mode %q, which is no step", now.Name, from)
	case p.to == "" && at == len(stages)-1:
		return fmt.Errorf("playbook %s enforces already: there is no further step", now.Name)
	case p.to == "":
		p.to = stages[at+1]
	}
	to := slices.Index(stages, p.to)
	canary := len(p.mode.Namespaces)+len(p.mode.Labels) > 0
	switch {
	case to < 1:
		return fmt.Errorf("--to: %q is none of %s", p.to, strings.Join(stages[1:], ", "))
	case to <= at && (p.to != "canary" || from != "canary"):
		return fmt.Errorf("playbook %s is at %s already; `riposte playbooks demote` goes back", now.Name, from)
	case p.to == "canary" && !canary:
		return errors.New("a canary needs --canary-namespace or --canary-label; to do without one, say --to enforce")
	case p.to != "canary" && canary:
		return fmt.Errorf("--canary-namespace and --canary-label are for the step canary, not for %s", p.to)
	}
	if p.mode.Mode = p.to; p.to == "canary" {
		p.mode.Mode = string(playbook.Enforce)
	}
	return nil
}

// show replays the playbook's decisions of the last days as they would come out.
func (p *promoting) show(ctx context.Context, cmd *cobra.Command, c *client.Client, name string) error {
	from, err := since(p.since, time.Now())
	if err != nil {
		return err
	}
	o := replay.Options{
		Names: []string{name}, Mode: playbook.Mode(p.mode.Mode), Namespaces: p.mode.Namespaces, Labels: p.mode.Labels, Actions: registry(), Ready: assumedReady,
	}
	if o.Guard, err = guardOptions(p.guard); err != nil {
		return err
	}
	progress := newProgress(cmd.ErrOrStderr())
	o.Progress = progress.tell
	report, err := replay.Run(ctx, c.Decisions(ctx, client.DecisionFilter{Since: from, Playbook: name}), o)
	progress.end()
	switch {
	case replay.Nothing(err):
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s was asked about nothing since %s: there is nothing to show.\n", name, utc(from))
		return err
	case err != nil:
		return err
	}
	return report.Write(cmd.OutOrStdout(), visible)
}

// confirm asks on the terminal.
func confirm(cmd *cobra.Command, what string) error {
	in, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return errors.New("there is no terminal to ask on: say --yes to do it without asking")
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "\n%s. Do it? [y/N] ", visible(what))
	answer, err := bufio.NewReader(io.LimitReader(in, 64)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
		return errors.New("nothing was changed")
	}
	return nil
}

// loaded is one playbook of the running Riposte.
func loaded(ctx context.Context, c *client.Client, name string) (api.PlaybookStatus, error) {
	all, err := c.Playbooks(ctx)
	if err != nil {
		return api.PlaybookStatus{}, err
	}
	for _, p := range all {
		if p.Name == name {
			return p, nil
		}
	}
	return api.PlaybookStatus{}, fmt.Errorf("no playbook is called %.63q", name)
}

func newPlaybooksDemote() *cobra.Command {
	m := api.Mode{Mode: string(playbook.Observe)}
	c := &cobra.Command{
		Use: "demote NAME", Short: "Have a playbook only observe, at once", Args: cobra.ExactArgs(1),
		Long: `Set a playbook of the running Riposte back to observe, or with --to approve to asking
people, at once and without a question. What is planned and not begun yet is not done.`,
		Example:           "  riposte playbooks demote delete_miners --reason INC-1234",
		ValidArgsFunction: completePlaybooks,
		RunE: func(cmd *cobra.Command, args []string) error {
			if m.Mode != string(playbook.Observe) && m.Mode != string(playbook.Approve) {
				return fmt.Errorf("--to: %q is none of observe, approve", m.Mode)
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				if m.Reason == "" {
					m.Reason = "demoted"
				}
				p, err := c.SetMode(ctx, args[0], m)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), visible(fmt.Sprintf("Playbook %s is in mode %s.", p.Name, p.Mode)))
				return err
			})
		},
	}
	ConnectFlags(c)
	c.Flags().StringVar(&m.Mode, "to", m.Mode, "observe or approve")
	c.Flags().StringVar(&m.Reason, "reason", "", "why, for whoever wonders; it is recorded")
	complete(c, "to", modes[:2])
	return c
}
