package command

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"riposte/agent"
	"riposte/agent/capture"
	"riposte/agent/publish"
	"riposte/agent/rules"
)

// NewAgent makes "riposte agent".
func NewAgent(version string) *cobra.Command {
	opt := agent.Options{Version: version}
	var format, level string
	var quiet bool
	c := &cobra.Command{
		Use:   "agent",
		Short: "Watch this node, print and send its alerts, carry out orders",
		Long: `Watch this node's system calls with eBPF, match them against rules in Falco's
language, print the alerts and send them over NATS to the responder. With the
responder's public key the agent also carries out its signed orders, such as
killing a container.

It needs root, a kernel from 5.8 on with BTF, and a mounted cgroup v2 tree.
Without --nats it only prints.

Every flag may be given as an environment variable too: --nats-key is
RIPOSTE_NATS_KEY. The flag wins.`,
		Example: `  # Print alerts of the built-in rules, as Falco would
  riposte agent

  # Own rules after each other, JSON lines
  riposte agent --rules rules.yaml --rules local.yaml --output json

  # A node of a cluster
  riposte agent --cluster prod --node "$NODE_NAME" --nats nats://nats.riposte:4222 \
    --nats-key /etc/riposte/node.seed --order-key /etc/riposte/responder.pub --kubeconfig in-cluster

  # See it work where the kernel cannot be watched
  riposte agent --recording embedded`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		SilenceUsage:      true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromEnvironment(cmd.Flags(), os.LookupEnv); err != nil {
				return err
			}
			f, err := publish.ParseFormat(format)
			if err != nil {
				return fmt.Errorf("--output: %w", err)
			}
			var l slog.Level
			if err := l.UnmarshalText([]byte(level)); err != nil {
				return fmt.Errorf("--log-level: unknown level %q: use debug, info, warn or error", level)
			}
			opt.Format = f
			opt.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: l}))
			if !quiet {
				opt.Output = cmd.OutOrStdout()
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return run(ctx, opt)
		},
	}
	f := c.Flags()
	f.StringVar(&opt.Cluster, "cluster", "", `the cluster's name in alerts (default "default")`)
	f.StringVar(&opt.Node, "node", "", "this node's name in alerts (default the host's name)")
	f.StringVar(&opt.NATS, "nats", "", "the bus, such as nats://127.0.0.1:4222; empty: alerts are only printed")
	f.StringVar(&opt.NATSKeyFile, "nats-key", "", "file with this node's nkey seed")
	f.StringVar(&opt.OrderKeyFile, "order-key", "", "file with the responder's public key; empty: no order is taken")
	f.StringVar(&opt.DataDir, "data", "", `folder for unacknowledged alerts and handled orders (default "/var/lib/riposte/agent")`)
	f.Int64Var(&opt.SpoolBytes, "spool-bytes", 0, "bound of the unacknowledged alerts on disk (default 67108864)")
	f.StringArrayVar(&opt.RuleFiles, "rules", nil, "rules file, may be repeated (default the built-in rules)")
	f.StringVar(&opt.Kubeconfig, "kubeconfig", "", `cluster to take pod names from, a file or "in-cluster"`)
	f.StringVar(&opt.Recording, "recording", "", `replay a recorded file, or "embedded", in place of the kernel's events`)
	f.StringVar(&opt.CgroupRoot, "cgroup-root", "", "where the cgroup v2 tree is mounted (default: looked for)")
	f.StringVarP(&format, "output", "o", string(publish.Text), "how alerts are printed: text or json")
	f.BoolVar(&opt.IncludeRiposte, "json-include-riposte", false, `add "uuid" and "riposte" to the printed JSON`)
	f.BoolVar(&quiet, "quiet", false, "do not print alerts")
	f.StringVar(&level, "log-level", "info", "what the agent says about itself: debug, info, warn or error")
	for name, values := range map[string][]string{"output": {"text", "json"}, "log-level": {"debug", "info", "warn", "error"}} {
		if err := c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // the flag is defined above
		}
	}
	return c
}

func run(ctx context.Context, opt agent.Options) error {
	a, err := agent.New(opt)
	if err != nil {
		return explain(err)
	}
	return a.Run(ctx)
}

// explain adds what a person needs to go on.
func explain(err error) error {
	if _, ok := errors.AsType[*capture.Unavailable](err); ok {
		return fmt.Errorf("%w\nTo see it work without: riposte agent --recording %s", err, agent.EmbeddedRecording)
	}
	if wrong := rules.Errors(err); len(wrong) > 0 {
		var b strings.Builder
		for _, e := range wrong {
			b.WriteString("\n" + e.Error())
			if e.Snippet != "" {
				b.WriteString("\n" + strings.TrimRight(e.Snippet, "\n"))
			}
		}
		return fmt.Errorf("the rules do not load:%s", b.String())
	}
	return err
}

// fromEnvironment sets the flags that were not given from variables named after
// them: --nats-key from RIPOSTE_NATS_KEY. A list is separated by commas.
func fromEnvironment(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "RIPOSTE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := lookup(name)
		if f.Changed || !ok || value == "" {
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
	})
	return errors.Join(errs...)
}
