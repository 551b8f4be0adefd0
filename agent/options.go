package agent

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"riposte/agent/alert"
	"riposte/agent/config"
	"riposte/agent/event"
	"riposte/agent/publish"
)

// InCluster as Options.Kubeconfig stands for the service account of the agent's pod.
const InCluster = "in-cluster"

// EmbeddedRules as the first of Options.RuleFiles stands for the built-in rules.
const EmbeddedRules = "embedded"

// EmbeddedRecording as Options.Recording stands for the recording in the binary.
const EmbeddedRecording = "embedded"

// Options say what an Agent watches and whom it tells. The zero value of every
// field but Cluster and Node has a meaning.
type Options struct {
	// Cluster and Node name this machine in alerts and on the bus. Default:
	// "default" and the host's name.
	Cluster, Node string
	// Hostname stands in alerts as Falco's hostname. Default: $FALCO_HOSTNAME, else the host's name.
	Hostname string
	// Version is the program's, for the heartbeat.
	Version string

	// NATS is the bus's address. Empty: alerts are only printed, and no order is taken.
	NATS string
	// NATSKeyFile holds this node's nkey seed, NATSTokenFile a token that a cluster vouches
	// for. One of them is needed with NATS.
	NATSKeyFile, NATSTokenFile string
	// OrderKeyFile holds the responder's public Ed25519 key. Empty: no order is taken.
	OrderKeyFile string
	// DataDir keeps the spool of unacknowledged alerts and the ledger of orders.
	// Default: /var/lib/riposte/agent.
	DataDir string
	// SpoolBytes bounds the spool. Default: 256 MiB.
	SpoolBytes int64

	// RuleFiles are files, and folders of them, loaded in this order. Default: the
	// rules in the binary.
	RuleFiles []string
	// RuleFilesOptional leaves out a file that does not exist, with a warning, as
	// Falco does for those of its configuration. A file that was loaded once and is
	// gone at a reload is an error all the same.
	RuleFilesOptional bool
	// WatchFiles looks for changed rule files, and with Reconfigure for changed
	// ConfigPaths; see also Agent.Reload.
	WatchFiles bool
	// Reconfigure reads the options again. What can change while events come does;
	// see docs/agent-configuration.md. Nil: the options stay.
	Reconfigure func() (Options, error)
	// ConfigPaths are the files and folders that Reconfigure reads.
	ConfigPaths []string
	// Selection, Priority, Matching and Append are what the configuration says about
	// rules. Nil and empty: all rules, the first match, the suggested output.
	Selection []config.Selection
	Priority  *alert.Priority
	Matching  config.RuleMatching
	Append    []config.Append
	// Static are the values of the fields "static.NAME", by NAME.
	Static map[string]string
	// Muted are types of events that no rule sees. Those that change the process
	// table still do so.
	Muted []event.Type
	// Kubeconfig names a cluster of which the pods' names and labels are taken.
	// InCluster uses the service account. Empty: pods are known by UID only.
	Kubeconfig string
	// Containers says how containers get their names and images. Nil: from the sockets
	// where runtimes usually listen, and an event waits 500 ms for them. A recording's
	// containers are not asked for.
	Containers *Containers
	// Own says whether the rules see what the agent does itself, and what it starts.
	Own Own
	// RingBytes is the size of the buffer for the kernel's events, a power of two.
	// Default: 8 MiB.
	RingBytes int
	// MaxProcesses bounds the process table. Default: 262144.
	MaxProcesses int
	// Recording replaces the kernel's events by a recorded file's, or by the
	// EmbeddedRecording. Alerts are marked, and every order is refused.
	Recording string
	// Linger keeps an agent whose recording has ended on the bus until Run's context ends.
	Linger bool
	// CgroupRoot is where the cgroup v2 tree is mounted. Default: it is looked for.
	CgroupRoot string

	// Output takes the alerts, one a line. Nil: they are not printed.
	Output io.Writer
	// Encoding is how the outputs but the bus write an alert. Default: text.
	Encoding publish.Encoding
	// File, HTTP, Syslog and Program are Falco's further outputs, each off if nil.
	File    *publish.FileOptions
	HTTP    *publish.HTTPOptions
	Syslog  *publish.SyslogOptions
	Program *publish.ProgramOptions
	// QueueLines bounds what waits for each of the outputs. Default: 1024 alerts.
	QueueLines int
	// OutputTimeout bounds one delivery. Default: 2 s.
	OutputTimeout time.Duration

	// Drops is what happens when many of the kernel's events are lost; nil: nothing
	// but counting.
	Drops *DropPolicy
	// Snapshots tells the agent's figures at intervals; nil: it does not.
	Snapshots *Snapshots
	// Web is the listener for health checks and metrics; nil: there is none.
	Web *Web
	// ConfigFiles are what the options came from, for the metrics.
	ConfigFiles []config.File

	// Log takes what the agent says about itself. Default: nothing is logged.
	Log *slog.Logger
	// LogLevel is what Log should tell; SetLogLevel changes it when LogLevel has
	// changed. Nil: it stays.
	LogLevel    slog.Level
	SetLogLevel func(slog.Level)

	// watchEvery is how often files are looked at; tests look more often.
	watchEvery time.Duration
}

