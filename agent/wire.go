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
	"riposte/agent/enrich/host"
	"riposte/agent/enrich/pod"
	"riposte/agent/enrich/runtime"
	"riposte/agent/enrich/user"
	"riposte/agent/event"
	"riposte/agent/health"
	"riposte/agent/publish"
	"riposte/agent/rules"
)

// open makes all parts, in the order in which they depend on each other.
func (a *Agent) open() error {
	set, files, err := a.openRules()
	if err != nil {
		return err
	}
	if err := a.openEvents(set); err != nil {
		return err
	}
	if err := a.openBus(); err != nil {
		return err
	}
	channels, _, err := a.openChannels(&a.opt, nil)
	if err != nil {
		return err
	}
	for _, c := range channels {
		a.tally.add(c.Channel)
	}
	a.current.Store(a.newSettings(&a.opt, set, files, channels))
	a.own.mode = a.opt.Own
	a.stamp = stamp{cluster: a.opt.Cluster, node: a.opt.Node, hostname: a.opt.Hostname, boot: uuid.NewString()}
	a.started = time.Now()
	a.reloads.lastNS.Store(a.started.UnixNano())
	return a.openWeb()
}

// openEvents attaches to the kernel first and reads the process table then: what
// happens in between waits in the ring buffer and is applied on top.
func (a *Agent) openEvents(set *rules.Ruleset) (err error) {
	opt := enrich.Options{CgroupRoot: a.opt.CgroupRoot, MaxProcesses: a.opt.MaxProcesses, Self: a.self, Log: a.opt.Log.With("component", "enrich")}
	if a.opt.Recording != "" {
		opt.Self = 0 // a process of that number is another one
		recorded, err := openRecording(a.opt.Recording)
		if err != nil {
			return err
		}
		a.source, opt.Recording = recorded, recorded.Recording()
	} else if a.source, err = capture.Open(capture.Options{
		Log: a.opt.Log.With("component", "capture"), Types: append([]event.Type{}, set.Types()...),
		RingBytes: a.opt.RingBytes, OwnEvents: a.opt.Own == OwnReported,
	}); err != nil {
		return err
	}
	if a.opt.Kubeconfig != "" {
		pods, err := openPods(a.opt)
		if err != nil {
			return err
		}
		opt.Pods = pods
		a.background = append(a.background, pods.Run)
		a.await = append(a.await, awaited{pods.WaitListed, "the API server has not named this node's pods yet: alerts may carry their UIDs alone"})
	}
	if a.opt.Recording == "" {
		a.openFacts(&opt, set)
	}
	t, err := enrich.New(opt)
	if err != nil {
		return err
	}
	a.table, a.facts = t, t
	if s, ok := a.source.(masking); ok {
		if a.interest, err = newInterest(s, t.Settled, a.opt.Log.With("component", "interest")); err != nil {
			return err
		}
		a.interest.paths(set.Paths())
		a.background = append(a.background, a.renewInterest)
	}
	// Whose users' list comes late is told of it by another goroutine, already now.
	a.turn.Lock()
	defer a.turn.Unlock()
	return t.Snapshot()
}

// openFacts prepares what is looked up beside the pipeline: the runtimes' metadata and
// the names of users. Their answers take the pipeline's turn.
func (a *Agent) openFacts(opt *enrich.Options, set *rules.Ruleset) {
	a.users = user.New(user.Options{Changed: func(container string) {
		a.turn.Lock()
		defer a.turn.Unlock()
		a.facts.UsersChanged(container)
		a.interest.void()
	}})
	c := a.opt.Containers
	a.runtimes = runtime.New(runtime.Options{CRI: c.CRI, Docker: c.Docker, Log: a.opt.Log.With("component", "runtimes"), Tell: a.learn})
	a.hosts = host.New(host.Options{Log: a.opt.Log.With("component", "hosts")})
	a.hosts.Watch(set.Hosts())
	opt.Users, opt.Runtimes, opt.Hosts = a.users, a.runtimes, a.hosts.Names
	a.background = append(a.background, a.runtimes.Run, a.hosts.Run)
	a.await = append(a.await, awaited{a.runtimes.WaitListed, "a container runtime has not told of its containers yet: alerts may carry their ids alone"})
	if c.Wait > 0 {
		a.parked = newHold(c.Wait)
		a.background = append(a.background, a.releaseInTime)
	}
}

// learn takes a runtime's answer and lets go of what waited for it.
func (a *Agent) learn(r runtime.Answer) {
	a.turn.Lock()
	defer a.turn.Unlock()
	a.facts.Learn(r.ID, r.Facts, r.Failed)
	a.interest.void()
	if a.parked != nil {
		a.release(a.parked.settled(time.Now()))
	}
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
		URL: a.opt.NATS, SeedFile: a.opt.NATSKeyFile, TokenFile: a.opt.NATSTokenFile, Cluster: a.opt.Cluster, Node: a.opt.Node, Log: a.opt.Log.With("component", "bus"),
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
	keys, err := contain.ReadKeys(a.opt.OrderKeyFile)
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
		Cluster: a.opt.Cluster, Node: a.opt.Node, Keys: keys, CgroupRoot: root, Dir: filepath.Join(a.opt.DataDir, "orders"),
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

// Reopen has the outputs open their files again, after a log rotation.
func (a *Agent) Reopen() {
	for _, c := range a.current.Load().channels {
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
