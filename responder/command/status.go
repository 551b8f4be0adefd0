package command

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

// standing is what the command prints for programs.
type standing struct {
	// Well says that nothing needs a person, Needs what does.
	Well  bool   `json:"well"`
	Needs []need `json:"needs"`
	api.Status
}

// NewStatus is the command "status".
func NewStatus() *cobra.Command {
	var p printer
	var quiet bool
	c := &cobra.Command{
		Use: "status", Short: "Say whether everything is well, and what needs a person", Args: cobra.NoArgs,
		Long: `Say on the first line whether everything is well, then what needs a person, each with
the command that helps, then how each part does. The exit code is 0 if all is well,
6 if something needs a person, 5 if nobody answers. --quiet prints nothing.`,
		Example: "  riposte status\n  riposte status --quiet || echo \"look at riposte\"\n  riposte status -o json | jq .needs\n  riposte status -o jsonpath='{.needs[*].says}'",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				s, err := c.Status(ctx)
				if err != nil {
					return err
				}
				var asked []api.Approval
				if s.Actions.Waiting > 0 {
					page, err := c.Approvals(ctx, maxAsked, "")
					if err != nil {
						return err
					}
					asked = page.Items
				}
				all := needsOf(s, asked, p.now())
				switch {
				case quiet:
				case !p.text():
					err = p.value(standing{len(all) == 0, all, s})
				default:
					err = printStatus(&p, c.Server(), s, all)
				}
				if err == nil && len(all) > 0 {
					err = errNotWell
				}
				return err
			})
		},
	}
	ConnectFlags(c)
	printerFlags(c, &p)
	c.Flags().BoolVarP(&quiet, "quiet", "q", false, "print nothing: the exit code says it")
	return c
}

// errNotWell ends the command with its exit code, and says nothing: the lines above it
// have, or --quiet was asked for.
var errNotWell = coded{errors.New(""), exitNotWell}

func things(n int) string {
	if n == 1 {
		return "1 thing needs a person"
	}
	return fmt.Sprintf("%d things need a person", n)
}

func printStatus(p *printer, server string, s api.Status, all []need) error {
	var b strings.Builder
	where := visible(fmt.Sprintf("Riposte %s at %s, cluster %s", s.Version, server, s.Cluster))
	if len(all) == 0 {
		fmt.Fprintf(&b, "%s: %s. Nothing needs a person.\n", p.paint(well, "WELL"), where)
	} else {
		fmt.Fprintf(&b, "%s: %s. %s:\n", p.paint(grave, "NOT WELL"), where, strings.ToUpper(things(len(all))[:1])+things(len(all))[1:])
	}
	for _, n := range all {
		fmt.Fprintf(&b, "  %s %s\n", p.paint(doubt, "!"), visible(n.Says))
		if n.Do != "" {
			fmt.Fprintf(&b, "      %s\n", p.paint(strong, visible(n.Do)))
		}
	}
	b.WriteByte('\n')
	if _, err := p.out.Write([]byte(b.String())); err != nil {
		return err
	}
	p.columns, p.widths = nil, []int{12, 0}
	return p.rows([][]string{
		{"Parts", sayParts(s.Parts)},
		{"Kill switch", sayKillSwitch(s.KillSwitch)},
		{"Stream", sayStream(s.Stream)},
		{"Agents", sayAgents(s)},
		{"Incidents", sayIncidents(s.Incidents)},
		{"Actions", fmt.Sprintf("%d waiting for people; of the last day %d failed, %d unknown", s.Actions.Waiting, s.Actions.Failed, s.Actions.Unknown)},
		{"Dead letters", strconv.FormatInt(s.DeadLetters, 10)},
		{"Playbooks", sayPlaybooks(p, s)},
		{"Guard rules", sayLoads(p, s.GuardLoads)},
		{"Record", sayRecord(p, s.Record)},
	})
}

func sayParts(parts []api.Part) string {
	var all []string
	for _, part := range parts {
		if part.Works {
			all = append(all, part.Name+" works")
		} else {
			all = append(all, part.Name+" DOES NOT WORK")
		}
	}
	return dash(strings.Join(all, ", "))
}

func sayStream(s *api.StreamStatus) string {
	if s == nil {
		return "not known"
	}
	return fmt.Sprintf("%d waiting, %d being decided about", s.Waiting, s.Unanswered)
}

func sayAgents(s api.Status) string {
	n := map[string]int{}
	var losing []string
	for _, a := range s.Agents {
		state := agentState(a)
		n[state]++
		if state == "losing" && len(losing) < maxAsked {
			losing = append(losing, fmt.Sprintf("%s: %s", a.Node, lost(a.Lost)))
		}
	}
	more := ""
	if s.AgentsMore {
		more = " of the first 500"
	}
	line := fmt.Sprintf("%d%s: %d well, %d silent, %d losing", len(s.Agents), more, n["well"], n["silent"], n["losing"])
	if losing != nil {
		line += " (" + strings.Join(losing, "; ") + ")"
	}
	return line
}

// sayIncidents counts them by state and priority, the most severe first.
func sayIncidents(all []api.IncidentCount) string {
	var parts []string
	for _, state := range []string{"open", "contained"} {
		var of []string
		for _, i := range all {
			if i.State == state {
				of = append(of, fmt.Sprintf("%d %s", i.Count, i.Priority))
			}
		}
		if of != nil {
			parts = append(parts, state+": "+strings.Join(of, ", "))
		}
	}
	if parts == nil {
		return "none open"
	}
	return strings.Join(parts, "; ")
}

func sayPlaybooks(p *printer, s api.Status) string {
	var modes []string
	n := map[string]int{}
	for _, b := range s.Playbooks {
		n[b.Mode]++
	}
	for mode, count := range n {
		modes = append(modes, fmt.Sprintf("%d %s", count, mode))
	}
	slices.Sort(modes)
	return fmt.Sprintf("%d (%s), %s", len(s.Playbooks), dash(strings.Join(modes, ", ")), sayLoads(p, s.PlaybookLoads))
}

// sayLoads says when files were read last, and what was wrong with them last.
func sayLoads(p *printer, l api.Loads) string {
	s := "loaded " + p.time(l.GoodAt)
	switch {
	case l.Failing:
		s += ", NOT RELOADED since " + p.time(*l.ErrorAt)
	case l.Error != "":
		s += fmt.Sprintf("; the last error, %s: %s", p.time(*l.ErrorAt), l.Error)
	}
	return s
}

func sayRecord(p *printer, r *api.RecordStatus) string {
	if r == nil {
		return "not for this token, or empty"
	}
	var parts []string
	for _, c := range r.Chains {
		signed := "nothing signed"
		if c.SignedAt != nil {
			signed = fmt.Sprintf("signed until %d, %s", c.Signed, p.time(*c.SignedAt))
		}
		parts = append(parts, fmt.Sprintf("%s %d entries, %s", c.Cluster, c.Entries, signed))
	}
	v := r.Verified
	switch {
	case v == nil:
		parts = append(parts, "not verified since this responder's start (`riposte audit verify`)")
	case v.OK:
		parts = append(parts, fmt.Sprintf("verified %s: %d entries good", p.time(v.At), v.Entries))
	default:
		parts = append(parts, fmt.Sprintf("verified %s: BAD", p.time(v.At)))
	}
	return strings.Join(parts, "; ")
}
