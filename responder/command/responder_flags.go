package command

import (
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"riposte/responder"
)

// responderFlags are the options of a responder, and what more its flags say.
type responderFlags struct {
	responder.Options
	databaseFile, migrateFile, level string
}

// define gives the command its flags.
func (f *responderFlags) define(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.Cluster, "cluster", "", `name of the cluster (default "local")`)
	flags.StringVar(&f.Instance, "instance", "", "name of this replica, the same after a restart (default: the host's name)")
	flags.StringVar(&f.DatabaseURL, "database", "", "Postgres's connection string, without a password")
	flags.StringVar(&f.databaseFile, "database-file", "", "file with Postgres's connection string")
	flags.StringVar(&f.MigrateURL, "migrate-url", "", "the same of the database's owner, who migrates at the start (or: riposte migrate)")
	flags.StringVar(&f.migrateFile, "migrate-url-file", "", "file with it")
	flags.StringVar(&f.NATS, "nats", "", `address of NATS (default "nats://127.0.0.1:4222")`)
	flags.StringVar(&f.NATSKeyFile, "nats-key", "", "file with the responder's nkey seed")
	flags.StringVar(&f.NodeAuthKeyFile, "node-auth-key", "", "file with the account key's seed in whose name agents are let in to NATS by their pod's token (default: by keys alone)")
	flags.StringVar(&f.NodeAuthAccount, "node-auth-account", "", "the agents' service account, namespace/name")
	flags.StringVar(&f.OrderKeyFile, "order-key", "", "file with the Ed25519 private key that signs orders (PEM)")
	flags.StringVar(&f.CheckpointKeyFile, "checkpoint-key", "", "file with the Ed25519 private key that signs the record's checkpoints (PEM; default: nothing is signed)")
	flags.StringVar(&f.OldCheckpointKeyFile, "old-checkpoint-key", "", "file with the key before it, which hands over to it")
	flags.StringVar(&f.FirstCheckpointKeyFile, "first-checkpoint-key", "", "file with the public key of the record's first checkpoints (PEM), once the key was changed: verification begins with it")
	flags.StringVar(&f.CheckpointFile, "checkpoint-file", "", "file that gets a line for each checkpoint")
	flags.Int64Var(&f.CheckpointEvery, "checkpoint-every", 1000, "entries of the record after which a checkpoint is signed")
	flags.DurationVar(&f.CheckpointWithin, "checkpoint-within", time.Minute, "time after which one is signed if there are fewer")
	flags.StringVar(&f.TokenFile, "token-file", "", "file with the API's token")
	flags.StringVar(&f.PeopleFile, "people-file", "", "file with people's tokens: a name, a space and a token on each line, and perhaps a role")
	flags.StringVar(&f.AccessFile, "access-file", "", "YAML file that says who of an OpenID Connect issuer or of the cluster may do what")
	flags.StringVar(&f.Listen, "listen", "", `address of the API and the console (default "127.0.0.1:7411")`)
	flags.StringVar(&f.MetricsListen, "metrics-listen", "", "address of Prometheus's metrics and of the health checks, which nobody signs in for (default: none)")
	flags.StringVar(&f.Kubeconfig, "kubeconfig", "", `cluster on whose pods to act, a file or "in-cluster" (default: none)`)
	flags.StringVar(&f.WebhooksFile, "webhooks", "", "YAML file with the webhooks that actions may use")
	flags.StringVar(&f.PlaybookDir, "playbooks", "", "folder of playbooks beside the built-in ones; changes are taken over")
	flags.StringVar(&f.Bundle, "bundle", "", "OPA bundle of playbooks, a tar.gz file or its http(s) URL; changes are taken over")
	flags.StringVar(&f.BundleKeyFile, "bundle-key", "", "file with the public key that the bundle must be signed by (PEM)")
	flags.BoolVar(&f.BundleUnsigned, "bundle-unsigned", false, "take the bundle without a signature: whoever can write it decides what is done")
	flags.StringVar(&f.BundleTokenFile, "bundle-token-file", "", "file with the bearer token for the bundle's server")
	flags.DurationVar(&f.BundleEvery, "bundle-every", 30*time.Second, "how often the bundle's server is asked for news, a tenth sooner or later")
	flags.StringVar(&f.KillSwitchFile, "kill-switch-file", "", "file that is there while the kill switch is on")
	flags.StringVar(&f.GuardFile, "guard-file", "", "file with the guard's budgets and limits (YAML, see docs/guard.md)")
	flags.StringVar(&f.GuardPolicyDir, "guard-policy", "", "folder of guard rules in Rego, which can only refuse more; changes are taken over")
	flags.StringSliceVar(&f.ProtectedNamespaces, "protected-namespaces", nil, "namespaces in which nothing is ever done (default kube-system,kube-public,kube-node-lease,riposte)")
	flags.StringVar(&f.IntakeListen, "intake-listen", "", "address that takes alerts of Falco and Falcosidekick over HTTP (default: none)")
	flags.StringVar(&f.IntakeIdentities, "intake-identities", "", "YAML file that says who may send there")
	flags.StringVar(&f.IntakeCert, "intake-cert", "", "certificate that makes the intake HTTPS (PEM)")
	flags.StringVar(&f.IntakeKey, "intake-key", "", "its key (PEM)")
	flags.StringVar(&f.IntakeClientCA, "intake-client-ca", "", "authority of the senders' client certificates (PEM)")
	flags.DurationVar(&f.IncidentWindow, "incident-window", time.Hour, "how long an incident waits for its next alert")
	flags.DurationVar(&f.SilentAfter, "silent-after", time.Minute, "how long an agent may say nothing before that is an incident")
	flags.DurationVar(&f.Retention, "retention", 400*24*time.Hour, "how long the record is kept, and ended actions and incidents with it, by whole months; 0 for ever")
	flags.DurationVar(&f.AlertRetention, "alert-retention", 90*24*time.Hour, "how long alerts and decisions are kept, by whole months; 0 for ever")
	flags.IntVar(&f.StreamReplicas, "stream-replicas", 1, "on how many NATS servers the stream of alerts is kept")
	flags.StringVar(&f.level, "log-level", "info", "what the responder says about itself: debug, info, warn or error")
	c.MarkFlagsMutuallyExclusive("database", "database-file")
	c.MarkFlagsMutuallyExclusive("migrate-url", "migrate-url-file")
	c.MarkFlagsMutuallyExclusive("bundle-key", "bundle-unsigned")
	for _, file := range []string{
		"database-file", "migrate-url-file", "nats-key", "node-auth-key", "order-key", "checkpoint-key", "old-checkpoint-key", "first-checkpoint-key", "checkpoint-file",
		"token-file", "people-file", "access-file", "kubeconfig", "webhooks", "kill-switch-file", "guard-file", "bundle", "bundle-key", "bundle-token-file",
		"intake-identities", "intake-cert", "intake-key", "intake-client-ca",
	} {
		must(c.MarkFlagFilename(file))
	}
	must(c.MarkFlagDirname("playbooks"))
	must(c.MarkFlagDirname("guard-policy"))
	complete(c, "log-level", []string{"debug", "info", "warn", "error"})
}

