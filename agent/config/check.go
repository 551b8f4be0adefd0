package config

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"riposte/agent/rules"
)

const (
	// maxCapacity bounds what may wait for one output.
	maxCapacity = 1_000_000
	maxTimeouts = 100
	maxBurst    = 1000
	// maxProcesses is what a kernel can have at once.
	maxProcesses = 1 << 22
	// maxWait is in milliseconds: what waits is held in memory.
	maxWait = 10_000
)

// check says what cannot work, whatever it would be used for.
func (d *decoder) check(c *Config) {
	for _, r := range []struct {
		path     string
		n        int64
		from, to int64
	}{
		{"outputs_queue.capacity", int64(c.Queue.Capacity), 0, maxCapacity},
		{"webserver.listen_port", int64(c.Webserver.Port), 0, 65535},
		{"http_output.max_consecutive_timeouts", int64(c.HTTP.MaxTimeouts), 0, maxTimeouts},
		{"syscall_event_drops.max_burst", int64(c.Drops.MaxBurst), 1, maxBurst},
		{"riposte.spool_bytes", c.Riposte.SpoolBytes, 0, 1 << 50},
		{"riposte.max_processes", int64(c.Riposte.MaxProcesses), 0, maxProcesses},
		{"riposte.containers.wait", time.Duration(c.Riposte.Containers.Wait).Milliseconds(), 0, maxWait},
	} {
		if r.n < r.from || r.n > r.to {
			d.fail(d.where(r.path), "%s must be from %d to %d, not %d", r.path, r.from, r.to, r.n)
		}
	}
	d.checkDrops(&c.Drops)
	d.checkOutputs(c)
	d.checkWebserver(&c.Webserver)
	d.checkAppend(c)
	d.checkMetrics(&c.Metrics)
	for i, name := range c.BaseSyscalls.CustomSet {
		if name = strings.TrimPrefix(name, "!"); name == "" {
			d.fail(d.where(fmt.Sprintf("base_syscalls.custom_set[%d]", i)), "base_syscalls.custom_set needs the name of a system call, or ! and a name")
		}
	}
	if f := c.Riposte.Syslog.Format; f != "rfc3164" && f != "rfc5424" {
		d.fail(d.where("riposte.syslog.format"), "riposte.syslog.format cannot be %q: use rfc3164 or rfc5424", f)
	}
}

// where finds a key that was given, or the nearest mapping around it.
func (d *decoder) where(path string) place { return where(d.at, path) }

func where(at map[string]place, path string) place {
	for {
		if p, ok := at[path]; ok {
			return p
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return place{src: &source{name: "configuration", whole: true}}
		}
		path = path[:i]
	}
}

func (d *decoder) checkDrops(c *Drops) {
	known := []string{"ignore", "log", "alert", "exit"}
	for i, a := range c.Actions {
		path := fmt.Sprintf("syscall_event_drops.actions[%d]", i)
		if !slices.Contains(known, a) {
			d.fail(d.where(path), "%s cannot be %q: use some of %s", path, a, strings.Join(known, ", "))
		}
	}
	if slices.Contains(c.Actions, "ignore") && len(c.Actions) > 1 {
		d.fail(d.where("syscall_event_drops.actions"), `syscall_event_drops.actions: "ignore" stands alone`)
	}
	if c.Threshold < 0 || c.Threshold > 1 {
		d.fail(d.where("syscall_event_drops.threshold"), "syscall_event_drops.threshold is a share from 0 to 1, not %g", c.Threshold)
	}
	if c.Rate < 0 || c.Rate > 1000 {
		d.fail(d.where("syscall_event_drops.rate"), "syscall_event_drops.rate must be from 0 to 1000 a second, not %g", c.Rate)
	}
	if c.Simulate {
		d.warn(d.where("syscall_event_drops.simulate_drops"), "syscall_event_drops.simulate_drops does nothing here: losses are never made up")
		c.Simulate = false
	}
}

func (d *decoder) checkOutputs(c *Config) {
	need := func(path, have, what string) {
		if have == "" {
			d.fail(d.where(path), "%s is missing: give %s, or switch the output off", path, what)
		}
	}
	if c.FileOutput.Enabled {
		need("file_output.filename", c.FileOutput.Filename, "the file to write to")
	}
	if c.Program.Enabled {
		need("program_output.program", strings.TrimSpace(c.Program.Program), "the command to run")
	}
	if !c.HTTP.Enabled {
		return
	}
	need("http_output.url", c.HTTP.URL, "the address to post to")
	// Falco takes an address in quotes too.
	if n := len(c.HTTP.URL); n > 1 && (c.HTTP.URL[0] == '"' || c.HTTP.URL[0] == '\'') && c.HTTP.URL[n-1] == c.HTTP.URL[0] {
		c.HTTP.URL = c.HTTP.URL[1 : n-1]
	}
	if u, err := url.Parse(c.HTTP.URL); c.HTTP.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		// What stood for ${NAME} may be a password: it is not repeated.
		d.fail(d.where("http_output.url"), "http_output.url is no address: write http://host/path or https://host/path")
	}
	if c.HTTP.MTLS {
		need("http_output.client_cert", c.HTTP.ClientCert, "the file with the client's certificate")
		need("http_output.client_key", c.HTTP.ClientKey, "the file with the client's key")
	}
	if c.HTTP.Insecure {
		d.warn(d.where("http_output.insecure"), "http_output.insecure: whoever is on the way can read and drop the alerts")
	}
}

func (d *decoder) checkAppend(c *Config) {
	for i, a := range c.AppendOutput {
		path := fmt.Sprintf("append_output[%d].", i)
		if err := rules.CheckOutput(a.Output, c.StaticFields); err != nil {
			d.fail(d.where(path+"extra_output"), "%sextra_output: %v", path, err)
		}
		for j, x := range a.Fields {
			path := fmt.Sprintf("%sextra_fields[%d]", path, j)
			check, text := rules.CheckOutput, x.Format
			if x.Raw {
				check, text = rules.CheckField, x.Name
			}
			if err := check(text, c.StaticFields); err != nil {
				d.fail(d.where(path), "%s: %v", path, err)
			}
		}
	}
}

func (d *decoder) checkMetrics(c *Metrics) {
	if !c.Enabled {
		return
	}
	for _, key := range []struct {
		path  string
		asked bool
	}{
		{"metrics.kernel_event_counters_per_cpu_enabled", c.PerCPU}, {"metrics.libbpf_stats_enabled", c.Libbpf}, {"metrics.jemalloc_stats_enabled", c.Jemalloc},
	} {
		if key.asked {
			d.warn(d.where(key.path), "%s does nothing here: this is not counted", key.path)
		}
	}
}

func (d *decoder) checkWebserver(c *Webserver) {
	if !strings.HasPrefix(c.Healthz, "/") {
		d.fail(d.where("webserver.k8s_healthz_endpoint"), "webserver.k8s_healthz_endpoint is a path that begins with /, not %q", c.Healthz)
	}
	if c.Healthz == "/metrics" {
		d.fail(d.where("webserver.k8s_healthz_endpoint"), "webserver.k8s_healthz_endpoint cannot be /metrics: the metrics stand there")
	}
	if c.Enabled && c.SSLEnabled {
		if _, err := os.Stat(c.SSLCertificate); err != nil {
			d.fail(d.where("webserver.ssl_certificate"), "webserver.ssl_certificate: %v: give a file with a certificate and its key", err)
		}
	}
}
