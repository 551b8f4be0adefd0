package command

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"reflect"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"riposte/agent"
	"riposte/agent/alert"
	"riposte/agent/capture/scap"
	"riposte/agent/config"
	"riposte/agent/event"
	"riposte/agent/publish"
	"riposte/agent/rules"
)

// NewReplay makes "riposte replay".
func NewReplay() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Run a capture file of Falco or Sysdig through the rules",
		Long: `Run the events of a capture file (.scap, compressed or not) through the rules and
print the alerts as Falco would. It needs no root and asks nothing of this
machine.

The configuration is the agent's, so a falco.yaml will do: rules, what is added to
outputs, how alerts are written and where to. Without FILE the capture is that of
engine.replay.capture_file.

Alerts go to standard output, and a summary to standard error: events, alerts by
priority and rule, and what could not be kept or understood. A damaged or cut file
is read up to the damage; then the exit status is not 0.`,
		Example: `  riposte replay incident.scap                        # the built-in rules
  riposte replay incident.scap -r falco_rules.yaml -r local.yaml
  riposte replay incident.scap -r rules.yaml -o json_output=true | jq .rule
  riposte replay incident.scap -c /etc/falco/falco.yaml -o file_output.enabled=false`,
		Args:         cobra.MaximumNArgs(1),
		SilenceUsage: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := sources(cmd.Flags(), os.LookupEnv)
			if err != nil {
				return err
			}
			cfg, err := config.Load(from)
			if err != nil {
				return explain(err)
			}
			name := cfg.Engine.Replay.File
			if len(args) > 0 {
				name = args[0]
			}
			if name == "" {
				return errors.New("name the capture file, or set engine.replay.capture_file")
			}
			return replay(cmd, cfg, name)
		},
	}
	f := cmd.Flags()
	f.StringP("config", "c", "", "configuration file with falco.yaml's keys (default none)")
	f.StringArrayP("rules", "r", nil, "rules file or folder, may be repeated (default the built-in rules)")
	f.StringArrayP("option", "o", nil, "set a key of the configuration: a.b[0].c=value, list[]={json}; may be repeated, such as json_output=true")
	return cmd
}

// replay runs one file through what the configuration says.
func replay(cmd *cobra.Command, cfg *config.Config, name string) error {
	errOut, out := cmd.ErrOrStderr(), bufio.NewWriterSize(cmd.OutOrStdout(), 1<<16)
	warnUnused(cfg)
	for _, w := range cfg.Warnings {
		fmt.Fprintf(errOut, "warning: %s\n", rules.Escape(w.Error()))
	}
	opt := options(cfg, out, slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: slog.Level(cfg.LogLevel)})))
	opt.RuleFilesOptional = !cmd.Flags().Changed("rules")
	if err := opt.Complete(); err != nil {
		return err
	}
	loaded, absent, err := opt.LoadRules()
	if err != nil {
		return explain(err)
	}
	for _, path := range absent {
		fmt.Fprintf(errOut, "warning: the rules file %s does not exist and is left out\n", rules.Escape(path))
	}
	for _, w := range loaded.Warnings {
		printProblem(errOut, w)
	}
	outlets, err := opt.OpenOutlets()
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if os.Getenv("GOGC") == "" {
		// A short run with a small heap: collecting less often is a fifth of the time.
		debug.SetGCPercent(gcPercent)
	}
	r := &replayer{
		rules: loaded, out: out, encoding: opt.Encoding, hostname: opt.Hostname, outlets: outlets, failed: map[string]uint64{},
		byRule: map[string]int{}, byPriority: map[alert.Priority]int{},
	}
	err = r.file(ctx, name, errOut)
	for _, o := range outlets {
		err = errors.Join(err, o.Close())
	}
	return err
}

// warnUnused warns about what a replay has no use for.
func warnUnused(c *config.Config) {
	standard := config.Default()
	for _, key := range []struct {
		path string
		used bool
	}{
		{"webserver", c.Webserver.Enabled},
		{"metrics", c.Metrics.Enabled},
		{"base_syscalls.custom_set", len(c.BaseSyscalls.CustomSet) > 0},
		{"syscall_event_drops", !reflect.DeepEqual(c.Drops, standard.Drops)},
		{"outputs_queue", c.Queue != standard.Queue},
		{"json_include_riposte", c.JSONIncludeRiposte},
		{"riposte.nats", c.Riposte.NATS != ""},
		{"riposte.recording", c.Riposte.Recording != ""},
	} {
		if key.used {
			c.Warn(key.path, "does nothing in a replay")
		}
	}
}

const gcPercent = 400

// replayer matches the events of one file.
type replayer struct {
	rules    *rules.Ruleset
	encoding publish.Encoding
	hostname string
	// out is where the standard output's alerts go.
	out     *bufio.Writer
	outlets []agent.Outlet
	// failed counts the alerts that an output did not take.
	failed map[string]uint64

	// ctx and cancel are of the call of file that fire is a part of.
	ctx    context.Context
	cancel context.CancelFunc
	// event is the one in work.
	event      *event.Event
	events     uint64
	byRule     map[string]int
	byPriority map[alert.Priority]int
	alerts     int
	// why is the last failure of an output that is not the standard output.
	why error
	// broken is the first failure to write an alert; it ends the replay.
	broken error
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
	r.ctx = ctx
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
	if r.broken = r.tell(rule); r.broken != nil {
		r.cancel() // nobody reads what is still to come
	}
}

// tell hands an alert to each output, one after the other: a replay has time. An
// error is one of the standard output; what another one does not take is counted.
func (r *replayer) tell(rule *rules.Rule) error {
	message, fields := rule.Format(r.event)
	at := time.Unix(0, r.event.TimeNS)
	m, err := r.encoding.Encode(&alert.Alert{
		Time: at, Rule: rule.Name, Priority: rule.Priority, Source: rule.Source, Hostname: r.hostname, Tags: rule.Tags, OutputFields: fields,
		Output: publish.Output(at, rule.Priority, message),
	})
	if err != nil {
		return err
	}
	for _, o := range r.outlets {
		ctx, stop := context.WithTimeout(r.ctx, o.Timeout)
		err := o.Send(ctx, m)
		stop()
		switch {
		case err == nil:
		case o.Name == "stdout":
			return err
		case r.ctx.Err() == nil:
			r.failed[o.Name]++
			r.why = err
		}
	}
	return nil
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
	lost := map[string]uint64{}
	maps.Copy(lost, s.Lost())
	for name, n := range r.failed {
		lost["output_"+name+"_failed"] = n
	}
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
	if r.why != nil {
		fmt.Fprintf(w, "An output failed: %s\n", rules.Escape(r.why.Error()))
	}
}
