// Package config reads the agent's configuration: Falco's keys where the meaning
// is the same, and Riposte's own under "riposte".
//
//	file, its config_files ─→ environment and flags ─→ -o overrides ─→ Config
//	    lowest                                             highest
//
// Everything that is wrong is reported at once, each with its place. A key of
// Falco's that means nothing here is a warning; a key that nobody knows is an
// error, because a misspelt key would otherwise be a setting that silently does
// not hold.
package config

import (
	"errors"
	"log/slog"
	"time"

	"riposte/agent/alert"
)

// Config is the whole configuration, checked. Default gives what holds without a file.
type Config struct {
	// Warnings are what is odd about the configuration, but no error.
	Warnings []*Error `key:"-"`
	// Files are the files that were read, in their order.
	Files []File `key:"-"`
	// at is where each key that was given stands.
	at map[string]place `key:"-"`

	// ConfigFiles are further files, read after this one.
	ConfigFiles []Include `key:"config_files"`
	// WatchConfigFiles says that changed rule files are picked up.
	WatchConfigFiles bool `key:"watch_config_files"`

	// RulesFiles are files and folders in the order in which they are loaded. Empty:
	// the rules in the binary, for which "embedded" stands if it is the first.
	RulesFiles   []string     `key:"rules_files"`
	Rules        []Selection  `key:"rules"`
	Priority     Priority     `key:"priority"`
	RuleMatching RuleMatching `key:"rule_matching"`
	AppendOutput []Append     `key:"append_output"`
	// StaticFields are the values of the fields "static.NAME", by NAME.
	StaticFields StaticFields `key:"static_fields"`

	JSONOutput              bool `key:"json_output"`
	JSONIncludeOutput       bool `key:"json_include_output_property"`
	JSONIncludeMessage      bool `key:"json_include_message_property"`
	JSONIncludeOutputFields bool `key:"json_include_output_fields_property"`
	JSONIncludeTags         bool `key:"json_include_tags_property"`
	JSONIncludeRiposte      bool `key:"json_include_riposte"`
	// TimeISO writes the time of a text line as ISO 8601 in UTC.
	TimeISO bool `key:"time_format_iso_8601"`

	Queue Queue `key:"outputs_queue"`
	// OutputTimeout bounds one delivery of one alert.
	OutputTimeout Milliseconds `key:"output_timeout"`
	Stdout        Switch       `key:"stdout_output"`
	Syslog        Switch       `key:"syslog_output"`
	FileOutput    FileOutput   `key:"file_output"`
	HTTP          HTTPOutput   `key:"http_output"`
	Program       Program      `key:"program_output"`

	Webserver    Webserver    `key:"webserver"`
	Metrics      Metrics      `key:"metrics"`
	Engine       Engine       `key:"engine"`
	LogLevel     Level        `key:"log_level"`
	BaseSyscalls BaseSyscalls `key:"base_syscalls"`
	Drops        Drops        `key:"syscall_event_drops"`

	Riposte Riposte `key:"riposte"`
}

// File is one file that was read.
type File struct {
	Name    string
	Content []byte
}

// Selection switches rules on or off, in the order in which selections stand.
// Either or both of Rule and Tag are set.
type Selection struct {
	Enable bool
	// Rule is a rule's name, in which * stands for any text.
	Rule string
	Tag  string
}

// RuleMatching says whether the first matching rule alone fires, or all.
type RuleMatching string

// Kinds of RuleMatching.
const (
	MatchFirst RuleMatching = "first"
	MatchAll   RuleMatching = "all"
)

// Priority is the least severe priority whose rules are loaded.
type Priority alert.Priority

// Append adds to the output of the rules that it matches.
type Append struct {
	Match struct {
		Rule   string   `key:"rule"`
		Source string   `key:"source"`
		Tags   []string `key:"tags"`
	} `key:"match"`
	// Output is text in the output's format, added after a blank.
	Output string  `key:"extra_output"`
	Fields []Extra `key:"extra_fields"`
	// Suggested adds the container's and the pod's fields.
	Suggested bool `key:"suggested_output"`
}

// Extra is one more output field: the field Name itself if it is Raw, else a text
// in the output's format under that name.
type Extra struct {
	Name, Format string
	Raw          bool
}

// StaticFields are fields whose values the configuration gives.
type StaticFields map[string]string

// Queue bounds what waits for each output.
type Queue struct {
	// Capacity is a number of alerts; 0 is the bound that Riposte chooses.
	Capacity int `key:"capacity"`
}

// Milliseconds is a duration that is written as a number of them.
type Milliseconds time.Duration

// Switch is an output without settings.
type Switch struct {
	Enabled bool `key:"enabled"`
}

