package scale

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// table is what was measured.
type table struct {
	*rig
	start    started
	phases   []phase
	replaced int
}

// phase is one column.
type phase struct {
	name string
	took time.Duration
	// cpu is each part's, as a share of one processor; mem its memory at the end, and the
	// responder's highest.
	cpu  map[string]float64
	mem  map[string]usage
	heap float64
	// api are the responder's bytes a second from the API server, sample an agent's in a
	// minute, on average.
	api, sample float64
	// made and the rest are of a load alone.
	made      made
	latencies map[string][]float64
	stored    int
	bytes     map[string]int64
}

func newTable(r *rig) *table { return &table{rig: r} }

// measure runs one phase.
func (m *table) measure(t *testing.T, name string, run func()) {
	t.Helper()
	p := phase{name: name, cpu: map[string]float64{}, mem: map[string]usage{}}
	m.phases = append(m.phases, p)
	before := map[string]usage{}
	forgetPeak(t, m.pids["responder"])
	for part, pid := range m.pids {
		before[part] = used(t, pid)
	}
	api, sample, began := m.own.down.Load(), m.sampledBytes(), time.Now()
	run()
	took := time.Since(began)
	last := &m.phases[len(m.phases)-1]
	last.took = took
	for part, pid := range m.pids {
		last.mem[part] = used(t, pid)
		last.cpu[part] = float64(last.mem[part].cpu-before[part].cpu) / float64(took)
	}
	last.api = float64(m.own.down.Load()-api) / took.Seconds()
	last.sample = float64(m.sampledBytes()-sample) / float64(m.sample) / took.Minutes()
	last.heap = m.metric(t, "go_memstats_heap_inuse_bytes")
	t.Logf("%s: done after %s", name, took.Round(time.Second))
}

func (m *table) sampledBytes() (n int64) {
	for _, s := range m.sampled {
		n += s.down.Load()
	}
	return n
}

// metric is one of the responder's, summed over its labels.
func (r *rig) metric(t *testing.T, name string) (sum float64) {
	t.Helper()
	answer, err := http.Get("http://" + r.metrics + "/metrics") //nolint:noctx // a local port
	require.NoError(t, err)
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	found := false
	for line := range strings.Lines(string(b)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if bare, _, _ := strings.Cut(key, "{"); bare == name {
			v, err := strconv.ParseFloat(value, 64)
			require.NoError(t, err)
			sum, found = sum+v, true
		}
	}
	require.True(t, found, "there is no metric %s", name)
	return sum
}

// load is a phase with alerts. It ends when all of them are stored and acted on.
func (m *table) load(t *testing.T, rate int) {
	t.Helper()
	p := &m.phases[len(m.phases)-1]
	seconds := int(m.each.Seconds())
	sizes, stored, began := m.sizes(t), m.count(t, "SELECT count(*) FROM inbox"), time.Now().UnixNano()
	// One in a hundred is Critical, unless there are too few victims for that.
	total := 0
	for _, r := range m.rates {
		total += r * seconds
	}
	p.made = m.burst(t, burst{PerSecond: rate, Seconds: seconds, Critical: max(100, total/m.nodes+1)})
	m.alerts += p.made.Alerts
	m.critical += p.made.Critical
	m.await(t, "all alerts are stored", func() bool { return m.count(t, "SELECT count(*) FROM inbox") == m.alerts })
	m.await(t, "all actions are over", func() bool {
		return m.count(t, "SELECT count(*) FROM actions WHERE state IN ('planned', 'executing') OR state = 'succeeded' AND lease_until IS NOT NULL") == 0
	})
	p.stored = m.count(t, "SELECT count(*) FROM inbox") - stored
	p.bytes = map[string]int64{}
	for name, n := range m.sizes(t) {
		p.bytes[name] = n - sizes[name]
	}
	p.latencies = map[string][]float64{}
	for name, sql := range map[string]string{
		"received": "SELECT received_ns - alert_ns FROM alerts WHERE alert_ns > $1",
		"decided":  "SELECT d.decided_ns - a.alert_ns FROM decisions d JOIN alerts a ON a.id = d.alert_id WHERE a.alert_ns > $1",
		"acted":    "SELECT x.executed_ns - a.alert_ns FROM actions x JOIN alerts a ON a.id = x.alert_id WHERE x.type = 'delete_pod' AND x.state = 'succeeded' AND a.alert_ns > $1",
		"verified": "SELECT x.verified_ns - a.alert_ns FROM actions x JOIN alerts a ON a.id = x.alert_id WHERE x.type = 'delete_pod' AND x.state = 'succeeded' AND a.alert_ns > $1",
	} {
		var ms []float64
		require.NoError(t, m.db.QueryRow(t.Context(),
			"SELECT coalesce(percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY ns / 1e6), '{}') FROM ("+sql+") AS x (ns)", began).Scan(&ms))
		p.latencies[name] = ms
	}
}

