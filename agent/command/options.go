package command

import (
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"riposte/agent"
	"riposte/agent/alert"
	"riposte/agent/config"
	"riposte/agent/event"
	"riposte/agent/publish"
)

// options are what the agent does with a configuration.
func options(c *config.Config, out io.Writer, log *slog.Logger) agent.Options {
	r, priority := &c.Riposte, alert.Priority(c.Priority)
	o := agent.Options{
		Cluster: r.Cluster, Node: r.Node, NATS: r.NATS, NATSKeyFile: r.NATSKey, NATSTokenFile: r.NATSToken, OrderKeyFile: r.OrderKey, DataDir: r.Data, SpoolBytes: r.SpoolBytes,
		Kubeconfig: r.Kubeconfig, Recording: r.Recording, CgroupRoot: r.CgroupRoot, MaxProcesses: r.MaxProcesses, RingBytes: r.RingBytes, Own: agent.OwnHidden,
		Containers: &agent.Containers{CRI: r.Containers.CRI, Docker: r.Containers.Docker, Wait: time.Duration(r.Containers.Wait)},
		RuleFiles:  c.RulesFiles, WatchFiles: c.WatchConfigFiles, ConfigFiles: c.Files, ConfigPaths: c.Paths(),
		Selection: c.Rules, Priority: &priority, Matching: c.RuleMatching, Append: c.AppendOutput, Static: c.StaticFields,
		Encoding: encoding(c), QueueLines: c.Queue.Capacity, OutputTimeout: time.Duration(c.OutputTimeout), Drops: drops(&c.Drops),
		Log: log, LogLevel: slog.Level(c.LogLevel),
	}
	if r.ReportOwn {
		o.Own = agent.OwnReported
	}
	o.Muted = muted(&c.BaseSyscalls)
	if c.Stdout.Enabled {
		o.Output = out
	}
	if f := &c.FileOutput; f.Enabled {
		o.File = &publish.FileOptions{Name: f.Filename, KeepAlive: f.KeepAlive}
	}
	if h := &c.HTTP; h.Enabled {
		o.HTTP = &publish.HTTPOptions{
			URL: h.URL, UserAgent: h.UserAgent, Insecure: h.Insecure, CACert: h.CACert, CABundle: h.CABundle, CAPath: h.CAPath,
			Echo: h.Echo, Compress: h.CompressUploads, KeepAlive: h.KeepAlive, MaxTimeouts: h.MaxTimeouts,
		}
		// Falco's own file names a certificate even where mtls is off.
		if h.MTLS {
			o.HTTP.ClientCert, o.HTTP.ClientKey = h.ClientCert, h.ClientKey
		}
	}
	if c.Syslog.Enabled {
		o.Syslog = &publish.SyslogOptions{Socket: r.Syslog.Socket, Format: publish.SyslogFormat(r.Syslog.Format)}
	}
	if p := &c.Program; p.Enabled {
		o.Program = &publish.ProgramOptions{Command: p.Program, KeepAlive: p.KeepAlive}
	}
	if m := &c.Metrics; m.Enabled && (m.OutputRule || m.OutputFile != "") {
		o.Snapshots = &agent.Snapshots{
			Interval: time.Duration(m.Interval), Alert: m.OutputRule, File: m.OutputFile, Rules: m.Rules, Resources: m.Resources, Kernel: m.Kernel,
			Megabytes: m.Megabytes, Empty: m.Empty,
		}
	}
	if w := &c.Webserver; w.Enabled {
		o.Web = &agent.Web{Address: w.Address, Port: w.Port, HealthzPath: w.Healthz, Metrics: w.Metrics}
		if w.SSLEnabled {
			o.Web.Certificate = w.SSLCertificate
		}
	}
	return o
}

func encoding(c *config.Config) publish.Encoding {
	e := publish.Encoding{
		Format: publish.Text, TimeISO: c.TimeISO, Message: c.JSONIncludeMessage, OmitOutput: !c.JSONIncludeOutput,
		OmitFields: !c.JSONIncludeOutputFields, OmitTags: !c.JSONIncludeTags, Riposte: c.JSONIncludeRiposte,
	}
	if c.JSONOutput {
		e.Format = publish.JSON
	}
	return e
}

func drops(c *config.Drops) *agent.DropPolicy {
	has := func(action string) bool { return slices.Contains(c.Actions, action) }
	if len(c.Actions) == 0 || has("ignore") {
		return nil
	}
	return &agent.DropPolicy{Threshold: c.Threshold, Log: has("log"), Alert: has("alert"), Exit: has("exit"), Rate: c.Rate, Burst: c.MaxBurst}
}

// muted are the types of events that custom_set takes away. Those that it adds
// are captured anyway, or not at all: the set of them is fixed.
func muted(c *config.BaseSyscalls) []event.Type {
	var all []event.Type
	for _, name := range c.CustomSet {
		if name, ok := strings.CutPrefix(name, "!"); ok {
			if t, known := event.TypeOf(name); known {
				all = append(all, t)
			}
		}
	}
	return all
}
