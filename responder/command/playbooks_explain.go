package command

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"riposte/responder/guard"
	"riposte/responder/ingest"
	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

func newPlaybooksEval() *cobra.Command {
	var from oneAlert
	var only []string
	var form, guardFile string
	c := &cobra.Command{
		Use: "eval [DIR...]", Short: "Decide about one alert as the playbooks would",
		Long: `Ask the playbooks of directories, and those that come with Riposte, about one alert:
a file, the standard input, or a stored one, whose recorded input is taken. It prints
what each would propose, and what the guard's rules say to it, without what was done
before. Nothing is done. A file may hold an alert, of ours or of Falco's, or the whole
input of a playbook; of an alert alone the pod that it names is taken for bound.`,
		Example: "  riposte playbooks eval -f alert.json ./playbooks\n  riposte playbooks eval --alert 8d3f6c1e2a44 ./playbooks -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			p := printer{form: form}
			if err := p.begin(cmd); err != nil {
				return err
			}
			set, err := load(cmd, args)
			if err != nil {
				return err
			}
			in, err := from.input(cmd)
			if err != nil {
				return err
			}
			o, err := guardOptions(guardFile)
			if err != nil {
				return err
			}
			answers, err := evaluate(cmd.Context(), set, in, o)
			if err != nil {
				return err
			}
			answers = slices.DeleteFunc(answers, func(a answer) bool { return len(only) > 0 && !slices.Contains(only, a.Playbook) })
			if form != "table" {
				return p.value(answers)
			}
			return printAnswers(&p, answers)
		},
	}
	from.flags(c)
	c.Flags().StringVarP(&form, "output", "o", "table", "form of the output: table, json or yaml")
	c.Flags().StringVar(&guardFile, "guard-file", "", "file with the guard's limits (default: the guard's own)")
	c.Flags().StringSliceVar(&only, "playbook", nil, "only these playbooks")
	complete(c, "output", forms)
	must(c.RegisterFlagCompletionFunc("playbook", completePlaybooks))
	return c
}

func (o *oneAlert) input(cmd *cobra.Command) (*playbook.Recorded, error) {
	r, err := o.read(cmd)
	if err != nil {
		return nil, err
	}
	in, err := playbook.ReadRecorded(r.Input)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", o, err)
	}
	return in, nil
}

// answer is one playbook's in "eval -o json".
type answer struct {
	Playbook string           `json:"playbook"`
	Revision string           `json:"revision"`
	Mode     playbook.Mode    `json:"mode"`
	Refusal  string           `json:"refusal,omitempty"`
	Actions  []answeredAction `json:"actions"`
}

type answeredAction struct {
	playbook.Proposal
	Guard string `json:"guard"`
	Rule  string `json:"rule,omitempty"`
	Why   string `json:"why,omitempty"`
}

func evaluate(ctx context.Context, set *playbook.Set, in *playbook.Recorded, o guard.Options) ([]answer, error) {
	actions := registry()
	g, err := guard.NewAssessor(o, actions, assumedReady)
	if err != nil {
		return nil, err
	}
	out := []answer{}
	for _, p := range set.Triggered(in.Input.Alert) {
		d := set.Replay(ctx, p, in)
		a := answer{Playbook: d.Playbook, Revision: d.Revision, Mode: d.Mode, Refusal: d.Refusal, Actions: []answeredAction{}}
		for _, x := range d.Proposals {
			look := ingest.Foresee(actions, in.Input, d.Playbook, d.Mode, x)
			one := answeredAction{Proposal: x, Guard: string(guard.Refuse), Rule: look.Rule, Why: look.Reason}
			if look.Rule == "" {
				v := g.Assess(ctx, in.Input.Now, look.Question)
				one.Guard, one.Rule, one.Why = string(v.Outcome), v.Rule, v.Reason
			}
			a.Actions = append(a.Actions, one)
		}
		out = append(out, a)
	}
	return out, ctx.Err()
}

// assumedReady is how many ready replicas a workload is taken to have, where there is
// no cluster to ask.
const assumedReady = 10

