package scale

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"riposte/deploy/e2e/kubetest"
	"riposte/deploy/e2e/role"
	"riposte/deploy/standalone/child"
	"riposte/deploy/standalone/natsd"
	"riposte/deploy/standalone/nodes"
	"riposte/deploy/standalone/postgres"
)

const clusterName = "scale"

// size is how large the run is.
type size struct {
	nodes, pods int
	// sample is how many agents follow their node's pods.
	sample int
	// each is how long each phase takes.
	each time.Duration
	// rates are the loads, in alerts a second.
	rates []int
}

// sizeOfRun is RIPOSTE_SCALE_NODES, _PODS, _SECONDS and _RATES, or something small.
func sizeOfRun(t *testing.T) (s size) {
	t.Helper()
	number := func(name, fallback string) int {
		n, err := strconv.Atoi(cmp.Or(os.Getenv("RIPOSTE_SCALE_"+name), fallback))
		require.NoError(t, err, name)
		require.Positive(t, n, name)
		return n
	}
	s.nodes, s.pods, s.each = number("NODES", "20"), number("PODS", "200"), time.Duration(number("SECONDS", "3"))*time.Second
	for text := range strings.SplitSeq(cmp.Or(os.Getenv("RIPOSTE_SCALE_RATES"), "20,100"), ",") {
		n, err := strconv.Atoi(text)
		require.NoError(t, err, "RATES")
		s.rates = append(s.rates, n)
	}
	require.GreaterOrEqual(t, s.pods/s.nodes, 3, "a node needs three pods at least: one is attacked, one replaced, one stays")
	s.sample = min(20, s.nodes)
	return s
}

// rig is everything that runs.
type rig struct {
	size
	folder *role.Folder
	fleet  *fleet
	db     *pgxpool.Pool
	// pids are the parts' processes by name.
	pids map[string]int
	nats string
	// metrics is the responder's address for them, agents that of the agents' process.
	metrics, agents string
	// own counts the responder's bytes from the API server, sampled those of some agents.
	own     *meter
	sampled []*meter
	// critical is how many Critical alerts there were, alerts how many in all.
	alerts, critical int
}

// TestScale runs small by itself; `make scale` runs it with 1,000 nodes.
func TestScale(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute")
	}
	r := &rig{size: sizeOfRun(t), folder: role.NewFolder(t, "scale"), pids: map[string]int{}}
	table := newTable(r)
	cluster := kubetest.Start(t)
	kwok := cluster.Kwok(t)
	r.pids["kube-apiserver, etcd"], r.pids["kwok"] = cluster.PID(), kwok.Pid
	began := time.Now()
	r.fleet = newFleet(t, cluster, kwok.Exited(), r.size)
	t.Logf("%d nodes and %d pods after %s; a pod is %d bytes of JSON", r.nodes, r.fleet.runs(), time.Since(began).Round(time.Second), r.fleet.podSize)
	r.startDatabase(t)
	registry := r.startNATS(t)
	table.start = r.startResponder(t, cluster, registry)
	r.startAgents(t, cluster, registry)

	table.measure(t, "at rest", func() { time.Sleep(r.each) }) // the phase's length
	table.measure(t, "pods replaced", func() {
		stop := r.fleet.churn(t)
		time.Sleep(r.each) // the phase's length
		table.replaced += stop()
	})
	for _, rate := range r.rates {
		table.measure(t, fmt.Sprintf("%d alerts/s", rate), func() { table.load(t, rate) })
	}
	r.check(t)
	table.print(t)
}

func (r *rig) startDatabase(t *testing.T) {
	t.Helper()
	s, err := postgres.Start(t.Context(), postgres.Options{Dir: r.folder.Path("postgres")})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Stop() })
	r.pids["PostgreSQL"] = s.PID()
	r.db, err = pgxpool.New(t.Context(), s.URL())
	require.NoError(t, err)
	t.Cleanup(r.db.Close)
}

// start starts a part and ends it with the test; that it did not end by itself is checked then.
func (r *rig) start(t *testing.T, name string, args ...string) {
	t.Helper()
	p, err := r.folder.Start(name, name, args...)
	require.NoError(t, err)
	r.pids[name] = p.Pid
	t.Cleanup(func() { end(t, name, p) })
}

func end(t *testing.T, name string, p *child.Process) {
	t.Helper()
	select {
	case <-p.Exited():
		t.Errorf("%s ended by itself: %v", name, p.Err())
	default:
		_ = p.Kill()
		<-p.Exited()
	}
}

