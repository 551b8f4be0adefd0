package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"riposte/agent"
	"riposte/agent/capture"
	"riposte/agent/config"
	"riposte/agent/publish"
	"riposte/agent/rules"
)

// NewAgent makes "riposte agent".
func NewAgent(version string) *cobra.Command {
	c := &cobra.Command{
		Use:   "agent",
		Short: "Watch this node, print and send its alerts, carry out orders",
		Long: `Watch this node's system calls with eBPF, match them against rules in Falco's
language, print the alerts and send them over NATS to the responder. With the
responder's public key the agent also carries out its signed orders, such as
killing a container.

It needs root or the capabilities BPF, PERFMON, SYS_PTRACE and DAC_READ_SEARCH, a
kernel from 5.8 on with BTF, and a mounted cgroup v2 tree.
Without --nats it only prints.

The configuration file has falco.yaml's keys, and Riposte's own under "riposte".
Every flag but -o may be given as an environment variable too: --nats-key is
RIPOSTE_NATS_KEY. The environment wins over the file, a flag over the
environment, and -o over all.

SIGUSR1 opens output files again after a log rotation; SIGHUP does that and reads
the configuration and the rules again.

The flags of Falco that only print something work here too: -V, -L, -l, --list,
--list-events, --support.`,
		Example: `  # Print alerts of the built-in rules, as Falco would
  riposte agent

  # Own rules after each other, JSON lines
  riposte agent -r rules.yaml -r local.yaml -o json_output=true

  # Falco's configuration, with one key changed and one rule more
  riposte agent -c /etc/falco/falco.yaml -o http_output.url=http://siem/ -o 'rules_files[]=local.yaml'

  # A node of a cluster
  riposte agent --cluster prod --node "$NODE_NAME" --nats nats://nats.riposte:4222 \
    --nats-key /etc/riposte/node.seed --order-key /etc/riposte/responder.pub --kubeconfig in-cluster

  # See it work where the kernel cannot be watched
  riposte agent --recording embedded`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		SilenceUsage:      true,
		RunE:              func(cmd *cobra.Command, _ []string) error { return runAgent(cmd, version) },
	}
	defineFlags(c)
	return c
}

// runAgent does what the flags ask for, and else runs the agent until it is told to stop.
func runAgent(cmd *cobra.Command, version string) error {
	if err := fromEnvironment(cmd.Flags(), os.LookupEnv); err != nil {
		return err
	}
	from, err := sources(cmd.Flags(), os.LookupEnv)
	if err != nil {
		return err
	}
	cfg, err := config.Load(from)
	if err != nil {
		return explain(err)
	}
	if done, err := answer(cmd, version, cfg); done {
		return err
	}
	if cfg.Engine.Kind == config.EngineReplay {
		return errors.New("engine.kind is replay, and the agent looks at this machine: use riposte replay")
	}
	var level slog.LevelVar
	level.Set(slog.Level(cfg.LogLevel))
	log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: &level}))
	var told string
	complete := func(cfg *config.Config) agent.Options {
		// It is read again whenever a rules file changes: what was odd still is.
		if now := fmt.Sprint(cfg.Warnings); now != told {
			told = now
			for _, w := range cfg.Warnings {
				log.Warn("the configuration is odd", "warning", w)
			}
		}
		opt := options(cfg, cmd.OutOrStdout(), log)
		opt.Version, opt.RuleFilesOptional, opt.SetLogLevel = version, !cmd.Flags().Changed("rules"), level.Set
		return opt
	}
	opt := complete(cfg)
	opt.Reconfigure = reconfigure(from, complete)
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if n := seconds(cmd.Flags()); n > 0 {
		var end context.CancelFunc
		ctx, end = context.WithTimeout(ctx, n)
		defer end()
	}
	if dry, _ := cmd.Flags().GetBool("dry-run"); dry { //nolint:errcheck // the flag is defined below
		return dryRun(cmd.OutOrStdout(), opt)
	}
	return run(ctx, opt)
}

// keys are the keys of the configuration that flags set.
var keys = map[string]string{
	"cluster": "riposte.cluster", "node": "riposte.node", "nats": "riposte.nats", "nats-key": "riposte.nats_key", "nats-token": "riposte.nats_token", "order-key": "riposte.order_key",
	"data": "riposte.data", "spool-bytes": "riposte.spool_bytes", "rules": "rules_files", "kubeconfig": "riposte.kubeconfig",
	"recording": "riposte.recording", "cgroup-root": "riposte.cgroup_root", "output": "json_output", "json-include-riposte": "json_include_riposte",
	"quiet": "stdout_output.enabled", "log-level": "log_level",
}