// FileOutput writes alerts to a file, one a line.
type FileOutput struct {
	Enabled bool `key:"enabled"`
	// KeepAlive keeps the file open between alerts.
	KeepAlive bool   `key:"keep_alive"`
	Filename  string `key:"filename"`
}

// HTTPOutput posts each alert to a server.
type HTTPOutput struct {
	Enabled         bool   `key:"enabled"`
	URL             string `key:"url"`
	UserAgent       string `key:"user_agent"`
	Insecure        bool   `key:"insecure"`
	CACert          string `key:"ca_cert"`
	CABundle        string `key:"ca_bundle"`
	CAPath          string `key:"ca_path"`
	MTLS            bool   `key:"mtls"`
	ClientCert      string `key:"client_cert"`
	ClientKey       string `key:"client_key"`
	Echo            bool   `key:"echo"`
	CompressUploads bool   `key:"compress_uploads"`
	KeepAlive       bool   `key:"keep_alive"`
	// MaxTimeouts is how often one alert is sent again after a timeout.
	MaxTimeouts int `key:"max_consecutive_timeouts"`
}

// Program writes alerts to a program's standard input, one a line.
type Program struct {
	Enabled   bool   `key:"enabled"`
	KeepAlive bool   `key:"keep_alive"`
	Program   string `key:"program"`
}

// Webserver answers health checks and serves metrics.
type Webserver struct {
	Enabled        bool   `key:"enabled"`
	Port           int    `key:"listen_port"`
	Address        string `key:"listen_address"`
	Healthz        string `key:"k8s_healthz_endpoint"`
	Metrics        bool   `key:"prometheus_metrics_enabled"`
	SSLEnabled     bool   `key:"ssl_enabled"`
	SSLCertificate string `key:"ssl_certificate"`
}

// Metrics says how often the agent's figures are told as an alert, or written to a file.
type Metrics struct {
	Enabled bool `key:"enabled"`
	// Interval is 100 ms at least.
	Interval Interval `key:"interval"`
	// OutputRule makes an alert of the rule "Falco internal: metrics snapshot".
	OutputRule bool `key:"output_rule"`
	// OutputFile takes one JSON object a line; none if empty.
	OutputFile string `key:"output_file"`
	// These choose what is told.
	Rules     bool `key:"rules_counters_enabled"`
	Resources bool `key:"resource_utilization_enabled"`
	State     bool `key:"state_counters_enabled"`
	Kernel    bool `key:"kernel_event_counters_enabled"`
	PerCPU    bool `key:"kernel_event_counters_per_cpu_enabled"`
	Libbpf    bool `key:"libbpf_stats_enabled"`
	Plugins   bool `key:"plugins_metrics_enabled"`
	Jemalloc  bool `key:"jemalloc_stats_enabled"`
	// Megabytes divides sizes of memory, which are in bytes or KiB without.
	Megabytes bool `key:"convert_memory_to_mb"`
	// Empty tells what is zero, too.
	Empty bool `key:"include_empty_values"`
}

// Interval is a duration as Prometheus writes it, such as 1h30m or 100ms.
type Interval time.Duration

// Engine says where events come from.
type Engine struct {
	Kind   EngineKind `key:"kind"`
	Replay struct {
		// File is the capture file of EngineReplay.
		File string `key:"capture_file"`
	} `key:"replay"`
}

// EngineKind is one of Falco's engines.
type EngineKind string

// Kinds of engines that mean something here: eBPF programs, and a capture file.
const (
	EngineEBPF   EngineKind = "modern_ebpf"
	EngineReplay EngineKind = "replay"
)

// Level is how much the agent says about itself.
type Level slog.Level

// BaseSyscalls changes which system calls are looked at.
type BaseSyscalls struct {
	// CustomSet has names of system calls; those after "!" are not shown to the rules.
	CustomSet []string `key:"custom_set"`
	Repair    bool     `key:"repair"`
	All       bool     `key:"all"`
}

// Drops says what happens when the kernel's events are lost.
type Drops struct {
	// Threshold is the share of lost events in a second, from 0 to 1, over which it counts.
	Threshold float64 `key:"threshold"`
	// Actions are of: ignore, log, alert, exit.
	Actions []string `key:"actions"`
	// Rate and MaxBurst bound the actions: so many a second, after a burst of so many.
	Rate     float64 `key:"rate"`
	MaxBurst int     `key:"max_burst"`
	Simulate bool    `key:"simulate_drops"`
}

