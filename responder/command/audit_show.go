package command

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"riposte/agent/alert"
	"riposte/responder/api"
	"riposte/responder/api/client"
)

func newAuditShow() *cobra.Command {
	var p printer
	c := &cobra.Command{
		Use: "show ID", Short: "Tell the whole story of an action, an alert or an entry", Args: cobra.ExactArgs(1), ValidArgsFunction: completeActions(client.ActionFilter{}, anyAction),
		Long: `Tell all that is known of an action: the alert with the processes behind it, which
lines of the playbook fired and on what, what the guard knew, who was asked and what
they said, when each stage happened, what was found, left and verified, and commands
that show how its target is now. ID is an action's or an alert's, or the last group of
it, or an entry's number, as SEQ or CLUSTER/SEQ.

What fired is found by putting the recorded input to the playbook again, as it was at
the revision that decided.`,
		Example: "  riposte audit show 6f0c2b7a91de\n  riposte audit show prod/4711 -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				s, err := c.Story(ctx, args[0])
				if err != nil {
					return err
				}
				if !p.text() {
					return p.value(s)
				}
				t := storyText{out: cmd.OutOrStdout()}
				t.story(s)
				return t.err
			})
		},
	}
	printerFlags(c, &p)
	return c
}

// storyText writes a story for a person. Everything passes visible.
type storyText struct {
	out io.Writer
	err error
}

func (t *storyText) say(indent int, format string, args ...any) {
	if t.err == nil {
		_, t.err = fmt.Fprintln(t.out, strings.Repeat("  ", indent)+visible(fmt.Sprintf(format, args...)))
	}
}

// field says what there is to say.
func (t *storyText) field(indent int, name, value string) {
	if value != "" {
		t.say(indent, "%-10s %s", name, value)
	}
}

func (t *storyText) story(s api.Story) {
	if s.Alert != nil {
		t.alert(*s.Alert)
	} else if s.Asked != "entry" || len(s.Actions) > 0 {
		t.say(0, "The alert is not kept any more.")
	}
	for _, d := range s.Decisions {
		t.decision(d)
	}
	for _, a := range s.Actions {
		t.action(a)
	}
	t.say(0, "RECORD")
	for _, e := range s.Entries {
		t.say(1, "%s  %s/%d  %s  %s  by %s", utc(e.At), e.Cluster, e.Seq, e.Kind, dash(e.Result), shortActor(e.Actor))
		t.field(2, "note", e.Note)
	}
	if s.More {
		t.say(0, "There is more than is shown here: riposte audit query --alert or --action lists it.")
	}
}

func (t *storyText) alert(a api.Alert) {
	t.say(0, "ALERT %s", a.ID)
	t.field(1, "rule", a.Rule+" ("+a.Priority+")")
	t.field(1, "output", a.Output)
	t.field(1, "incident", a.IncidentID)
	t.field(1, "node", a.Cluster+"/"+a.Node)
	if a.Pod != "" || a.Namespace != "" {
		t.field(1, "pod", fmt.Sprintf("%s/%s, %s", a.Namespace, a.Pod, a.Binding))
	}
	t.field(1, "container", a.ContainerID)
	if a.Count > 1 {
		t.field(1, "repeated", fmt.Sprintf("%d times until %s", a.Count, utc(a.LastAt)))
	}
	var sent alert.Alert
	if sent.UnmarshalJSON(a.Body) != nil || sent.Riposte == nil || sent.Riposte.Process == nil {
		return
	}
	t.say(1, "processes, the first ancestor on top")
	p, depth := sent.Riposte.Process, 2
	for _, name := range slices.Backward(p.Ancestors) {
		t.say(depth, "%s", name)
		depth = min(depth+1, 12)
	}
	t.say(depth, "%s  (pid %d, uid %d)  %s", p.Name, p.PID, p.UID, strings.Join(append([]string{p.Exe}, p.Args...), " "))
}

func (t *storyText) decision(d api.StoryDecision) {
	t.say(0, "DECISION of %s@%.12s in mode %s, at %s", d.Decision.Playbook, d.Decision.Revision, d.Decision.Mode, utc(d.Decision.DecidedAt))
	t.field(1, d.Decision.State, d.Decision.Reason)
	t.field(1, "note", d.Note)
	for _, r := range d.Rules {
		t.say(1, "fired %s:%d", r.File, r.Line)
		for _, c := range r.Conditions {
			t.say(2, "%d: %s", c.Line, c.Text)
			for _, v := range c.Values {
				t.say(3, "%s is %s", v.Name, v.Value)
			}
		}
	}
}

func (t *storyText) action(a api.StoryAction) {
	x := a.Action
	t.say(0, "ACTION %s: %s of %s", x.ID, x.Type, x.TargetName)
	state := x.State
	if x.RefusedBy != "" {
		state += " by " + x.RefusedBy
	}
	t.field(1, "state", state)
	t.field(1, "reason", x.Reason)
	t.field(1, "note", x.Note)
	t.field(1, "params", string(x.Params))
	if g := a.Guard; g != nil {
		t.field(1, "guard", string(g.Effect))
		for _, c := range g.Counted {
			t.say(2, "counts once for %s in the budget of the %s, since %s", c.Subject, strings.TrimSpace(c.Scope+" "+c.Name), utc(c.At))
		}
	}
	if q := a.Approval; q != nil {
		t.say(1, "%-10s at %s, because of %s: %s; %d of %d agreed", "asked", utc(q.AskedAt), strings.Join(q.Rules, ", "), q.Reason, q.Agreed, q.Needed)
		for _, v := range q.Votes {
			word := "rejected it"
			if v.Agrees {
				word = "agreed"
			}
			t.say(2, "%s %s at %s %s", v.Actor, word, utc(v.At), v.Comment)
		}
	}
	t.say(1, "stages")
	var before int64
	for _, s := range a.Timeline.Stages {
		t.say(2, "%-10s %s  +%s  (%s after the stage before)", s.Name, utc(s.At), short(s.NS), short(s.NS-before))
		before = s.NS
	}
	t.field(1, "before", string(x.Before))
	t.field(1, "after", string(x.After))
	t.field(1, "evidence", string(x.Evidence))
	if x.VerifiedAt != nil {
		t.field(1, "verified", utc(*x.VerifiedAt))
	}
	if x.LiftedAt != nil {
		t.field(1, "lifted", utc(*x.LiftedAt)+" "+x.LiftBy+" "+x.LiftNote)
	} else if x.LiftAt != nil {
		t.field(1, "lifts at", utc(*x.LiftAt))
	}
	if len(a.Checks) > 0 {
		t.say(1, "look at it now")
	}
	for _, c := range a.Checks {
		t.say(2, "%s", c)
	}
}

// short is a time as people read it.
func short(ns int64) string {
	d := time.Duration(ns)
	if d < time.Second {
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}
