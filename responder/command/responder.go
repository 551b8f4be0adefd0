package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"riposte/responder"
)

// NewResponder is the command "responder", which runs one replica.
func NewResponder(version string, console fs.FS) *cobra.Command {
	f := &responderFlags{Options: responder.Options{Version: version, Console: console}}
	c := &cobra.Command{
		Use: "responder", Short: "Run the responder: decide about alerts, act, keep the record, serve the API", Args: cobra.NoArgs,
		Long: `Run one replica of the responder: it takes alerts from NATS, asks the playbooks
and the guard, carries out what is decided, keeps the record in Postgres, and
serves the API and the console. Any number of replicas share the work.

Secrets are read from files alone. A database password belongs into the file of
--database-file, or into the one that PGPASSFILE names.

Every flag may be given as an environment variable too: --nats-key is
RIPOSTE_NATS_KEY. The flag wins.`,
		Example: `  riposte responder --cluster prod --database-file /etc/riposte/database \
    --nats nats://nats.riposte:4222 --nats-key /etc/riposte/responder.seed \
    --order-key /etc/riposte/order.key --token-file /etc/riposte/token \
    --listen 0.0.0.0:7411 --kubeconfig in-cluster`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromEnvironment(cmd.Flags(), os.LookupEnv); err != nil {
				return err
			}
			o, err := f.options(cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return serve(cmd.Context(), o)
		},
	}
	f.define(c)
	return c
}

// serve runs a responder until it is told to stop or a part fails.
func serve(ctx context.Context, o responder.Options) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	r, err := responder.New(o)
	if err != nil {
		return err
	}
	if err := r.Start(ctx); err != nil {
		return err
	}
	o.Log.Info("the responder is up", "address", r.Addr(), "version", o.Version)
	var failed error
	select {
	case <-ctx.Done():
	case failed = <-r.Failed():
	}
	stop() // a second Ctrl-C ends the process at once
	o.Log.Info("stopping")
	return errors.Join(failed, r.Stop(context.WithoutCancel(ctx)))
}

// fromEnvironment sets the flags that were not given from variables named after
// them: --nats-key from RIPOSTE_NATS_KEY.
func fromEnvironment(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	var errs []error
	flags.VisitAll(func(f *pflag.Flag) {
		name := "RIPOSTE_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := lookup(name)
		if f.Changed || !ok || value == "" {
			return
		}
		if err := flags.Set(f.Name, value); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	})
	return errors.Join(errs...)
}