func printAnswers(p *printer, answers []answer) error {
	if len(answers) == 0 {
		_, err := fmt.Fprintln(p.out, "No playbook's trigger fits this alert; `riposte playbooks explain` says why.")
		return err
	}
	var rows [][]string
	for _, a := range answers {
		if len(a.Actions) == 0 {
			rows = append(rows, []string{a.Playbook, string(a.Mode), "-", "-", "-", dash(a.Refusal)})
		}
		for _, x := range a.Actions {
			verdict := x.Guard
			if x.Rule != "" {
				verdict += " by " + x.Rule
			}
			rows = append(rows, []string{a.Playbook, string(a.Mode), x.Type, targetText(x.Target), verdict, x.Reason})
		}
	}
	return p.table([]string{"PLAYBOOK", "MODE", "ACTION", "TARGET", "GUARD", "REASON"}, rows)
}

func targetText(t playbook.Target) string {
	b, err := json.Marshal(t)
	if err != nil {
		return t.Kind
	}
	var keys map[string]any
	if json.Unmarshal(b, &keys) != nil {
		return t.Kind
	}
	parts := []string{t.Kind}
	for _, k := range []string{"resource", "namespace", "name", "uid", "container_id", "pid"} {
		if v, there := keys[k]; there {
			parts = append(parts, fmt.Sprintf("%.40v", v))
		}
	}
	return strings.Join(parts, " ")
}

func newPlaybooksExplain() *cobra.Command {
	var from oneAlert
	var only []string
	c := &cobra.Command{
		Use: "explain [DIR...]", Short: "Say why the playbooks act on one alert, or do not",
		Long: `For one alert, taken as "eval" takes it, say of each playbook: which of its rules were
true; if none was, the first expression of the rule that went farthest which did not
hold, with its line and the values that it was about; and if its trigger does not fit,
which of its keys. What is nearest comes first.`,
		Example: "  riposte playbooks explain -f alert.json ./playbooks\n  riposte playbooks explain --alert 8d3f6c1e2a44",
		RunE: func(cmd *cobra.Command, args []string) error {
			set, err := load(cmd, args)
			if err != nil {
				return err
			}
			in, err := from.input(cmd)
			if err != nil {
				return err
			}
			for _, e := range set.Explain(cmd.Context(), in) {
				if len(only) == 0 || slices.Contains(only, e.Playbook.Name) {
					printExplanation(cmd.OutOrStdout(), e)
				}
			}
			return cmd.Context().Err()
		},
	}
	from.flags(c)
	c.Flags().StringSliceVar(&only, "playbook", nil, "only these playbooks")
	must(c.RegisterFlagCompletionFunc("playbook", completePlaybooks))
	return c
}

func printExplanation(out io.Writer, e playbook.Explanation) {
	say := func(format string, args ...any) { fmt.Fprintln(out, visible(fmt.Sprintf(format, args...))) }
	switch n := len(e.Decision.Proposals); {
	case len(e.Misses) > 0:
		say("%s: not asked, its trigger does not fit", e.Playbook.Name)
		for _, m := range e.Misses {
			say("  %s", m)
		}
		return
	case e.Decision.Refusal != "":
		say("%s: refused: %s", e.Playbook.Name, e.Decision.Refusal)
	case n == 0:
		say("%s: asked, proposes nothing", e.Playbook.Name)
	default:
		say("%s: proposes %s in mode %s", e.Playbook.Name, count(n, "action"), e.Decision.Mode)
		for _, p := range e.Decision.Proposals {
			say("  %s of %s: %s", p.Type, targetText(p.Target), p.Reason)
		}
	}
	for _, r := range e.Actions {
		if r.True > 0 {
			say("  true   %s:%d action", r.File, r.Line)
			continue
		}
		say("  false  %s:%d action", r.File, r.Line)
		indent := "    "
		for f := r.Failed; f != nil; {
			say("%s%s:%d:%d does not hold: %s", indent, f.File, f.Line, f.Column, f.Text)
			for _, v := range f.Values {
				say("%s  %s is %s", indent, v.Name, v.Value)
			}
			var because *sandbox.RuleTrace
			if because = f.Because; because == nil {
				break
			}
			say("%s  because %s is not true:", indent, because.Rule)
			indent += "    "
			f = because.Failed
		}
	}
}
