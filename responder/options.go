// Package responder is the half of Riposte that decides and acts: it takes
// alerts from the bus, asks the playbooks and the guard, carries out what is
// decided, keeps the record, and serves the API.
package responder

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"riposte/responder/incident"
)

// Options says what a responder works with. Secrets are named as files, so that
// no process list and no shell history shows them.
type Options struct {
	// Cluster is the name of the cluster that Kubeconfig opens, and of the record's
	// chain of what this responder itself does. Default: "local".
	Cluster string
	// Instance names this process in leases. It must be the same after a restart and
	// another one in each replica. Default: the host's name.
	Instance string
	// Version is what the status says. Default: "dev".
	Version string

	// DatabaseURL is Postgres's connection string, such as
	// "postgres://riposte@db/riposte?sslmode=verify-full". Needed.
	DatabaseURL string
	// MigrateURL is that of the database's owner, who migrates at the start and gives the
	// role of DatabaseURL its rights. Default: the role of DatabaseURL migrates if it may
	// make tables; otherwise the schema must be this version's.
	MigrateURL string
	// NATS is the bus's address, several parted by commas. Default: nats://127.0.0.1:4222.
	NATS string
	// NATSKeyFile holds the responder's nkey seed. Needed.
	NATSKeyFile string
	// NodeAuthKeyFile holds the seed of the account key (SA…) in whose name agents are let
	// in to NATS by their pod's token, see docs/nats.md. Default: only those with a key.
	NodeAuthKeyFile string
	// NodeAuthAccount is the service account of the agents, namespace/name. Needed with
	// NodeAuthKeyFile, as is Kubeconfig.
	NodeAuthAccount string
	// OrderKeyFile holds the Ed25519 private key that signs orders, PEM in PKCS #8. Needed.
	OrderKeyFile string
	// CheckpointKeyFile holds the Ed25519 private key that signs checkpoints of the record,
	// PEM in PKCS #8, the same for all replicas. OldCheckpointKeyFile is the one before,
	// until it has handed over. Default: nothing is signed.
	CheckpointKeyFile, OldCheckpointKeyFile string
	// FirstCheckpointKeyFile holds the public key that the record's first checkpoints were
	// signed with, PEM, from which verification begins. Default: one of the two above.
	FirstCheckpointKeyFile string
	// CheckpointFile gets a line for each checkpoint, beside the database and the bus.
	// Default: no file.
	CheckpointFile string
	// CheckpointEvery is after how many entries a checkpoint is signed, CheckpointWithin
	// after how long if there are fewer. Default: 1000 and a minute.
	CheckpointEvery  int64
	CheckpointWithin time.Duration
	// TokenFile holds the API's token, at least 16 characters. Needed.
	TokenFile string
	// PeopleFile holds tokens of people, a line each: a name, a space, the token. Two
	// people must agree to some actions. A role and limits may follow. Default: nobody
	// beside the bearer of the token.
	PeopleFile string
	// AccessFile says who of an OpenID Connect issuer or of the cluster may do what, see
	// docs/access.md. Default: nobody.
	AccessFile string

	// Listen is the API's and the console's address. Default: 127.0.0.1:7411.
	Listen string
	// MetricsListen is the address of Prometheus's metrics and of the health checks,
	// which nobody has to sign in for, see docs/metrics.md. Default: nowhere.
	MetricsListen string
	// Kubeconfig is a file that opens the cluster that pods are deleted in, or
	// InCluster for the one that we run in. Default: no cluster.
	Kubeconfig string
	// WebhooksFile names the webhooks that actions may use, see docs/actions.md.
	// Default: none.
	WebhooksFile string
	// PlaybookDir is a folder of playbooks beside the built-in ones; changes in it
	// are taken over. Default: the built-in ones alone.
	PlaybookDir string
	// Bundle is an OPA bundle of playbooks beside them, a file or an http(s) URL. Default: none.
	Bundle string
	// BundleKeyFile holds the public key that the bundle's signature is verified with, see
	// bundle.SignedBy. Needed with Bundle, unless BundleUnsigned takes every bundle.
	BundleKeyFile  string
	BundleUnsigned bool
	// BundleTokenFile holds the bearer token for the bundle's server. Default: none.
	BundleTokenFile string
	// BundleEvery is how often the server is asked for news, a tenth sooner or later.
	// Default: 30 s.
	BundleEvery time.Duration
	// KillSwitchFile is there while the kill switch is on; those of a cluster or a
	// playbook stand beside it. Default: there is no kill switch to turn.
	KillSwitchFile string
	// GuardFile holds the guard's budgets and limits, see docs/guard.md; changes in it are
	// taken over. Default: guard.DefaultLimits.
	GuardFile string
	// GuardPolicyDir is a folder of guard rules in Rego, see docs/guard.md; changes in it
	// are taken over. Default: none.
	GuardPolicyDir string
	// ProtectedNamespaces are never acted in. Default: guard.Options' own.
	ProtectedNamespaces []string

	// IntakeListen is the address at which alerts of Falco and Falcosidekick are taken
	// over HTTP. Default: nowhere.
	IntakeListen string
	// IntakeIdentities is the YAML file that says who may send there, see
	// intake.Identity. Needed with IntakeListen.
	IntakeIdentities string
	// IntakeCert and IntakeKey make it HTTPS, IntakeClientCA verifies client certificates.
	IntakeCert, IntakeKey, IntakeClientCA string

	// IncidentWindow is how long an incident waits for its next alert before the next
	// one opens another. Default: 1 h.
	IncidentWindow time.Duration
	// SilentAfter is how long an agent may say nothing before that is an incident. Default: 1 min.
	SilentAfter time.Duration
	// Retention is how long the record is kept, AlertRetention how long alerts and
	// decisions are: by whole months, 31 and 8 days at least. The record's needs a key
	// for checkpoints. What ended of actions and incidents is kept as long as both.
	// Default: 0, for ever.
	Retention, AlertRetention time.Duration
	// StreamReplicas is on how many NATS servers the stream of alerts is kept. Default: 1.
	StreamReplicas int

	// Console is the built console. Default: none.
	Console fs.FS
	// Log takes what the parts log. Default: nobody.
	Log *slog.Logger
}