// Riposte is what Falco has no keys for.
type Riposte struct {
	Cluster    string `key:"cluster"`
	Node       string `key:"node"`
	NATS       string `key:"nats"`
	NATSKey    string `key:"nats_key"`
	NATSToken  string `key:"nats_token"`
	OrderKey   string `key:"order_key"`
	Data       string `key:"data"`
	SpoolBytes int64  `key:"spool_bytes"`
	Kubeconfig string `key:"kubeconfig"`
	Recording  string `key:"recording"`
	CgroupRoot string `key:"cgroup_root"`
	// MaxProcesses bounds the process table, RingBytes the buffer for the kernel's
	// events; 0 is the bound that Riposte chooses.
	MaxProcesses int `key:"max_processes"`
	RingBytes    int `key:"ring_bytes"`
	// ReportOwn shows the rules what the agent does itself, and what it starts.
	ReportOwn  bool       `key:"report_own"`
	Containers Containers `key:"containers"`
	Syslog     Syslog     `key:"syslog"`
}

// Containers says how containers get their names and images.
type Containers struct {
	// CRI and Docker are the runtimes' sockets by the API that they speak; * stands for
	// any text. Nil: where they usually are; empty: none.
	CRI    []string `key:"cri"`
	Docker []string `key:"docker"`
	// Wait is how long an event waits for its container's metadata at most; 0: not at
	// all. An answer ends the wait, so the bound is for a runtime that is slow itself.
	Wait Milliseconds `key:"wait"`
}

// Syslog says how syslog_output speaks.
type Syslog struct {
	// Format is "rfc3164", which every local daemon reads, or "rfc5424".
	Format string `key:"format"`
	// Socket is the daemon's, /dev/log by default.
	Socket string `key:"socket"`
}

// Default is the configuration without any file.
func Default() Config {
	return Config{
		WatchConfigFiles: true, Priority: Priority(alert.Debug), RuleMatching: MatchFirst, AppendOutput: []Append{{Suggested: true}},
		JSONIncludeOutput: true, JSONIncludeOutputFields: true, JSONIncludeTags: true,
		OutputTimeout: Milliseconds(2 * time.Second), Stdout: Switch{Enabled: true},
		HTTP:      HTTPOutput{UserAgent: "falcosecurity/falco", MaxTimeouts: 5},
		Webserver: Webserver{Port: 8765, Address: "127.0.0.1", Healthz: "/healthz"},
		Metrics: Metrics{
			Interval: Interval(time.Hour), OutputRule: true, Rules: true, Resources: true, State: true, Kernel: true, Plugins: true, Megabytes: true,
		},
		Engine: Engine{Kind: EngineEBPF},
		Drops:  Drops{Threshold: 0.1, Actions: []string{"log", "alert"}, Rate: 1.0 / 30, MaxBurst: 1},
		Riposte: Riposte{
			Containers: Containers{Wait: Milliseconds(500 * time.Millisecond)}, Syslog: Syslog{Format: "rfc3164", Socket: "/dev/log"},
		},
	}
}

// Options say where the configuration comes from.
type Options struct {
	// File is the first file, none if empty.
	File string
	// Settings come from the environment and flags; a later one wins.
	Settings []Setting
	// Overrides are Falco's -o arguments, in their order.
	Overrides []string
	// Lookup finds what stands for ${NAME}; os.LookupEnv.
	Lookup func(string) (string, bool)
}

// Setting sets one key from outside the file.
type Setting struct {
	// From names where it was given, for errors: "--nats" or "RIPOSTE_NATS".
	From string
	// Key is the key's path, such as "riposte.nats".
	Key string
	// Values has one value, or the items of a list.
	Values []string
	List   bool
}

// Load reads and checks everything. The error joins an *Error for all that is wrong.
func Load(opt Options) (*Config, error) {
	l := &loader{lookup: opt.Lookup}
	root := l.files(opt.File, opt.Overrides)
	for _, s := range opt.Settings {
		root.assign(s.path(), s.value())
	}
	for _, o := range opt.Overrides {
		if !isInclude(o) {
			l.override(root, o)
		}
	}
	c := Default()
	if len(l.errs) == 0 {
		d := decoder{loader: l, at: map[string]place{}}
		d.config(root, &c)
		c.at = d.at
	}
	if err := errors.Join(l.errs...); err != nil {
		return nil, err
	}
	c.Warnings, c.Files = l.warnings, l.read
	return &c, nil
}

// Warn adds a warning about a key, at its place.
func (c *Config) Warn(path, msg string) {
	c.Warnings = append(c.Warnings, where(c.at, path).error(path+" "+msg))
}

// Paths are all files and folders that were looked at, existing or not.
func (c *Config) Paths() []string {
	var paths []string
	for _, f := range c.Files {
		paths = append(paths, f.Name)
	}
	for _, i := range c.ConfigFiles {
		paths = append(paths, i.Path)
	}
	return paths
}
