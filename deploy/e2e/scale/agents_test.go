package scale

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"riposte/agent/alert"
	"riposte/agent/bus"
	"riposte/agent/enrich/pod"
	"riposte/agent/publish"
	"riposte/deploy/e2e/role"
)

// heartbeatEvery is the agent's own.
const heartbeatEvery = 10 * time.Second

// agentsSettings is what the process of the agents works with.
type agentsSettings struct {
	Cluster, NATS, Dir string
	// Listen is where the test says what to do.
	Listen string
	Agents []agentSettings
}

type agentSettings struct {
	Node, Seed string
	// Kubeconfig has the agent follow its node's pods; empty: it does not.
	Kubeconfig string
	// Victim is the pod that a Critical alert is about, Pods are those of the others.
	Victim target
	Pods   []target
}

// burst is a load: so many alerts a second for a time, every Critical-th about a victim
// that was not attacked before.
type burst struct {
	PerSecond, Seconds, Critical int
}

// made is what came of a burst.
type made struct {
	Alerts, Critical int
	// DrainMS is how long the last alert waited for its acknowledgement.
	DrainMS int64
}

// agents are many agents without the kernel's events: everything from the outbox on is
// the real one.
type agents struct {
	agentsSettings
	all []*agent
	// attacked counts the victims.
	attacked int
}

type agent struct {
	agentSettings
	cluster, boot string
	conn          *bus.Conn
	out           *publish.Outbox
	seq           atomic.Uint64
	pods          *pod.Lookup // nil: it does not follow them
}

func runAgents() error {
	s, err := role.Settings[agentsSettings]()
	if err != nil {
		return err
	}
	a := &agents{agentsSettings: s, all: make([]*agent, len(s.Agents))}
	ctx := context.Background()
	failed := make(chan error, 4*len(s.Agents))
	var g errgroup.Group
	g.SetLimit(atOnce)
	for i := range s.Agents {
		g.Go(func() (err error) {
			a.all[i], err = a.start(ctx, s.Agents[i], failed)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ready", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /unknown", a.unknown)
	mux.HandleFunc("POST /burst", a.serveBurst)
	server := &http.Server{Addr: s.Listen, Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { failed <- server.ListenAndServe() }()
	return <-failed
}

// start connects one agent, as package agent does.
func (a *agents) start(ctx context.Context, s agentSettings, failed chan<- error) (*agent, error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})).With("node", s.Node)
	x := &agent{agentSettings: s, cluster: a.Cluster, boot: uuid.NewString()}
	var err error
	if x.conn, err = bus.Connect(bus.Options{URL: a.NATS, SeedFile: s.Seed, Cluster: a.Cluster, Node: s.Node, Log: log}); err != nil {
		return nil, err
	}
	if x.out, err = publish.OpenOutbox(publish.OutboxOptions{
		Bus: x.conn, Dir: filepath.Join(a.Dir, "spool", s.Node), Cluster: a.Cluster, Node: s.Node, Log: log,
	}); err != nil {
		return nil, err
	}
	// Nothing is contained here, but the subscriptions are there.
	orders := x.conn.HandleOrders(func(context.Context, []byte) []byte { return nil })
	if err := errors.Join(orders, x.conn.HandleStanding(func([]byte) {}, func([]byte) {})); err != nil {
		return nil, err
	}
	if s.Kubeconfig != "" {
		if x.pods, err = pod.New(s.Kubeconfig, s.Node, log); err != nil {
			return nil, err
		}
		go x.pods.Run(ctx)
	}
	go func() { failed <- x.out.Run(ctx) }()
	go func() { failed <- x.conn.Heartbeat(ctx, heartbeatEvery, x.heartbeat) }()
	return x, nil
}

func (x *agent) heartbeat() alert.Heartbeat {
	return alert.Heartbeat{
		Cluster: x.cluster, Node: x.Node, BootID: x.boot, Version: "scale", Source: "ebpf", Rules: 97, Ruleset: strings.Repeat("0", 64), Seq: x.seq.Load(),
		Lost: x.out.Lost(), Waiting: x.out.Waiting(), TimeNS: time.Now().UnixNano(),
	}
}

// unknown counts the pods that an agent which follows its node's does not know.
func (a *agents) unknown(w http.ResponseWriter, _ *http.Request) {
	n := 0
	for _, x := range a.all {
		if x.pods == nil {
			continue
		}
		for _, p := range x.Pods {
			if found, ok := x.pods.Pod(p.UID); !ok || found.Name != p.Name || len(found.Labels) == 0 {
				n++
			}
		}
	}
	fmt.Fprint(w, n)
}

