package campaign

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"riposte/deploy/e2e/kubetest"
	"riposte/deploy/e2e/role"
	"riposte/deploy/standalone/natsd"
	"riposte/deploy/standalone/postgres"
	"riposte/responder/api/client"
)

const clusterName = "campaign"

// The load, per agent.
const (
	alertsPerSecond = 60
	podsPerMinute   = 200
	containersEach  = 3
)

// smallSpool is the agent that has to drop alerts when the bus is away for long.
const smallSpool = "agent-2"

// guardFile lifts every limit.
const guardFile = role.Unlimited + `cooldown: 0s
errors: {actions: 100000}
`

// campaign is everything that runs.
type campaign struct {
	seed   uint64
	length time.Duration
	folder *role.Folder
	pods   *pods
	// attacked are to be ended; spared, like every successor, are not.
	attacked, spared []podTarget
	killed, left     []*container
	perAgent         int

	parts map[string]*part
	links map[string]*link
	gates []*gate
	db    *pgxpool.Pool
	nats  string // the broker's address, past the links
	api   *client.Client
	begin time.Time
}

// TestCampaign runs for RIPOSTE_CAMPAIGN (a duration, 40 s by default) and then waits
// until all is settled. SEED is the plan's; without it there is a new one each time.
func TestCampaign(t *testing.T) {
	if testing.Short() {
		t.Skip("takes more than a minute")
	}
	if os.Geteuid() != 0 {
		missing(t, "root, to make cgroups")
	}
	length, err := time.ParseDuration(cmp.Or(os.Getenv("RIPOSTE_CAMPAIGN"), "40s"))
	require.NoError(t, err)
	seed := rand.Uint64N(1_000_000)
	if text := os.Getenv("SEED"); text != "" {
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the same plan of faults again: SEED=%d make campaign", seed)
		}
	})
	c := start(t, seed, length)
	c.break_(t)
	c.settle(t)
	f := c.check(t)
	b, err := json.Marshal(f)
	require.NoError(t, err)
	if file := os.Getenv("RIPOSTE_CAMPAIGN_FIGURES"); file != "" {
		require.NoError(t, os.WriteFile(file, append(b, '\n'), 0o644)) //nolint:gosec // figures for anybody
	}
	t.Logf("figures: %s", b)
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("CI must have %s", what)
	}
	t.Skipf("this test needs %s", what)
}

// dialer dials one address.
func dialer(network, address string) func() (net.Conn, error) {
	return func() (net.Conn, error) { return net.DialTimeout(network, address, 2*time.Second) }
}

// start brings everything up, in order, with good links.
func start(t *testing.T, seed uint64, length time.Duration) *campaign {
	t.Helper()
	c := &campaign{seed: seed, length: length, folder: role.NewFolder(t, "campaign"), parts: map[string]*part{}, links: map[string]*link{}}
	cluster := kubetest.Start(t)
	c.pods = newPods(t, cluster)
	c.startPostgres(t)
	c.startNATS(t)
	for i := range 2 {
		c.startResponder(t, i+1, cluster)
	}
	c.startAgents(t, cluster)
	return c
}

func (c *campaign) startPostgres(t *testing.T) {
	t.Helper()
	var at string
	c.parts["postgres"] = supervise(t, "postgres", func() (process, error) {
		s, err := postgres.Start(t.Context(), postgres.Options{Dir: c.folder.Path("postgres")})
		if err != nil {
			return nil, err
		}
		at = s.URL()
		return s, nil
	})
	u, err := url.Parse(at)
	require.NoError(t, err)
	socket := filepath.Join(u.Query().Get("host"), ".s.PGSQL.5432")
	for _, who := range []string{"responder-1", "responder-2"} {
		c.links[who+"/postgres"] = newLink(t, dialer("unix", socket))
	}
	c.db, err = pgxpool.New(t.Context(), at)
	require.NoError(t, err)
	t.Cleanup(c.db.Close)
}

func (c *campaign) startNATS(t *testing.T) {
	t.Helper()
	key := func(name string) string {
		public, err := natsd.Key(c.key(name))
		require.NoError(t, err)
		return public
	}
	o := natsd.Options{
		Dir: c.folder.Path("nats"), Port: role.FreePort(t), Responder: key("responder"),
		Nodes: []natsd.Node{{Cluster: clusterName, Name: "agent-1", Key: key("agent-1")}, {Cluster: clusterName, Name: "agent-2", Key: key("agent-2")}},
	}
	file := c.folder.Write(t, "nats.json", o)
	c.nats = net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port))
	c.parts["nats"] = supervise(t, "nats", func() (process, error) { return c.startOwn("nats", "nats", file) })
	for _, who := range []string{"responder-1", "responder-2", "agent-1", "agent-2"} {
		c.links[who+"/nats"] = newLink(t, dialer("tcp", c.nats))
	}
}

