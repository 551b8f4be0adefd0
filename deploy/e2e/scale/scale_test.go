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
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"riposte/deploy/e2e/kubetest"
	"riposte/deploy/e2e/role"
	"riposte/deploy/standalone"
	"riposte/deploy/standalone/child"
	"riposte/deploy/standalone/natsd"
	"riposte/deploy/standalone/nodes"
	"riposte/deploy/standalone/postgres"
)

const clusterName = "scale"

// guardFile lifts the budgets: the run is about many effects, not about how many there
// may be.
const guardFile = `budgets:
  playbook: {count: 100000}
  workload: {count: 100000}
  namespace: {count: 100000}
  node: {count: 100000}
  cluster: {count: 100000}
`

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
	dir   string
	data  *standalone.Data
	fleet *fleet
	db    *pgxpool.Pool
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
	r := newRig(t, sizeOfRun(t))
	table := newTable(r)
	cluster := kubetest.Start(t)
	kwok := cluster.Kwok(t)
	r.pids["kube-apiserver, etcd"], r.pids["kwok"] = cluster.PID(), kwok.Pid
	began := time.Now()
	r.fleet = newFleet(t, cluster, kwok.Exited(), r.size)
	t.Logf("%d nodes and %d pods after %s; a pod is %d bytes of JSON", r.nodes, r.fleet.runs(), time.Since(began).Round(time.Second), r.fleet.podSize)
	r.startDatabase(t)
	registry := r.startNATS(t)
	table.start = r.startResponder(t, cluster)
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

func newRig(t *testing.T, s size) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "riposte-scale-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o711)) // PostgreSQL's user goes through it
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what the parts said is in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	r := &rig{size: s, dir: dir, pids: map[string]int{}}
	r.data, err = standalone.OpenData(filepath.Join(dir, "data"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.data.Close()) })
	return r
}

func (r *rig) startDatabase(t *testing.T) {
	t.Helper()
	s, err := postgres.Start(t.Context(), postgres.Options{Dir: filepath.Join(r.dir, "postgres")})
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
	p, err := role.Start(r.dir, name, name, args...)
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

func (r *rig) write(t *testing.T, name string, v any) (file string) {
	t.Helper()
	b, err := json.Marshal(v)
	require.NoError(t, err)
	file = filepath.Join(r.dir, name)
	require.NoError(t, os.WriteFile(file, b, 0o600))
	return file
}

// startNATS issues a key to each node and starts the server with them.
func (r *rig) startNATS(t *testing.T) *nodes.Registry {
	t.Helper()
	registry, err := nodes.Open(filepath.Join(r.dir, "keys"), time.Now)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, registry.Close()) })
	began := time.Now()
	_, err = registry.Issue(clusterName, false, r.fleet.nodes...)
	require.NoError(t, err)
	t.Logf("%d keys issued after %s", r.nodes, time.Since(began).Round(time.Millisecond))
	o := natsd.Options{Dir: filepath.Join(r.dir, "nats"), Port: role.FreePort(t)}
	o.Responder, err = natsd.Key(registry.ResponderFile())
	require.NoError(t, err)
	for _, n := range registry.Nodes() {
		o.Nodes = append(o.Nodes, natsd.Node{Cluster: n.Cluster, Name: n.Name, Key: n.Live()[0].Public})
	}
	r.nats = "nats://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(o.Port))
	r.start(t, "nats", r.write(t, "nats.json", o))
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

func (r *rig) startResponder(t *testing.T, cluster *kubetest.Cluster) started {
	t.Helper()
	order, _, err := r.data.OrderKey()
	require.NoError(t, err)
	token, err := r.data.Token()
	require.NoError(t, err)
	guard := filepath.Join(r.dir, "guard.yaml")
	require.NoError(t, os.WriteFile(guard, []byte(guardFile), 0o600))
	address := func() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(role.FreePort(t))) }
	r.metrics, r.own = address(), newMeter(t, cluster.Kubeconfig)
	began := time.Now()
	r.start(t, "responder",
		"--cluster", clusterName, "--instance", "one", "--listen", address(), "--metrics-listen", r.metrics, "--nats", r.nats,
		"--nats-key", filepath.Join(r.dir, "keys", "responder.nk"), "--order-key", order, "--token-file", token, "--kubeconfig", r.own.kubeconfig,
		"--guard-file", guard, "--database", r.db.Config().ConnString())
	r.await(t, "the responder", func() bool {
		answer, err := http.Get("http://" + r.metrics + "/readyz") //nolint:noctx // a poll of a local port
		if err != nil {
			return false
		}
		defer answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return started{time.Since(began), r.own.down.Load(), used(t, r.pids["responder"])}
}

// startAgents returns when each agent's heartbeat is written down.
func (r *rig) startAgents(t *testing.T, cluster *kubetest.Cluster, registry *nodes.Registry) {
	t.Helper()
	r.agents = net.JoinHostPort("127.0.0.1", strconv.Itoa(role.FreePort(t)))
	s := agentsSettings{Cluster: clusterName, NATS: r.nats, Dir: r.dir, Listen: r.agents}
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
	r.start(t, "agents", r.write(t, "agents.json", s))
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