func (a *agents) serveBurst(w http.ResponseWriter, r *http.Request) {
	var b burst
	err := json.NewDecoder(r.Body).Decode(&b)
	var m made
	if err == nil {
		m, err = a.burst(b)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = json.NewEncoder(w).Encode(m)
}

// burst has the agents make alerts, one after the other, and waits until the stream has them.
func (a *agents) burst(b burst) (m made, err error) {
	begin := time.Now()
	for total := b.PerSecond * b.Seconds; m.Alerts < total; {
		due := min(int(time.Since(begin).Seconds()*float64(b.PerSecond))+1, total)
		for ; m.Alerts < due; m.Alerts++ {
			if m.Alerts%b.Critical == 0 && a.attacked < len(a.all) {
				x := a.all[a.attacked]
				a.attacked++
				m.Critical++
				err = x.out.Put(x.alert(m.Alerts, x.Victim, alert.Critical))
			} else {
				x := a.all[m.Alerts%len(a.all)]
				err = x.out.Put(x.alert(m.Alerts, x.Pods[m.Alerts/len(a.all)%len(x.Pods)], alert.Warning))
			}
			if err != nil {
				return m, err
			}
		}
		time.Sleep(time.Millisecond) // the load's pace
	}
	last := time.Now()
	for waiting := true; waiting; {
		waiting = false
		for _, x := range a.all {
			if lost := x.out.Lost(); len(lost) > 0 {
				return m, fmt.Errorf("agent %s lost alerts: %v", x.Node, lost)
			}
			waiting = waiting || x.out.Waiting() > 0
		}
		if time.Since(last) > 5*time.Minute {
			return m, errors.New("alerts wait for their acknowledgement for five minutes")
		}
		time.Sleep(5 * time.Millisecond) // a poll
	}
	m.DrainMS = time.Since(last).Milliseconds()
	return m, nil
}

// alert is one as the agent's pipeline makes it, with the fields of a usual rule. One in
// five is equal to an earlier one of its pod.
func (x *agent) alert(i int, about target, p alert.Priority) *alert.Alert {
	now := time.Now()
	file := "/etc/shadow"
	if i%5 != 0 {
		file = fmt.Sprintf("/home/app/.ssh/id_%d", i)
	}
	id := strings.ReplaceAll(about.UID, "-", "") + strings.Repeat("0", 32)
	command := "cat " + file
	return &alert.Alert{
		UUID: uuid.Must(uuid.NewV7()).String(), Time: now, Rule: "A sensitive file was read", Priority: p, Source: "syscall", Hostname: x.Node,
		Output: fmt.Sprintf("%s: %s A sensitive file was read (file=%s gparent=containerd-shim ggparent=systemd evt_type=openat user=root user_uid=0 process=cat parent=sh command=%s terminal=0 container_id=%s container_name=cart k8s_ns=%s k8s_pod=%s)",
			now.Format("15:04:05.000000000"), p, file, command, id[:12], about.Namespace, about.Name),
		Tags: []string{"maturity_stable", "host", "container", "filesystem", "mitre_credential_access", "T1555"},
		OutputFields: map[string]any{
			"evt.time": now.UnixNano(), "evt.type": "openat", "fd.name": file, "proc.name": "cat", "proc.pname": "sh", "proc.cmdline": command, "proc.tty": 0,
			"proc.exepath": "/bin/cat", "proc.aname[2]": "containerd-shim", "proc.aname[3]": "systemd", "user.name": "root", "user.uid": 0, "user.loginuid": -1,
			"container.id": id[:12], "container.name": "cart", "container.image.repository": "registry.example/shop/cart", "container.image.tag": "4.17.2",
			"k8s.ns.name": about.Namespace, "k8s.pod.name": about.Name,
		},
		Riposte: &alert.Riposte{
			Schema: alert.Schema, Cluster: x.cluster, Node: x.Node, BootID: x.boot, Seq: x.seq.Add(1), KernelTimeNS: now.UnixNano(), AlertTimeNS: now.UnixNano(),
			Ruleset:   strings.Repeat("0", 64),
			Process:   &alert.Process{PID: 4242, StartNS: 1_234_567_890, Name: "cat", Exe: "cat", ExePath: "/bin/cat", Args: []string{file}, Ancestors: []string{"sh", "containerd-shim", "systemd"}},
			Container: &alert.Container{ID: id, Name: "cart", Image: "registry.example/shop/cart:4.17.2", CgroupID: 4711, StartNS: 1_234_567_890},
			Pod:       &alert.Pod{Namespace: about.Namespace, Name: about.Name, UID: about.UID, Labels: map[string]string{"app.kubernetes.io/name": "cart", "app.kubernetes.io/version": "4.17.2"}},
		},
	}
}
