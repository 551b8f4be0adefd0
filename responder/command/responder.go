package command

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"riposte/responder"
)

// NewResponder is the command "responder", which runs one replica.
func NewResponder(version string, console fs.FS) *cobra.Command {
	o := responder.Options{Version: version, Console: console}
	var databaseFile, migrateFile, level string
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
			var l slog.Level
			if err := l.UnmarshalText([]byte(level)); err != nil {
				return fmt.Errorf("--log-level: unknown level %q: use debug, info, warn or error", level)
			}
			o.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: l}))
			var err error
			if o.DatabaseURL, err = database(o.DatabaseURL, databaseFile); err != nil {
				return err
			}
			if o.MigrateURL, err = database(o.MigrateURL, migrateFile); err != nil {
				return err
			}
			return serve(cmd.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.Cluster, "cluster", "", `name of the cluster (default "local")`)
	f.StringVar(&o.Instance, "instance", "", "name of this replica, the same after a restart (default: the host's name)")
	f.StringVar(&o.DatabaseURL, "database", "", "Postgres's connection string, without a password")
	f.StringVar(&databaseFile, "database-file", "", "file with Postgres's connection string")
	f.StringVar(&o.MigrateURL, "migrate-url", "", "the same of the database's owner, who migrates at the start (or: riposte migrate)")
	f.StringVar(&migrateFile, "migrate-url-file", "", "file with it")
	f.StringVar(&o.NATS, "nats", "", `address of NATS (default "nats://127.0.0.1:4222")`)
	f.StringVar(&o.NATSKeyFile, "nats-key", "", "file with the responder's nkey seed")
	f.StringVar(&o.NodeAuthKeyFile, "node-auth-key", "", "file with the account key's seed in whose name agents are let in to NATS by their pod's token (default: by keys alone)")
	f.StringVar(&o.NodeAuthAccount, "node-auth-account", "", "the agents' service account, namespace/name")
	f.StringVar(&o.OrderKeyFile, "order-key", "", "file with the Ed25519 private key that signs orders (PEM)")
	f.StringVar(&o.CheckpointKeyFile, "checkpoint-key", "", "file with the Ed25519 private key that signs the record's checkpoints (PEM; default: nothing is signed)")
	f.StringVar(&o.OldCheckpointKeyFile, "old-checkpoint-key", "", "file with the key before it, which hands over to it")
	f.StringVar(&o.CheckpointFile, "checkpoint-file", "", "file that gets a line for each checkpoint")
	f.Int64Var(&o.CheckpointEvery, "checkpoint-every", 1000, "entries of the record after which a checkpoint is signed")
	f.DurationVar(&o.CheckpointWithin, "checkpoint-within", time.Minute, "time after which one is signed if there are fewer")
	f.StringVar(&o.TokenFile, "token-file", "", "file with the API's token")
	f.StringVar(&o.PeopleFile, "people-file", "", "file with people's tokens: a name, a space and a token on each line, and perhaps a role")
	f.StringVar(&o.AccessFile, "access-file", "", "YAML file that says who of an OpenID Connect issuer or of the cluster may do what")
	f.StringVar(&o.Listen, "listen", "", `address of the API and the console (default "127.0.0.1:7411")`)
	f.StringVar(&o.MetricsListen, "metrics-listen", "", "address of Prometheus's metrics and of the health checks, which nobody signs in for (default: none)")
	f.StringVar(&o.Kubeconfig, "kubeconfig", "", `cluster on whose pods to act, a file or "in-cluster" (default: none)`)
	f.StringVar(&o.WebhooksFile, "webhooks", "", "YAML file with the webhooks that actions may use")
	f.StringVar(&o.PlaybookDir, "playbooks", "", "folder of playbooks beside the built-in ones; changes are taken over")
	f.StringVar(&o.Bundle, "bundle", "", "OPA bundle of playbooks, a tar.gz file or its http(s) URL; changes are taken over")
	f.StringVar(&o.BundleKeyFile, "bundle-key", "", "file with the public key that the bundle must be signed by (PEM)")
	f.BoolVar(&o.BundleUnsigned, "bundle-unsigned", false, "take the bundle without a signature: whoever can write it decides what is done")
	f.StringVar(&o.BundleTokenFile, "bundle-token-file", "", "file with the bearer token for the bundle's server")
	f.DurationVar(&o.BundleEvery, "bundle-every", 30*time.Second, "how often the bundle's server is asked for news, a tenth sooner or later")
	f.StringVar(&o.KillSwitchFile, "kill-switch-file", "", "file that is there while the kill switch is on")
	f.StringVar(&o.GuardFile, "guard-file", "", "file with the guard's budgets and limits (YAML, see docs/guard.md)")
	f.StringVar(&o.GuardPolicyDir, "guard-policy", "", "folder of guard rules in Rego, which can only refuse more; changes are taken over")
	f.StringSliceVar(&o.ProtectedNamespaces, "protected-namespaces", nil, "namespaces in which nothing is ever done (default kube-system,kube-public,kube-node-lease,riposte)")
	f.StringVar(&o.IntakeListen, "intake-listen", "", "address that takes alerts of Falco and Falcosidekick over HTTP (default: none)")
	f.StringVar(&o.IntakeIdentities, "intake-identities", "", "YAML file that says who may send there")
	f.StringVar(&o.IntakeCert, "intake-cert", "", "certificate that makes the intake HTTPS (PEM)")
	f.StringVar(&o.IntakeKey, "intake-key", "", "its key (PEM)")
	f.StringVar(&o.IntakeClientCA, "intake-client-ca", "", "authority of the senders' client certificates (PEM)")
	f.DurationVar(&o.IncidentWindow, "incident-window", time.Hour, "how long an incident waits for its next alert")
	f.DurationVar(&o.SilentAfter, "silent-after", time.Minute, "how long an agent may say nothing before that is an incident")
	f.DurationVar(&o.Retention, "retention", 400*24*time.Hour, "how long the record is kept, and ended actions and incidents with it, by whole months; 0 for ever")
	f.DurationVar(&o.AlertRetention, "alert-retention", 90*24*time.Hour, "how long alerts and decisions are kept, by whole months; 0 for ever")
	f.IntVar(&o.StreamReplicas, "stream-replicas", 1, "on how many NATS servers the stream of alerts is kept")
	f.StringVar(&level, "log-level", "info", "what the responder says about itself: debug, info, warn or error")
	c.MarkFlagsMutuallyExclusive("database", "database-file")
	c.MarkFlagsMutuallyExclusive("migrate-url", "migrate-url-file")
	c.MarkFlagsMutuallyExclusive("bundle-key", "bundle-unsigned")
	for _, file := range []string{
		"database-file", "migrate-url-file", "nats-key", "node-auth-key", "order-key", "checkpoint-key", "old-checkpoint-key", "checkpoint-file", "token-file", "people-file", "access-file", "kubeconfig", "webhooks", "kill-switch-file", "guard-file",
		"bundle", "bundle-key", "bundle-token-file",
		"intake-identities", "intake-cert", "intake-key", "intake-client-ca",
	} {
		must(c.MarkFlagFilename(file))
	}
	must(c.MarkFlagDirname("playbooks"))
	must(c.MarkFlagDirname("guard-policy"))
	complete(c, "log-level", []string{"debug", "info", "warn", "error"})
	return c
}

// database takes the connection string from its flag or file. A password in a
// flag would stand in every process list.
func database(flag, file string) (string, error) {
	if file != "" {
		b, err := readSmall(file)
		if err != nil {
			return "", fmt.Errorf("--database-file: %w", err)
		}
		return strings.TrimSpace(string(b)), nil
	}
	u, err := url.Parse(flag)
	if err != nil { // a key=value string can be one too
		u = &url.URL{}
	}
	_, inURL := u.User.Password()
	if inURL || u.Query().Has("password") || strings.Contains(flag, "password=") {
		return "", errors.New("--database: a password in a flag is for everybody to see: use --database-file, or PGPASSFILE")
	}
	return flag, nil
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
