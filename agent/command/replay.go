package command

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"riposte/agent/alert"
	"riposte/agent/capture/scap"
	"riposte/agent/event"
	"riposte/agent/rules"
)

// NewReplay makes "riposte replay".
func NewReplay() *cobra.Command {
	var ruleNames, options []string
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Run a capture file of Falco or Sysdig through the rules",
		Long: `Run the events of a capture file (.scap, compressed or not) through the rules and
print the alerts as Falco would. It needs no root and asks nothing of this
machine.

Alerts go to standard output, and a summary to standard error: events, alerts by
priority and rule, and what could not be kept or understood. A damaged or cut file
is read up to the damage; then the exit status is not 0.`,
		Example: `  riposte replay incident.scap                        # the built-in rules
  riposte replay incident.scap -r falco_rules.yaml -r local.yaml
  riposte replay incident.scap -r rules.yaml -o json_output=true | jq .rule`,
		Args:         cobra.ExactArgs(1),
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			settings, err := parseSettings(options)
			if err != nil {
				return err
			}
			files, err := ruleFiles(ruleNames)
			if err != nil {
				return err
			}
			loaded, err := rules.Options{MinPriority: &settings.priority, MatchAll: settings.all}.Load(files...)
			if err != nil {
				return explain(err)
			}
			for _, w := range loaded.Warnings {
				printProblem(cmd.ErrOrStderr(), w)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			if os.Getenv("GOGC") == "" {
				// A short run with a small heap: collecting less often is a fifth of the time.
				debug.SetGCPercent(gcPercent)
			}
			out := bufio.NewWriterSize(cmd.OutOrStdout(), 1<<16)
			r := newReplayer(loaded, settings, out)
			return r.file(ctx, args[0], cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringArrayVarP(&ruleNames, "rules", "r", nil, "rules file, may be repeated (default the built-in rules)")
	cmd.Flags().StringArrayVarP(&options, "option", "o", nil, "a setting as key=value under Falco's name, may be repeated, such as json_output=true")
	return cmd
}

const gcPercent = 400

// replayer matches the events of one file.
type replayer struct {
	rules    *rules.Ruleset
	settings settings
	out      *bufio.Writer
	printer  alertPrinter

	// event is the one in work.
	event      *event.Event
	events     uint64
	byRule     map[string]int
	byPriority map[alert.Priority]int
	alerts     int
	// broken is the first failure to write an alert; it ends the replay.
	broken error
	cancel context.CancelFunc
}

func newReplayer(set *rules.Ruleset, s settings, out *bufio.Writer) *replayer {
	r := &replayer{
		rules: set, settings: s, out: out, printer: newAlertPrinter(s, out), byRule: map[string]int{}, byPriority: map[alert.Priority]int{},
	}
	return r
}

// file replays a file and sums it up, damaged or not.
func (r *replayer) file(ctx context.Context, name string, summary io.Writer) error {
	f, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("open the capture: %w", err)
	}
	defer f.Close()
	// Rules that can never match look at no event; nil would be all.
	types := append([]event.Type{}, r.rules.Types()...)
	s, err := scap.Open(f, scap.Options{Types: types})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer s.Close()
	ctx, r.cancel = context.WithCancel(ctx)
	defer r.cancel()
	err = s.Run(ctx, r.handle)
	if flushed := r.out.Flush(); r.broken == nil {
		r.broken = flushed
	}
	r.summarize(summary, s)
	switch {
	case r.broken != nil:
		return fmt.Errorf("write the alerts: %w", r.broken)
	case err != nil:
		return fmt.Errorf("%s: %w; the events before it were replayed", name, err)
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted after %d events", s.Read())
	}
	return nil
}

func (r *replayer) handle(e *event.Event) {
	r.events++
	r.event = e
	r.rules.Match(e, r.fire)
}

func (r *replayer) fire(rule *rules.Rule) {
	r.alerts++
	r.byRule[rule.Name]++
	r.byPriority[rule.Priority]++
	if r.broken != nil {
		return
	}
	if r.broken = r.printer.print(rule, r.event); r.broken != nil {
		r.cancel() // nobody reads what is still to come
	}
}

// summarize says what the replay saw, in Falco's order: the alerts by priority, then
// by rule.
func (r *replayer) summarize(w io.Writer, s *scap.Source) {
	fmt.Fprintf(w, "Events in the file: %d, looked at by rules: %d\n", s.Read(), r.events)
	fmt.Fprintf(w, "Alerts: %d\n", r.alerts)
	for _, p := range slices.Sorted(maps.Keys(r.byPriority)) {
		fmt.Fprintf(w, "  %s: %d\n", p, r.byPriority[p])
	}
	if len(r.byRule) > 0 {
		fmt.Fprintln(w, "Alerts by rule:")
	}
	names := slices.SortedFunc(maps.Keys(r.byRule), func(a, b string) int {
		return cmp.Or(r.byRule[b]-r.byRule[a], cmp.Compare(a, b))
	})
	for _, name := range names {
		fmt.Fprintf(w, "  %s: %d\n", rules.Escape(name), r.byRule[name])
	}
	lost := s.Lost()
	var all uint64
	for _, n := range lost {
		all += n
	}
	fmt.Fprintf(w, "Dropped: %d\n", all)
	for _, place := range slices.Sorted(maps.Keys(lost)) {
		if lost[place] > 0 {
			fmt.Fprintf(w, "  %s: %d\n", place, lost[place])
		}
	}
}