func defineFlags(c *cobra.Command) {
	f := c.Flags()
	f.StringP("config", "c", "", "configuration file with falco.yaml's keys (default none)")
	f.StringArrayP("option", "o", nil, "set a key of the configuration: a.b[0].c=value, list[]={json}; may be repeated")
	f.String("cluster", "", `the cluster's name in alerts (default "default")`)
	f.String("node", "", "this node's name in alerts (default the host's name)")
	f.String("nats", "", "the bus, such as nats://127.0.0.1:4222; empty: alerts are only printed")
	f.String("nats-key", "", "file with this node's nkey seed")
	f.String("nats-token", "", "file with a token in place of a key: a pod's, which the cluster vouches for")
	f.String("order-key", "", "file with the responder's public key; empty: no order is taken")
	f.String("data", "", `folder for unacknowledged alerts and handled orders (default "/var/lib/riposte/agent")`)
	f.Int64("spool-bytes", 0, "bound of the unacknowledged alerts on disk (default 268435456)")
	f.StringArrayP("rules", "r", nil, "rules file or folder, may be repeated (default the built-in rules)")
	f.String("kubeconfig", "", `cluster to take pod names from, a file or "in-cluster"`)
	f.String("recording", "", `replay a recorded file, or "embedded", in place of the kernel's events`)
	f.String("cgroup-root", "", "where the cgroup v2 tree is mounted (default: looked for)")
	f.String("output", string(publish.Text), "how alerts are printed: text or json")
	f.Bool("json-include-riposte", false, `add "uuid" and "riposte" to the printed JSON`)
	f.Bool("quiet", false, "do not print alerts")
	askFlags(f)
	f.String("log-level", "info", "what the agent says about itself: debug, info, warn or error")
	for name, values := range map[string][]string{"output": {"text", "json"}, "log-level": {"debug", "info", "warn", "error"}} {
		if err := c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // the flag is defined above
		}
	}
}

// reconfigure reads the configuration again, from the same sources.
func reconfigure(from config.Options, complete func(*config.Config) agent.Options) func() (agent.Options, error) {
	return func() (agent.Options, error) {
		cfg, err := config.Load(from)
		if err != nil {
			return agent.Options{}, err
		}
		opt := complete(cfg)
		opt.Reconfigure = reconfigure(from, complete)
		return opt, nil
	}
}

// sources are where the configuration comes from: the file, flags and -o. A flag
// that was set from its environment variable is told by that in errors.
func sources(flags *pflag.FlagSet, lookup func(string) (string, bool)) (config.Options, error) {
	opt := config.Options{Lookup: lookup}
	var errs []error
	flags.Visit(func(f *pflag.Flag) {
		from := "--" + f.Name
		if len(f.Annotations[fromVariable]) > 0 {
			from = variable(f.Name)
		}
		switch f.Name {
		case "config":
			opt.File = f.Value.String()
			return
		case "option":
			opt.Overrides = list(f)
			return
		}
		s := config.Setting{From: from, Key: keys[f.Name], Values: []string{f.Value.String()}}
		switch f.Name {
		case "rules":
			s.Values, s.List = list(f), true
		case "quiet":
			s.Values = []string{strconv.FormatBool(f.Value.String() != "true")}
		case "output":
			format, err := publish.ParseFormat(f.Value.String())
			if err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", from, err))
				return
			}
			s.Values = []string{strconv.FormatBool(format == publish.JSON)}
		}
		if s.Key != "" { // --help has none
			opt.Settings = append(opt.Settings, s)
		}
	})
	return opt, errors.Join(errs...)
}

func list(f *pflag.Flag) []string {
	if s, ok := f.Value.(pflag.SliceValue); ok {
		return s.GetSlice()
	}
	return nil
}

func run(ctx context.Context, opt agent.Options) error {
	signals, done := make(chan os.Signal, 4), make(chan struct{})
	// Before anything else: a rotation while the agent starts must not end it.
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(signals)
	a, err := agent.New(opt)
	if err != nil {
		return explain(err)
	}
	go func() {
		defer close(done)
		for s := range signals {
			opt.Log.Info("output files are opened again", "signal", s)
			a.Reopen()
			if s == syscall.SIGHUP {
				a.Reload()
			}
		}
	}()
	err = a.Run(ctx)
	signal.Stop(signals)
	close(signals)
	<-done
	return err
}

// explain adds what a person needs to go on.
func explain(err error) error {
	if _, ok := errors.AsType[*capture.Unavailable](err); ok {
		return fmt.Errorf("%w\nTo see it work without: riposte agent --recording %s", err, agent.EmbeddedRecording)
	}
	var b strings.Builder
	if wrong := rules.Errors(err); len(wrong) > 0 {
		for _, e := range wrong {
			located(&b, e, e.Snippet)
		}
		return fmt.Errorf("the rules do not load:%s", b.String())
	}
	if wrong := config.Errors(err); len(wrong) > 0 {
		for _, e := range wrong {
			located(&b, e, e.Snippet)
		}
		return fmt.Errorf("the configuration does not hold:%s", b.String())
	}
	return err
}

func located(w io.Writer, err error, snippet string) {
	fmt.Fprintf(w, "\n%s", rules.Escape(err.Error()))
	if snippet != "" {
		fmt.Fprintf(w, "\n%s", strings.TrimRight(snippet, "\n"))
	}
}

// fromVariable marks a flag that was set from its environment variable.
const fromVariable = "riposte_from_variable"

// variable is the environment variable of a flag.
func variable(flag string) string {
	return "RIPOSTE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// fromEnvironment sets the flags that were not given from variables named after
// them: --nats-key from RIPOSTE_NATS_KEY. A list is separated by commas. -o has
// no variable: its values have commas of their own.
func fromEnvironment(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := variable(f.Name)
		value, ok := lookup(name)
		if f.Changed || !ok || value == "" || keys[f.Name] == "" && f.Name != "config" {
			return
		}
		values := []string{value}
		if f.Value.Type() == "stringArray" {
			values = strings.Split(value, ",")
		}
		for _, v := range values {
			if err := flags.Set(f.Name, v); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
			}
		}
		if err := flags.SetAnnotation(f.Name, fromVariable, []string{name}); err != nil {
			errs = append(errs, err)
		}
	})
	return errors.Join(errs...)
}
