package campaign

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"riposte/agent/alert"
	"riposte/agent/bus"
	"riposte/agent/contain"
	"riposte/agent/enrich"
	"riposte/agent/event"
	"riposte/agent/publish"
	"riposte/deploy/e2e/role"
)

// agentSettings is what an agent of the campaign works with.
type agentSettings struct {
	Cluster, Node, NATS, Seed, OrderKey, Dir string
	// Count alerts are published, one each Every.
	Count int
	Every time.Duration
	// SpoolBytes bounds the spool.
	SpoolBytes int64
	// Pods are attacked one after the other, each twice; Forged are another node's.
	Pods, Forged []podTarget
	// Containers are attacked, Spared are not.
	Containers, Spared []containerTarget
}

type podTarget struct{ Namespace, Name, UID string }

// containerTarget is a cgroup with a process in it.
type containerTarget struct {
	ID, Cgroup string
	CgroupID   uint64
}

// startNS is every container's start: the campaign has no kernel's events to tell it.
const startNS = 1_234_567_890

// Files of an agent's folder, for the test to read.
const (
	journalFile = "journal" // a line for each alert that the outbox took: index, run, number
	idleFile    = "idle"    // there when all alerts are made and have arrived
)

// runAgent is an agent without the kernel's events: everything from the outbox on is
// the real one. It goes on where an earlier process ended.
func runAgent() error {
	s, err := role.Settings[agentSettings]()
	if err != nil {
		return err
	}
	ctx := context.Background()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	conn, err := bus.Connect(bus.Options{URL: s.NATS, SeedFile: s.Seed, Cluster: s.Cluster, Node: s.Node, Log: log})
	if err != nil {
		return err
	}
	out, err := publish.OpenOutbox(publish.OutboxOptions{
		Bus: conn, Dir: filepath.Join(s.Dir, "spool"), Cluster: s.Cluster, Node: s.Node, MaxBytes: s.SpoolBytes, Log: log,
	})
	if err != nil {
		return err
	}
	keys, err := contain.ReadKeys(s.OrderKey)
	if err != nil {
		return err
	}
	root, err := enrich.CgroupRoot()
	if err != nil {
		return err
	}
	handler, err := contain.Open(contain.Options{
		Cluster: s.Cluster, Node: s.Node, Keys: keys, CgroupRoot: root, Dir: filepath.Join(s.Dir, "orders"), Containers: known(slices.Concat(s.Containers, s.Spared)), Log: log,
	})
	if err != nil {
		return err
	}
	go handler.Run(ctx)
	if err := conn.HandleOrders(handler.Answer); err != nil {
		return err
	}
	a := &flood{agentSettings: s, out: out, boot: uuid.NewString()}
	failed := make(chan error, 3)
	go func() { failed <- out.Run(ctx) }()
	go func() { failed <- conn.Heartbeat(ctx, time.Second, a.heartbeat) }()
	go func() { failed <- a.run() }()
	return <-failed
}

// known is what the agent knows of its node's containers.
type known []containerTarget

func (k known) find(ok func(containerTarget) bool) (event.Container, bool) {
	for _, c := range k {
		if ok(c) {
			return event.Container{ID: c.ID, CgroupID: c.CgroupID, Cgroup: c.Cgroup, StartNS: startNS}, true
		}
	}
	return event.Container{}, false
}

func (k known) Container(id string) (event.Container, bool) {
	return k.find(func(c containerTarget) bool { return c.ID == id })
}

func (k known) ContainerAt(cgroup string) (event.Container, bool) {
	return k.find(func(c containerTarget) bool { return c.Cgroup == cgroup || strings.HasPrefix(cgroup, c.Cgroup+"/") })
}

type flood struct {
	agentSettings
	out  *publish.Outbox
	boot string
	seq  atomic.Uint64
}

