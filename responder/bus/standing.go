package bus

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"riposte/agent/alert"
	"riposte/agent/order"
)

// Standing is what all agents are told, beside the orders that one of them gets.
type Standing struct {
	Triggers []order.Trigger
	Protect  order.Protect
}

// Stop is one kill switch that is on.
type Stop struct {
	// Cluster and Playbook bound it; both empty stop everything.
	Cluster, Playbook string
	Reason, Actor     string
	At                time.Time
}

const (
	// announceEvery is how often the agents are told again. One that comes new is told
	// at its first heartbeat.
	announceEvery = 10 * time.Second
	// gather is how long it waits for more that come new.
	gather = 200 * time.Millisecond
	// standingFor is how long agents may contain by themselves while nobody tells them
	// anything.
	standingFor = 24 * time.Hour
	// maxClusters and maxAgents bound what heartbeats make us remember.
	maxClusters = 256
	maxAgents   = 1 << 16
)

// Announcer tells the agents of all clusters, again and again, what stands: what
// they may contain at once, what is protected, and the kill switch. It works without
// the database.
type Announcer struct {
	bus *Bus

	mu       sync.Mutex
	standing *Standing
	stops    []Stop
	// switches are the signed messages by cluster: repeated as they are, so that a
	// replica that knows less does not outbid one that knows more.
	switches map[string][]byte
	clusters map[string]bool
	// agents are those that were told since they started.
	agents map[string]string
	// last is the highest serial so far.
	last uint64

	kick chan struct{}
}

// NewAnnouncer makes one. Nothing is told before SetStanding or SetStops. The home
// cluster is told from the start, others when their first heartbeat comes.
func NewAnnouncer(b *Bus, home string) *Announcer {
	return &Announcer{
		bus: b, switches: map[string][]byte{}, clusters: map[string]bool{home: true}, agents: map[string]string{}, kick: make(chan struct{}, 1),
	}
}

// SetStanding takes over what the agents may do and must not. An error means that an
// agent would refuse it; then the agents keep what they have.
func (a *Announcer) SetStanding(s Standing) error {
	sample, err := order.SignStanding(a.bus.OrderKey, order.Standing{Serial: 1, Expires: time.Now(), Triggers: s.Triggers, Protect: s.Protect})
	if err != nil {
		return fmt.Errorf("sign the standing orders: %w", err)
	}
	if _, err := order.OpenStanding(a.bus.OrderKey.Public().(ed25519.PublicKey), sample, ""); err != nil {
		return fmt.Errorf("the standing orders are not as an agent takes them: %w", err)
	}
	a.mu.Lock()
	a.standing = &s
	a.mu.Unlock()
	a.now()
	return nil
}

// SetStops takes over all kill switches that are on; none says that all are off.
func (a *Announcer) SetStops(all []Stop) {
	a.mu.Lock()
	a.stops = slices.Clone(all)
	if a.stops == nil {
		a.stops = []Stop{}
	}
	clear(a.switches)
	a.mu.Unlock()
	a.now()
}

func (a *Announcer) now() {
	select {
	case a.kick <- struct{}{}:
	default:
	}
}

// Run tells until ctx ends. What could not be sent is sent the next time.
func (a *Announcer) Run(ctx context.Context) error {
	beats := make(chan *nats.Msg, heartbeatsWaiting)
	sub, err := a.bus.nc.ChanSubscribe("agents.*.*", beats)
	if err != nil {
		return fmt.Errorf("hear of new agents: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	tick := time.NewTicker(announceEvery)
	defer tick.Stop()
	// Many agents may start at the same moment, and each hears what one is told.
	fresh := map[string]bool{}
	var gathered <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case m := <-beats:
			if cluster, ok := a.heard(m); ok && len(fresh) == 0 {
				fresh[cluster], gathered = true, time.After(gather)
			} else if ok {
				fresh[cluster] = true
			}
		case <-gathered:
			for cluster := range fresh {
				a.tell(cluster)
			}
			clear(fresh)
		case <-tick.C:
			a.tellAll()
		case <-a.kick:
			a.tellAll()
		}
	}
}