// sizes are the bytes of the tables that alerts fill, with their indexes.
func (m *table) sizes(t *testing.T) map[string]int64 {
	t.Helper()
	all := map[string]int64{}
	for _, name := range []string{"inbox", "alerts", "decisions", "audit", "incidents", "actions"} {
		var n int64
		require.NoError(t, m.db.QueryRow(t.Context(),
			"SELECT coalesce(sum(pg_total_relation_size(relid)), 0)::bigint FROM pg_partition_tree($1::regclass)", name).Scan(&n))
		if n == 0 { // no partitions
			require.NoError(t, m.db.QueryRow(t.Context(), "SELECT pg_total_relation_size($1::regclass)", name).Scan(&n))
		}
		all[name] = n
	}
	return all
}

func (r *rig) count(t *testing.T, sql string, args ...any) (n int) {
	t.Helper()
	require.NoError(t, r.db.QueryRow(t.Context(), sql, args...).Scan(&n))
	return n
}

const mib = 1 << 20

// print writes the table as Markdown, to the log and to the file RIPOSTE_SCALE_TABLE.
func (m *table) print(t *testing.T) {
	t.Helper()
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d nodes, %d pods of %d bytes of JSON, phases of %s.\n\n", m.nodes, m.pods, m.fleet.podSize, m.each)
	row := func(name string, cell func(phase) string) {
		fmt.Fprintf(&b, "| %s |", name)
		for _, p := range m.phases {
			fmt.Fprintf(&b, " %s |", cell(p))
		}
		fmt.Fprintln(&b)
	}
	row("", func(p phase) string { return p.name })
	fmt.Fprintln(&b, "| --- |"+strings.Repeat(" --- |", len(m.phases)))
	for _, part := range slices.Sorted(maps.Keys(m.pids)) {
		row(part+", share of one processor", func(p phase) string { return fmt.Sprintf("%.1f %%", 100*p.cpu[part]) })
	}
	for _, part := range []string{"responder", "nats", "agents", "kube-apiserver, etcd", "kwok"} {
		row(part+", memory (RSS)", func(p phase) string { return fmt.Sprintf("%d MiB", p.mem[part].rss/mib) })
	}
	row("responder, highest memory", func(p phase) string { return fmt.Sprintf("%d MiB", p.mem["responder"].peak/mib) })
	row("responder, heap in use", func(p phase) string { return fmt.Sprintf("%.0f MiB", p.heap/mib) })
	row("responder, from the API server", func(p phase) string { return fmt.Sprintf("%.1f KiB/s", p.api/1024) })
	row("an agent that follows its pods, from the API server", func(p phase) string { return fmt.Sprintf("%.1f KiB/min", p.sample/1024) })
	loads := func(cell func(phase) string) func(phase) string {
		return func(p phase) string {
			if p.made.Alerts == 0 {
				return ""
			}
			return cell(p)
		}
	}
	row("alerts, of them Critical", loads(func(p phase) string { return fmt.Sprintf("%d, %d", p.made.Alerts, p.made.Critical) }))
	row("until all were stored and acted on", loads(func(p phase) string { return p.took.Round(100 * time.Millisecond).String() }))
	for _, l := range []struct{ key, name string }{{"received", "received"}, {"decided", "decided"}, {"acted", "pod deleted"}, {"verified", "pod seen to be gone"}} {
		row("alert → "+l.name+", p50 / p95 / p99", loads(func(p phase) string {
			ms := p.latencies[l.key]
			if len(ms) < 3 {
				return "none"
			}
			return fmt.Sprintf("%.0f / %.0f / %.0f ms", ms[0], ms[1], ms[2])
		}))
	}
	for _, name := range slices.Sorted(maps.Keys(m.phases[len(m.phases)-1].bytes)) {
		row("PostgreSQL, "+name+", per million alerts", loads(func(p phase) string { return gib(p.bytes[name], p.stored) }))
	}
	row("PostgreSQL, all, per million alerts", loads(func(p phase) string {
		var n int64
		for _, x := range p.bytes {
			n += x
		}
		return gib(n, p.stored)
	}))
	fmt.Fprintf(&b, "\nThe responder was ready %s after its start, with %d MiB (highest %d MiB), and had received %.1f MiB from the API server.\n",
		m.start.took.Round(10*time.Millisecond), m.start.rss/mib, m.start.peak/mib, float64(m.start.bytes)/mib)
	fmt.Fprintf(&b, "%d pods were replaced. An agent that follows its node's pods received %.1f KiB in all.\n", m.replaced, float64(m.sampledBytes())/1024/float64(m.sample))
	t.Logf("\n%s", b.String())
	if file := os.Getenv("RIPOSTE_SCALE_TABLE"); file != "" {
		require.NoError(t, os.WriteFile(file, b.Bytes(), 0o644)) //nolint:gosec // figures for anybody
	}
}

func gib(bytes int64, alerts int) string {
	return fmt.Sprintf("%.2f GiB", float64(bytes)/float64(max(alerts, 1))*1e6/(1<<30))
}