func (a *flood) heartbeat() alert.Heartbeat {
	return alert.Heartbeat{
		Cluster: a.Cluster, Node: a.Node, BootID: a.boot, Version: "campaign", Source: "ebpf", Seq: a.seq.Load(), Lost: a.out.Lost(),
		Waiting: a.out.Waiting(), TimeNS: time.Now().UnixNano(),
	}
}

// run publishes what is left to publish, then says when all has arrived, and lives on
// for orders. Its own death is the campaign's.
func (a *flood) run() error {
	journal, from, err := openJournal(filepath.Join(a.Dir, journalFile))
	if err != nil {
		return err
	}
	tick := time.NewTicker(a.Every)
	for i := from; i < a.Count; i++ {
		<-tick.C
		made := a.make(i)
		if err := a.out.Put(made); err != nil {
			return err
		}
		for a.out.Queued() > 0 { // only what has left the queue outlives the process
			time.Sleep(50 * time.Microsecond)
		}
		if _, err := fmt.Fprintf(journal, "%d %s %d\n", i, a.boot, made.Riposte.Seq); err != nil {
			return err
		}
	}
	for range tick.C {
		idle := filepath.Join(a.Dir, idleFile)
		if a.out.Waiting() == 0 {
			return cmp.Or(os.WriteFile(idle, nil, 0o600), a.wait())
		}
	}
	return nil
}

func (a *flood) wait() error { select {} }

// openJournal also returns which alert comes next.
func openJournal(file string) (*os.File, int, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, err
	}
	next := 0
	for lines := bufio.NewScanner(f); lines.Scan(); next++ {
	}
	return f, next, nil
}

// Which alerts are about what. The rest is noise, a part of it always the same.
const (
	podEach       = 8
	containerEach = 89
	forgedEach    = 113
	sameEach      = 5
)

// make is the i-th alert of this node, as the agent's pipeline would make it.
func (a *flood) make(i int) *alert.Alert {
	now := time.Now()
	made := &alert.Alert{
		UUID: uuid.Must(uuid.NewV7()).String(), Time: now, Rule: "Something was read", Priority: alert.Warning, Source: "syscall", Hostname: a.Node,
		Output: fmt.Sprintf("%s: Warning a file was read (file=/srv/%d)", now.Format(time.TimeOnly), i), Tags: []string{"campaign"},
		OutputFields: map[string]any{"fd.name": fmt.Sprintf("/srv/%d", i), "proc.name": "cat"},
		Riposte: &alert.Riposte{
			Schema: alert.Schema, Cluster: a.Cluster, Node: a.Node, BootID: a.boot, Seq: a.seq.Add(1), KernelTimeNS: now.Add(-time.Millisecond).UnixNano(),
			AlertTimeNS: now.UnixNano(), Ruleset: strings.Repeat("0", 64), Process: &alert.Process{PID: 4242, StartNS: uint64(i + 1), Name: "cat", Exe: "cat", ExePath: "/bin/cat"},
		},
	}
	critical := func(rule string, pod *podTarget, c *containerTarget) {
		made.Rule, made.Priority = rule, alert.Critical
		if pod != nil {
			made.Riposte.Pod = &alert.Pod{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID}
		}
		if c != nil {
			made.Riposte.Container = &alert.Container{ID: c.ID, CgroupID: c.CgroupID, StartNS: startNS}
		}
	}
	switch {
	case i%podEach == 0 && i/podEach < 2*len(a.Pods):
		critical("A pod is attacked", &a.Pods[i/podEach/2], nil)
	case i%containerEach == 1 && len(a.Containers) > 0:
		critical("A container is attacked", nil, &a.Containers[i/containerEach%len(a.Containers)])
	case i%forgedEach == 2 && len(a.Forged) > 0:
		critical("Another node's pod is attacked", &a.Forged[i/forgedEach%len(a.Forged)], nil)
	case i%sameEach == 3:
		made.OutputFields["fd.name"] = "/srv/same"
		made.Priority = alert.Notice
	}
	return made
}