func (a *Announcer) tellAll() {
	for _, cluster := range a.known() {
		a.tell(cluster)
	}
}

func (a *Announcer) known() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.clusters))
}

// heard says whether the heartbeat is of an agent that has been told nothing yet.
func (a *Announcer) heard(m *nats.Msg) (cluster string, fresh bool) {
	part := strings.Split(m.Subject, ".")
	cluster, err := alert.Name(part[1])
	if err != nil {
		return "", false
	}
	boot := bootOf(m.Data)
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.clusters[cluster] {
		if len(a.clusters) >= maxClusters {
			a.bus.clustersOver.Add(1)
			return "", false
		}
		a.clusters[cluster] = true
	}
	if a.agents[m.Subject] == boot {
		return "", false
	}
	if len(a.agents) >= maxAgents {
		clear(a.agents) // all are told once more
	}
	a.agents[m.Subject] = boot
	return cluster, true
}

func bootOf(heartbeat []byte) string {
	var h alert.Heartbeat
	if json.Unmarshal(heartbeat, &h) != nil {
		return ""
	}
	return h.BootID[:min(len(h.BootID), 64)]
}

// tell sends one cluster's agents what stands.
func (a *Announcer) tell(cluster string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	var errs []error
	// The kill switch first: it must not come behind leave to contain.
	if a.stops != nil {
		errs = append(errs, a.tellSwitch(cluster))
	}
	if a.standing != nil {
		message, err := order.SignStanding(a.bus.OrderKey, order.Standing{
			Cluster: cluster, Serial: a.serial(), Expires: time.Now().Add(standingFor), Triggers: a.standing.Triggers, Protect: a.standing.Protect,
		})
		if err == nil {
			err = a.bus.nc.Publish(order.StandingSubject(cluster), message)
		}
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		a.bus.announcesFailed.Add(1)
		a.bus.Log.Warn("the agents were not told what stands", "cluster", cluster, "error", err)
	}
}

func (a *Announcer) tellSwitch(cluster string) error {
	message := a.switches[cluster]
	if message == nil {
		s := order.Switch{Cluster: cluster, Serial: a.serial(), At: time.Now().UTC()}
		for _, stop := range a.stops {
			switch {
			case stop.Cluster != "" && stop.Cluster != cluster:
			case stop.Playbook != "":
				s.Playbooks = append(s.Playbooks, stop.Playbook)
			default:
				s.On, s.Reason, s.Actor, s.At = true, stop.Reason, stop.Actor, stop.At
			}
		}
		var err error
		if message, err = order.SignSwitch(a.bus.OrderKey, s); err != nil {
			return err
		}
		a.switches[cluster] = message
	}
	return a.bus.nc.Publish(order.SwitchSubject(cluster), message)
}

// serial is the time, so that it grows over restarts and, roughly, among replicas.
func (a *Announcer) serial() uint64 {
	a.last = max(a.last+1, uint64(time.Now().UnixNano()))
	return a.last
}

// LiftImmediate ends what an agent began by itself, for an alert that nobody wants
// its container contained for. Without it the lease ends soon.
func (b *Bus) LiftImmediate(ctx context.Context, a *alert.Alert, reason string) (order.Receipt, error) {
	r := a.Riposte
	if r == nil || r.Contained == nil || r.Container == nil {
		return order.Receipt{}, errors.New("the alert's container is not contained")
	}
	kind := order.Thaw
	if r.Contained.Kind == string(order.Cut) {
		kind = order.Reconnect
	}
	now := time.Now()
	return b.SendOrder(ctx, order.Order{
		ID: a.UUID + "/lift", Kind: kind, Of: order.HoldStanding, Cluster: r.Cluster, Node: r.Node, Reason: reason,
		Target: order.Target{ContainerID: r.Container.ID, CgroupID: r.Container.CgroupID, StartNS: r.Container.StartNS},
		Issued: now, Expires: now.Add(time.Duration(r.Contained.LeaseNS)), // then it has ended by itself
	})
}
