package agent

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/uuid"

	"riposte/agent/bus"
	"riposte/agent/capture"
	"riposte/agent/capture/replay"
	"riposte/agent/contain"
	"riposte/agent/enrich"
	"riposte/agent/enrich/pod"
	"riposte/agent/publish"
	"riposte/agent/rules"
	"riposte/agent/rules/defaults"
)

// open makes all parts, in the order in which they depend on each other.
func (a *Agent) open() error {
	for _, step := range []func() error{a.openRules, a.openEvents, a.openBus} {
		if err := step(); err != nil {
			return err
		}
	}
	a.openOutputs()
	a.stamp = stamp{cluster: a.opt.Cluster, node: a.opt.Node, hostname: a.opt.Hostname, ruleset: a.rules.Hash(), boot: uuid.NewString()}
	return nil
}

func (a *Agent) openRules() error {
	files := defaults.Files()
	if len(a.opt.RuleFiles) > 0 {
		files = nil
	}
	for _, name := range a.opt.RuleFiles {
		content, err := readFile(name, rules.MaxFileBytes)
		if err != nil {
			return fmt.Errorf("read a rules file: %w", err)
		}
		files = append(files, rules.File{Name: name, Content: content})
	}
	set, err := rules.Load(files...)
	if err != nil {
		return err
	}
	for _, w := range set.Warnings {
		a.log.Warn("a rules file is odd", "warning", w)
	}
	a.rules = set
	a.log.Info("rules are loaded", "rules", set.Len(), "ruleset", set.Hash())
	return nil
}

// readFile reads at most a byte more than limit, so that no device or pipe fills
// the memory; whoever gets the content refuses what is too long.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
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
	return a.bus.HandleOrders(a.contain.Answer)
}

func (a *Agent) openOutputs() {
	if a.outbox != nil {
		a.outputs = append(a.outputs, a.outbox)
	}
	if a.opt.Output != nil {
		a.outputs = append(a.outputs, publish.NewPrinter(publish.PrinterOptions{
			To: a.opt.Output, Format: a.opt.Format, IncludeRiposte: a.opt.IncludeRiposte, Log: a.log,
		}))
	}
}