// options are the responder's, with what files and the level of the log add to them.
func (f *responderFlags) options(log io.Writer) (o responder.Options, err error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.level)); err != nil {
		return o, fmt.Errorf("--log-level: unknown level %q: use debug, info, warn or error", f.level)
	}
	o = f.Options
	o.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level}))
	if o.DatabaseURL, err = connection("database", f.DatabaseURL, f.databaseFile); err != nil {
		return o, err
	}
	o.MigrateURL, err = connection("migrate-url", f.MigrateURL, f.migrateFile)
	return o, err
}

// connection takes a connection string from its flag or file. A password in a flag
// would stand in every process list.
func connection(name, flag, file string) (string, error) {
	if file != "" {
		b, err := readSmall(file)
		if err != nil {
			return "", fmt.Errorf("--%s-file: %w", name, err)
		}
		return strings.TrimSpace(string(b)), nil
	}
	u, err := url.Parse(flag)
	if err != nil { // a key=value string can be one too
		u = &url.URL{}
	}
	_, inURL := u.User.Password()
	if inURL || u.Query().Has("password") || strings.Contains(flag, "password=") {
		return "", fmt.Errorf("--%s: a password in a flag is for everybody to see: use --%[1]s-file, or PGPASSFILE", name)
	}
	return flag, nil
}
