package standalone

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"riposte/agent/enrich"
	"riposte/responder/api"
	"riposte/responder/api/client"
	"riposte/responder/command"
)

// NewUp is `riposte up`. Console is the built console.
func NewUp(version string, console fs.FS) *cobra.Command {
	o := Options{Version: version, Console: console}
	var noDrill, verbose bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run everything on this machine, and stage one drill",
		Long: `Run everything on this machine: an embedded NATS, a private PostgreSQL, the agent,
the responder with its API and console, all bound to 127.0.0.1. One drill is
staged: a container of Riposte's own is attacked and must be killed. Then alerts
and actions are printed as they come, until Ctrl-C.

PostgreSQL's programs must be installed. Seeing the kernel's events needs root;
without it a recording is played, and nothing is contained.`,
		Example: `  sudo riposte up
  sudo riposte up --rules my_rules.yaml --playbooks ./playbooks
  sudo riposte up --kubeconfig ~/.kube/config`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Log = logger(cmd.ErrOrStderr(), verbose)
			return up(cmd.Context(), o, !noDrill, cmd.OutOrStdout())
		},
	}
	addFlags(cmd, &o)
	cmd.Flags().StringVar(&o.Data, "data", command.DefaultData(), "data folder; it is made if missing")
	cmd.Flags().BoolVar(&noDrill, "no-drill", false, "stage no drill")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "log everything, not only warnings")
	return cmd
}