// InCluster as Options.Kubeconfig takes the service account of our own pod.
const InCluster = "in-cluster"

// How often things that nobody waits for are looked at.
const (
	watchFiles   = 2 * time.Second
	housekeeping = 10 * time.Minute
	// keepDeadLetters is how long a message that could not be processed is kept.
	keepDeadLetters = 30 * 24 * time.Hour
	// keepTokens is how long a token that ended is listed.
	keepTokens = 30 * 24 * time.Hour
)

func (o Options) withDefaults() (Options, error) {
	if o.Cluster == "" {
		o.Cluster = "local"
	}
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.NATS == "" {
		o.NATS = "nats://127.0.0.1:4222"
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:7411"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.IncidentWindow == 0 {
		o.IncidentWindow = incident.DefaultWindow
	}
	if o.SilentAfter == 0 {
		o.SilentAfter = time.Minute
	}
	if o.BundleEvery == 0 {
		o.BundleEvery = defaultBundleEvery
	}
	if o.Instance == "" {
		host, err := os.Hostname()
		if err != nil {
			return o, fmt.Errorf("name this instance: %w", err)
		}
		o.Instance = host
	}
	if o.IncidentWindow < time.Minute || o.SilentAfter < 15*time.Second {
		return o, errors.New("an incident's window is a minute at least, and an agent may say nothing for 15 s at least: it speaks every ten")
	}
	if o.Retention != 0 && o.Retention < 31*24*time.Hour || o.AlertRetention != 0 && o.AlertRetention < 8*24*time.Hour {
		return o, errors.New("the record is kept for 31 days at least, alerts for 8: the stream may still deliver what is younger")
	}
	var missing []error
	for _, need := range []struct{ name, value string }{
		{"a database URL", o.DatabaseURL},
		{"the file of the NATS key", o.NATSKeyFile},
		{"the file of the key that signs orders", o.OrderKeyFile},
		{"the file of the API's token", o.TokenFile},
	} {
		if need.value == "" {
			missing = append(missing, fmt.Errorf("the responder needs %s", need.name))
		}
	}
	if (o.IntakeListen == "") != (o.IntakeIdentities == "") {
		missing = append(missing, errors.New("the intake needs an address and a file of identities, both or none"))
	}
	if (o.NodeAuthKeyFile == "") != (o.NodeAuthAccount == "") || o.NodeAuthKeyFile != "" && o.Kubeconfig == "" {
		missing = append(missing, errors.New("to let agents in by their tokens the responder needs a key, the agents' service account and a cluster, all or none"))
	}
	if namespace, name, ok := strings.Cut(o.NodeAuthAccount, "/"); o.NodeAuthAccount != "" && (!ok || namespace == "" || name == "") {
		missing = append(missing, fmt.Errorf("the agents' service account %q is not like namespace/name", o.NodeAuthAccount))
	}
	return o, errors.Join(append(missing, o.checkBundle())...)
}
