package command

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"riposte/agent/rules"
	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

func newRulesExplain() *cobra.Command {
	var full bool
	cmd := &cobra.Command{
		Use:   "explain RULE [FILE...]",
		Short: "Show a rule's condition with its macros and lists in place",
		Long: `Show a rule's condition with its macros and lists in place.

Each part is shown with its scope, which is what it depends on, and a rough cost:
1 is about one comparison of a field with a text. A part whose scope is process,
container or host does not change from event to event.`,
		Example: `  riposte rules explain "Terminal shell in a container"
  riposte rules explain "Read sensitive file untrusted" falco_rules.yaml`,
		Args:         cobra.MinimumNArgs(1),
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			rs, err := load(cmd, rules.Options{}, args[1:])
			if err != nil {
				return err
			}
			r, err := findRule(rs, args[0])
			if err != nil {
				return err
			}
			p, err := rs.Explain(r)
			if err != nil {
				return err
			}
			explainRule(cmd.OutOrStdout(), r, p, full)
			return nil
		},
	}
	cmd.Flags().BoolVar(&full, "full", false, "show long lists whole")
	return cmd
}

// findRule finds a rule by its name, in whatever case.
func findRule(rs *rules.Ruleset, name string) (*rules.Rule, error) {
	names := make([]string, 0, len(rs.Rules()))
	for _, r := range rs.Rules() {
		if strings.EqualFold(r.Name, name) {
			return r, nil
		}
		names = append(names, r.Name)
	}
	if near := syntax.Nearest(name, names); near != "" {
		return nil, fmt.Errorf("no rule %q: did you mean %q?", name, near)
	}
	return nil, fmt.Errorf("no rule %q: \"riposte rules list\" shows all", name)
}

func explainRule(w io.Writer, r *rules.Rule, p *rules.Part, full bool) {
	state := "enabled"
	if !r.Enabled {
		state = "disabled"
	}
	fmt.Fprintf(w, "%s\n  %s\n\n", rules.Escape(r.Name), rules.Escape(r.Desc))
	fmt.Fprintf(w, "Defined:     %s:%d, %s\n", rules.Escape(r.File), r.Line, state)
	fmt.Fprintf(w, "Priority:    %s\n", r.Priority)
	fmt.Fprintf(w, "Tags:        %s\n", rules.Escape(strings.Join(r.Tags, ", ")))
	fmt.Fprintf(w, "Event types: %s\n", eventTypes(r))
	fmt.Fprintf(w, "Output:      %s\n\n", rules.Escape(r.Output))
	fmt.Fprintln(w, "SCOPE      COST  CONDITION")
	printPart(w, p, "", full)
}

func eventTypes(r *rules.Rule) string {
	const many = 40
	if len(r.EventTypes) > many {
		return fmt.Sprintf("%d of %d: the condition does not say which", len(r.EventTypes), len(field.EventNames()))
	}
	if len(r.EventTypes) == 0 {
		return "none: the condition can never be true"
	}
	captured := map[string]bool{}
	for _, t := range r.Types {
		captured[t.String()] = true
	}
	list := make([]string, len(r.EventTypes))
	for i, name := range r.EventTypes {
		if list[i] = name; !captured[name] {
			list[i] += " (not captured)"
		}
	}
	return strings.Join(list, ", ")
}

func printPart(w io.Writer, p *rules.Part, indent string, full bool) {
	fmt.Fprintf(w, "%-9s %5d  %s%s\n", p.Scope, p.Cost, indent, partText(p, full))
	for _, sub := range p.Parts {
		printPart(w, sub, indent+"  ", full)
	}
}

// partText is one part on one line, a long list cut.
func partText(p *rules.Part, full bool) string {
	text := rules.Escape(p.Text)
	const width = 160
	if r := []rune(text); !full && len(r) > width {
		text = fmt.Sprintf("%s ... (%d characters more)", string(r[:width]), len(r)-width)
	}
	if p.Macro != "" {
		text += "  <- macro " + p.Macro
	}
	return text
}