// NewDrill is `riposte drill`.
func NewDrill(version string, console fs.FS) *cobra.Command {
	o := Options{Version: version, Console: console}
	var throwaway, verbose bool
	cmd := &cobra.Command{
		Use:   "drill",
		Short: "Attack a container of Riposte's own and time the answer",
		Long: `Start a small container, let a shell on a terminal in it read /etc/shadow (its
own, worth nothing), and watch Riposte kill it. Prints each stage with the time
since the system call; the last line is the same as JSON. Exits with 0 only if
the effect was verified. Needs root, on a host with a running agent.`,
		Example: `  sudo riposte drill              # against the running riposte up
  sudo riposte drill --throwaway  # start everything on throw-away data, then stop it
  sudo riposte drill --throwaway | tail -n 1 | jq .stages`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if throwaway {
				o.Log = logger(cmd.ErrOrStderr(), verbose)
				return throwawayDrill(cmd.Context(), o, cmd.OutOrStdout(), cmd.ErrOrStderr())
			}
			c, err := command.Connect(cmd)
			if err != nil {
				return err
			}
			return runDrill(cmd.Context(), c, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	addFlags(cmd, &o)
	command.ConnectFlags(cmd)
	cmd.Flags().BoolVar(&throwaway, "throwaway", false, "start everything on a throw-away data folder first, and stop it afterwards")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "with --throwaway: log everything, not only warnings")
	return cmd
}

func addFlags(cmd *cobra.Command, o *Options) {
	f := cmd.Flags()
	f.StringVar(&o.Cluster, "cluster", "local", "this cluster's name in alerts and in the record")
	f.StringVar(&o.Node, "node", "", "this node's name (default: the host's name)")
	f.StringVar(&o.Listen, "listen", "127.0.0.1:7411", "address of the API and the console")
	f.StringVar(&o.MetricsListen, "metrics-listen", "", "address of the responder's metrics and health checks, which nobody signs in for (default: none)")
	f.StringVar(&o.Kubeconfig, "kubeconfig", "", "act on this cluster's pods")
	f.StringArrayVar(&o.RuleFiles, "rules", nil, "rule file in Falco's language instead of the built-in rules (repeatable, in order)")
	f.StringVar(&o.Playbooks, "playbooks", "", "folder of playbooks beside the built-in ones")
	f.StringVar(&o.Recording, "recording", "", "play this recording (or \"embedded\") instead of looking at the kernel; nothing is contained")
	f.BoolVar(&o.ReportOwn, "report-own", false, "show the rules what Riposte's own process and its PostgreSQL do")
	_ = cmd.MarkFlagFilename("rules", "yaml", "yml")
	_ = cmd.MarkFlagDirname("playbooks")
	_ = cmd.MarkFlagFilename("kubeconfig")
}

func logger(w io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelWarn
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

// up runs until it is told to stop or a part fails.
func up(ctx context.Context, o Options, drill bool, out io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	say := progress(out)
	o.Progress, o.Alerts = say, out
	s, err := Start(ctx, o)
	if err != nil {
		return err
	}
	s.introduce(out, o.withDefaults())
	err = s.serve(ctx, drill, out)
	stop() // a second Ctrl-C ends the process at once
	say("stopping")
	return errors.Join(err, s.Stop())
}

func (s *Stack) introduce(out io.Writer, o Options) {
	fmt.Fprintf(out, "\nriposte %s is up\n", o.Version)
	switch {
	case s.Unavailable != nil:
		fmt.Fprintf(out, "  RECORDED EVENTS: the kernel's cannot be seen: %s\n    what would help: %s\n    a recording is played instead; nothing is really contained\n",
			s.Unavailable.Why, s.Unavailable.Help)
	case o.Recording != "":
		fmt.Fprintln(out, "  RECORDED EVENTS: a recording is played; nothing is really contained")
	}
	fmt.Fprintf(out, "  console  %s  (sign in with the token in %s)\n", s.url, filepath.Join(o.Data, "token"))
	fmt.Fprintf(out, "  bus      %s\n  data     %s\n\n", s.nats, o.Data)
}

// serve stages the drill and prints what is done until the end.
func (s *Stack) serve(ctx context.Context, drill bool, out io.Writer) error {
	if drill {
		if err := runDrill(ctx, s.client, out, out); err != nil && ctx.Err() == nil {
			fmt.Fprintf(out, "the drill did not end well: %v\n", err)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		printActions(ctx, s.client, out)
	}()
	defer func() { cancel(); <-watched }()
	select {
	case <-ctx.Done():
		return nil
	case err := <-s.failed:
		return err
	}
}

// printActions prints one line for each change of an action. The alerts come
// from the agent, as Falco prints them.
func printActions(ctx context.Context, c *client.Client, out io.Writer) {
	for e, err := range c.Events(ctx, "") {
		if err != nil || e.Name != api.EventAction {
			continue // a broken stream connects again by itself
		}
		if a, err := e.Action(); err == nil {
			fmt.Fprintf(out, "%s: action %s %s: %s %s\n", time.Now().Format("15:04:05.000000000"), a.Type, command.StateOf(a), a.TargetName, a.Note)
		}
	}
}

// throwawayDrill is the whole product once, from nothing to nothing.
func throwawayDrill(ctx context.Context, o Options, out, diag io.Writer) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	if o.Data, err = os.MkdirTemp("", "riposte-drill-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.Data)) }()
	if err := os.Chmod(o.Data, 0o711); err != nil { // PostgreSQL's user passes through
		return err
	}
	o.Throwaway, o.Progress = true, progress(diag)
	s, err := Start(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	if s.Unavailable != nil {
		fmt.Fprintf(diag, "the kernel's events cannot be seen: %s\nwhat would help: %s\n", s.Unavailable.Why, s.Unavailable.Help)
	}
	return runDrill(ctx, s.client, out, diag)
}

// runDrill prints the timeline even of a drill that failed, as far as there is one.
func runDrill(ctx context.Context, c *client.Client, out, diag io.Writer) error {
	root, err := enrich.CgroupRoot()
	if err != nil {
		return err
	}
	t, err := Drill(ctx, c, root, progress(diag))
	if len(t.Stages) > 0 {
		if err := PrintTimeline(out, t); err != nil {
			return err
		}
	}
	if err == nil && !t.Verified {
		err = errors.New("the effect was not verified")
	}
	return err
}

func progress(w io.Writer) func(string) {
	begin := time.Now()
	return func(what string) { fmt.Fprintf(w, "[%5.2fs] %s\n", time.Since(begin).Seconds(), what) }
}