func (c *campaign) key(name string) string { return c.folder.Path("keys", name+".nk") }

func (c *campaign) startResponder(t *testing.T, i int, cluster *kubetest.Cluster) {
	t.Helper()
	name := fmt.Sprintf("responder-%d", i)
	g := newGate(t, cluster.Kubeconfig, c.seed, uint64(10+i))
	c.gates = append(c.gates, g)
	c.links[name+"/kube"] = g.link
	listen := role.FreeAddress(t)
	args := c.folder.ResponderFlags(t, role.Surroundings{
		Cluster: clusterName, Instance: name, Listen: listen, NATS: "nats://" + c.links[name+"/nats"].addr(), NATSKey: c.key("responder"),
		Database:   "postgres://riposte@" + c.links[name+"/postgres"].addr() + "/riposte?sslmode=disable",
		Kubeconfig: g.kubeconfig, Guard: guardFile,
	})
	c.parts[name] = supervise(t, name, func() (process, error) { return c.startOwn(name, "responder", args...) })
	// The first makes the stream that agents publish to; who comes before it waits.
	require.Eventually(t, func() bool { return role.Ready(listen) }, time.Minute, 50*time.Millisecond, name)
	c.api = c.folder.Client(t, listen)
}

func (c *campaign) startAgents(t *testing.T, cluster *kubetest.Cluster) {
	t.Helper()
	c.perAgent = int(c.length.Seconds() * alertsPerSecond)
	n := max(int(c.length.Minutes()*podsPerMinute), 8)
	n = min(n, c.perAgent/podEach/2)
	made := map[string][]podTarget{}
	for _, node := range []string{"agent-1", "agent-2"} {
		cluster.CreateNode(t, node)
		cluster.FinishDeletions(t, node, nil)
		made[node] = c.pods.make(t, node, "victim", n)
		c.attacked = append(c.attacked, made[node]...)
		c.spared = append(c.spared, c.pods.make(t, node, "spared", 3)...)
	}
	c.left = []*container{startContainer(t)}
	for i, node := range []string{"agent-1", "agent-2"} {
		var own []*container
		for range containersEach {
			own = append(own, startContainer(t))
		}
		c.killed = append(c.killed, own...)
		s := agentSettings{
			Cluster: clusterName, Node: node, NATS: "nats://" + c.links[node+"/nats"].addr(), Seed: c.key(node), OrderKey: c.folder.OrderPublic(),
			Dir: c.folder.Path(node), Count: c.perAgent, Every: time.Second / alertsPerSecond, Pods: made[node],
			Forged: c.spared[3-3*i : 3-3*i+2], Containers: targets(own), Spared: targets(c.left),
		}
		if node == smallSpool {
			s.SpoolBytes = 32 << 10 // it has to drop some, and to say so
		}
		require.NoError(t, os.MkdirAll(s.Dir, 0o700))
		file := c.folder.Write(t, node+".json", s)
		c.parts[node] = supervise(t, node, func() (process, error) { return c.startOwn(node, "agent", file) })
	}
}

// break_ carries out the plan.
func (c *campaign) break_(t *testing.T) {
	t.Helper()
	for _, g := range c.gates {
		g.bad.Store(true)
	}
	c.begin = time.Now()
	var going sync.WaitGroup
	for _, f := range plan(c.seed, c.length) {
		time.Sleep(time.Until(c.begin.Add(f.At))) // the plan's moment
		t.Log(f)
		going.Go(func() {
			if p := c.parts[f.What]; p != nil {
				p.fault(f.Kind, f.For)
			} else {
				c.links[f.What].fault(f.Kind, f.For)
			}
		})
	}
	going.Wait()
	for _, g := range c.gates {
		g.bad.Store(false)
	}
}

// kills are the kills of each part, for the figures.
func (c *campaign) kills() map[string]int {
	all := map[string]int{}
	for name, p := range c.parts {
		p.mu.Lock()
		all[strings.TrimRight(name, "-12")] += p.kills
		p.mu.Unlock()
	}
	return all
}