// watchEvery is how often files are looked at. Looking costs a system call a file
// and sees every kind of change: a rename, the links of a mounted ConfigMap, a
// network file system.
const watchEvery = time.Second

// Web is a listener for health checks and metrics.
type Web struct {
	// Address and Port are where it listens. Default: 127.0.0.1, and a free port for 0.
	Address string
	Port    int
	// HealthzPath is where health is asked for. Default: /healthz.
	HealthzPath string
	// Metrics serves /metrics.
	Metrics bool
	// Certificate is a PEM file with a certificate and its key. Empty: plain HTTP.
	Certificate string
}

// heartbeatEvery is how often the agent says that it lives.
const heartbeatEvery = 10 * time.Second

// awaitTime bounds the wait for names and metadata at the start.
const awaitTime = 3 * time.Second

// Containers says how the containers' runtimes are asked.
type Containers struct {
	// CRI and Docker are sockets by the API that they speak, or patterns of them. Nil:
	// where they usually are; empty: none.
	CRI, Docker []string
	// Wait bounds how long an event waits for its container's metadata; 0: it does not.
	Wait time.Duration
}

// maxRing is the largest ring buffer: it is locked memory.
const maxRing = 1 << 30

// maxWait is the longest wait: what waits is held in memory.
const maxWait = 10 * time.Second

// defaultWait is how long an event waits for metadata unless told otherwise.
const defaultWait = 500 * time.Millisecond

// maxName bounds cluster and node: Kubernetes allows 253 bytes.
const maxName = 253

// Complete fills in the defaults.
func (o *Options) Complete() error {
	host, err := os.Hostname()
	if err != nil && (o.Node == "" || o.Hostname == "") {
		return fmt.Errorf("find this host's name: %w", err)
	}
	o.Cluster = cmp.Or(o.Cluster, "default")
	o.Node = cmp.Or(o.Node, host)
	o.Hostname = cmp.Or(o.Hostname, os.Getenv("FALCO_HOSTNAME"), host)
	o.DataDir = cmp.Or(o.DataDir, "/var/lib/riposte/agent")
	o.Encoding.Format = cmp.Or(o.Encoding.Format, publish.Text)
	o.OutputTimeout = cmp.Or(o.OutputTimeout, 2*time.Second)
	if o.Containers == nil {
		o.Containers = &Containers{Wait: defaultWait}
	}
	o.watchEvery = cmp.Or(o.watchEvery, watchEvery)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if _, ok := o.Output.(*shared); o.Output != nil && !ok {
		o.Output = &shared{to: o.Output}
	}
	return nil
}

// shared is a writer for two outputs: one that is no longer wanted, and the one
// that takes its place.
type shared struct {
	mu sync.Mutex
	to io.Writer
}

func (s *shared) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.to.Write(b)
}

// Check says what an agent with these options, when they are complete, cannot do.
func (o *Options) Check() error {
	var errs []error
	if len(o.Cluster) > maxName || len(o.Node) > maxName {
		errs = append(errs, fmt.Errorf("the name of the cluster or node is longer than %d bytes", maxName))
	}
	if _, err := publish.ParseFormat(string(o.Encoding.Format)); err != nil {
		errs = append(errs, err)
	}
	if o.NATS != "" && (o.NATSKeyFile == "") == (o.NATSTokenFile == "") {
		errs = append(errs, errors.New("a NATS address needs this node's key: give the file with its nkey seed, or else with a token"))
	}
	if o.NATS == "" && o.OrderKeyFile != "" {
		errs = append(errs, errors.New("orders come over NATS: give its address, or leave out the order key"))
	}
	if o.NATS == "" && o.Output == nil && o.File == nil && o.HTTP == nil && o.Syslog == nil && o.Program == nil {
		errs = append(errs, errors.New("alerts would go nowhere: give a NATS address or an output"))
	}
	if o.Containers.Wait < 0 || o.Containers.Wait > maxWait {
		errs = append(errs, fmt.Errorf("events can wait for their container's metadata from 0 to %s, not %s", maxWait, o.Containers.Wait))
	}
	if o.RingBytes < 0 || o.RingBytes > maxRing || o.RingBytes&(o.RingBytes-1) != 0 {
		errs = append(errs, fmt.Errorf("the buffer for the kernel's events must be a power of two of at most %d bytes, not %d", maxRing, o.RingBytes))
	}
	if o.MaxProcesses < 0 {
		errs = append(errs, errors.New("the process table cannot have a negative size"))
	}
	return errors.Join(errs...)
}
