package agent

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"riposte/agent/bus"
	"riposte/agent/capture"
	"riposte/agent/capture/replay"
	"riposte/agent/contain"
	"riposte/agent/enrich"
	"riposte/agent/enrich/pod"
	"riposte/agent/health"
	"riposte/agent/publish"
)

// open makes all parts, in the order in which they depend on each other.
func (a *Agent) open() error {
	for _, step := range []func() error{a.openRules, a.openEvents, a.openBus, a.openOutputs, a.openWeb} {
		if err := step(); err != nil {
			return err
		}
	}
	a.stamp = stamp{cluster: a.opt.Cluster, node: a.opt.Node, hostname: a.opt.Hostname, boot: uuid.NewString()}
	a.started = time.Now()
	for _, t := range a.opt.Muted {
		a.muted[t] = true
	}
	return nil
}

// openEvents attaches to the kernel first and reads the process table then: what
// happens in between waits in the ring buffer and is applied on top.
func (a *Agent) openEvents() (err error) {
	opt := enrich.Options{CgroupRoot: a.opt.CgroupRoot, Log: a.opt.Log.With("component", "enrich")}
	if a.opt.Recording != "" {
		recorded, err := openRecording(a.opt.Recording)
		if err != nil {
			return err
		}
		a.source, opt.Recording = recorded, recorded.Recording()
	} else if a.source, err = capture.Open(capture.Options{Log: a.opt.Log.With("component", "capture")}); err != nil {
		return err
	}
	if a.opt.Kubeconfig != "" {
		pods, err := openPods(a.opt)
		if err != nil {
			return err
		}
		opt.Pods = pods
		a.background, a.awaitPods = append(a.background, pods.Run), pods.WaitListed
	}
	t, err := enrich.New(opt)
	if err != nil {
		return err
	}
	a.table = t
	return t.Snapshot()
}

func openPods(opt Options) (*pod.Lookup, error) {
	file := opt.Kubeconfig
	if file == InCluster {
		file = ""
	}
	return pod.New(file, opt.Node, opt.Log.With("component", "pods"))
}

func openRecording(name string) (*replay.Source, error) {
	if name == EmbeddedRecording {
		return replay.Drill(replay.Options{})
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("open the recording: %w", err)
	}
	defer f.Close()
	s, err := replay.Open(f, replay.Options{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

func (a *Agent) openBus() (err error) {
	if a.opt.NATS == "" {
		return nil
	}
	a.bus, err = bus.Connect(bus.Options{
		URL: a.opt.NATS, SeedFile: a.opt.NATSKeyFile, Cluster: a.opt.Cluster, Node: a.opt.Node, Log: a.opt.Log.With("component", "bus"),
	})
	if err != nil {
		return err
	}
	a.outbox, err = publish.OpenOutbox(publish.OutboxOptions{
		Bus: a.bus, Dir: filepath.Join(a.opt.DataDir, "spool"), Cluster: a.opt.Cluster, Node: a.opt.Node, MaxBytes: a.opt.SpoolBytes,
		Log: a.opt.Log.With("component", "spool"),
	})
	if err != nil || a.opt.OrderKeyFile == "" {
		return err
	}
	return a.openContain()
}

func (a *Agent) openContain() error {
	key, err := contain.ReadKey(a.opt.OrderKeyFile)
	if err != nil {
		return err
	}
	root := a.opt.CgroupRoot
	if root == "" {
		if root, err = enrich.CgroupRoot(); err != nil {
			return err
		}
	}
	a.contain, err = contain.Open(contain.Options{
		Cluster: a.opt.Cluster, Node: a.opt.Node, Key: key, CgroupRoot: root, Dir: filepath.Join(a.opt.DataDir, "orders"),
		Containers: a.table, Recorded: a.opt.Recording != "", Log: a.opt.Log.With("component", "contain"),
	})
	if err != nil {
		return err
	}
	a.immediate, a.background = a.contain.Immediate, append(a.background, a.contain.Run)
	// What is refused is logged and counted where it is.
	standing := func(message []byte) { _ = a.contain.TakeStanding(message) }
	kill := func(message []byte) { _ = a.contain.TakeSwitch(message) }
	return errors.Join(a.bus.HandleStanding(standing, kill), a.bus.HandleOrders(a.contain.Answer))
}

func (a *Agent) openOutputs() error {
	if a.outbox != nil {
		a.outputs = append(a.outputs, a.outbox)
	}
	o := &a.opt
	if o.Output != nil {
		a.addChannel("stdout", publish.Writer(o.Output), o.OutputTimeout)
	}
	if o.File != nil {
		s, err := publish.OpenFile(*o.File)
		if err != nil {
			return err
		}
		a.addChannel("file", s, o.OutputTimeout)
	}
	if o.HTTP != nil {
		h := *o.HTTP
		h.Timeout, h.Log = o.OutputTimeout, o.Log.With("component", "http output")
		if h.ContentType = "text/plain"; o.Encoding.Format == publish.JSON {
			h.ContentType = "application/json"
		}
		s, err := publish.OpenHTTP(h)
		if err != nil {
			return err
		}
		a.addChannel("http", s, o.OutputTimeout*time.Duration(h.MaxTimeouts+1)+time.Second)
	}
	if o.Syslog != nil {
		s := *o.Syslog
		s.Hostname = o.Hostname
		a.addChannel("syslog", publish.OpenSyslog(s), o.OutputTimeout)
	}
	if o.Program != nil {
		p := *o.Program
		p.Timeout = o.OutputTimeout
		a.addChannel("program", publish.OpenProgram(p), o.OutputTimeout)
	}
	return nil
}

func (a *Agent) addChannel(name string, s publish.Sink, timeout time.Duration) {
	c := publish.NewChannel(publish.ChannelOptions{
		Name: name, Sink: s, Encoding: a.opt.Encoding, Lines: a.opt.QueueLines, Timeout: timeout, Log: a.log,
	})
	a.channels = append(a.channels, c)
	a.outputs = append(a.outputs, c)
}

// Reopen has the outputs open their files again, after a log rotation.
func (a *Agent) Reopen() {
	for _, c := range a.channels {
		c.Reopen()
	}
}

func (a *Agent) openWeb() (err error) {
	w := a.opt.Web
	if w == nil {
		return nil
	}
	o := health.Options{
		Address: w.Address, Port: w.Port, HealthzPath: w.HealthzPath, Certificate: w.Certificate, Healthy: a.healthy, Log: a.opt.Log.With("component", "web"),
	}
	if w.Metrics {
		o.Metrics = a.metrics
	}
	if a.web, err = health.Listen(o); err != nil {
		return err
	}
	a.log.Info("health checks are answered", "address", a.web.Addr(), "metrics", w.Metrics)
	return nil
}

// healthy says whether events are read.
func (a *Agent) healthy() error {
	if !a.running.Load() {
		return errors.New("no events are read")
	}
	return nil
}

// WebAddr is where health checks are answered, empty if they are not.
func (a *Agent) WebAddr() string {
	if a.web == nil {
		return ""
	}
	return a.web.Addr()
}