// startNATS issues a key to each node and starts the server with them.
func (r *rig) startNATS(t *testing.T) *nodes.Registry {
	t.Helper()
	registry, err := nodes.Open(r.folder.Path("keys"), time.Now)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, registry.Close()) })
	began := time.Now()
	_, err = registry.Issue(clusterName, false, r.fleet.nodes...)
	require.NoError(t, err)
	t.Logf("%d keys issued after %s", r.nodes, time.Since(began).Round(time.Millisecond))
	o := natsd.Options{Dir: r.folder.Path("nats"), Port: role.FreePort(t)}
	o.Responder, err = natsd.Key(registry.ResponderFile())
	require.NoError(t, err)
	for _, n := range registry.Nodes() {
		o.Nodes = append(o.Nodes, natsd.Node{Cluster: n.Cluster, Name: n.Name, Key: n.Live()[0].Public})
	}
	r.nats = "nats://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port))
	r.start(t, "nats", r.folder.Write(t, "nats.json", o))
	r.await(t, "NATS", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(r.nats, "nats://"))
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return registry
}

func (r *rig) await(t *testing.T, what string, ready func() bool) {
	t.Helper()
	require.Eventually(t, ready, 5*time.Minute, 20*time.Millisecond, what)
}

// started is what the responder's start cost.
type started struct {
	took  time.Duration
	bytes int64
	usage
}

func (r *rig) startResponder(t *testing.T, cluster *kubetest.Cluster, registry *nodes.Registry) started {
	t.Helper()
	r.metrics, r.own = role.FreeAddress(t), newMeter(t, cluster.Kubeconfig)
	flags := r.folder.ResponderFlags(t, role.Surroundings{
		Cluster: clusterName, Instance: "one", Listen: role.FreeAddress(t), NATS: r.nats, NATSKey: registry.ResponderFile(),
		Database: r.db.Config().ConnString(), Kubeconfig: r.own.kubeconfig, Guard: role.Unlimited,
	})
	began := time.Now()
	r.start(t, "responder", append(flags, "--metrics-listen", r.metrics)...)
	r.await(t, "the responder", func() bool { return role.Ready(r.metrics) })
	return started{time.Since(began), r.own.down.Load(), used(t, r.pids["responder"])}
}

// startAgents returns when each agent's heartbeat is written down.
func (r *rig) startAgents(t *testing.T, cluster *kubetest.Cluster, registry *nodes.Registry) {
	t.Helper()
	r.agents = role.FreeAddress(t)
	s := agentsSettings{Cluster: clusterName, NATS: r.nats, Dir: r.folder.Path(), Listen: r.agents}
	for i, node := range r.fleet.nodes {
		a := agentSettings{Node: node, Seed: registry.SeedFile(clusterName, node), Victim: r.fleet.pods[i][0], Pods: r.fleet.pods[i][2:]}
		if i < r.sample {
			m := newMeter(t, cluster.Kubeconfig)
			r.sampled = append(r.sampled, m)
			a.Kubeconfig = m.kubeconfig
		}
		s.Agents = append(s.Agents, a)
	}
	began := time.Now()
	r.start(t, "agents", r.folder.Write(t, "agents.json", s))
	r.await(t, "the agents", func() bool {
		var n int
		require.NoError(t, r.db.QueryRow(t.Context(), "SELECT count(*) FROM agents").Scan(&n))
		return n == r.nodes
	})
	t.Logf("%d agents heard after %s", r.nodes, time.Since(began).Round(time.Millisecond))
	r.await(t, "the sampled agents' pods", func() bool {
		answer, err := http.Get("http://" + r.agents + "/unknown") //nolint:noctx // a poll of a local port
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		b, err := io.ReadAll(answer.Body)
		return err == nil && string(b) == "0"
	})
}

// burst has the agents publish, and returns when the stream has all of it.
func (r *rig) burst(t *testing.T, b burst) (m made) {
	t.Helper()
	body, err := json.Marshal(b)
	require.NoError(t, err)
	answer, err := http.Post("http://"+r.agents+"/burst", "application/json", bytes.NewReader(body)) //nolint:noctx // bounded by the test
	require.NoError(t, err)
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode, string(text))
	require.NoError(t, json.Unmarshal(text, &m))
	return m
}
