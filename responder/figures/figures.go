// Package figures shows in Prometheus's form what a responder does.
//
// What happens once is told as it happens (Figures is the Observer of ingest and
// execute); what the parts count themselves, and what the database alone knows, is
// read when somebody asks (Sources).
//
// # No label without a bound
//
// What an alert says, its sender has chosen. Rules, namespaces and hosts are kept up
// to a number for each node, and what comes beyond is "other": so a node can use up
// its own room and nobody else's. Playbooks, types of actions, rules of the guard and
// destinations are bounded by what is loaded or configured.
package figures

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Kind is what Prometheus calls the type of a metric.
type Kind string

// Kinds of a Metric.
const (
	Counter   Kind = "counter"
	Gauge     Kind = "gauge"
	Histogram Kind = "histogram"
)

// Metric describes one metric, as docs/metrics.md does.
type Metric struct {
	Name, Help string
	Kind       Kind
	Labels     []string
}

// Figures are one responder's. Make them with New; they are safe for concurrent use.
type Figures struct {
	registry *prometheus.Registry
	metrics  []Metric
	pulls    pulls

	alerts, bindings, rules    *prometheus.CounterVec
	decisions, planned, ended  *prometheus.CounterVec
	late                       *prometheus.CounterVec
	lifted                     *prometheus.CounterVec
	skewed                     prometheus.Counter
	batch, batchSize           prometheus.Histogram
	evaluation, reach, contain *prometheus.HistogramVec

	perNode   *perNode
	playbooks *bounded
	// types are those of the registered actions: another one, of a playbook that made it
	// up, is "other".
	types map[string]bool
}

// New makes Figures that know these types of actions.
func New(types []string) *Figures {
	f := &Figures{registry: prometheus.NewRegistry(), perNode: newPerNode(), playbooks: newBounded(maxPlaybooks), types: map[string]bool{}}
	for _, t := range types {
		f.types[t] = true
	}
	f.alertMetrics()
	f.actionMetrics()
	return f
}

// Read adds what is read from the parts when somebody asks. It is called once,
// before Handler.
func (f *Figures) Read(s Sources) {
	f.sources(&s)
	f.registry.MustRegister(&f.pulls, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
}

// Bounds of a scrape: the database and the bus are asked in it.
const (
	maxScrapes = 4
	scrapeTime = 8 * time.Second
)

// Handler answers with all metrics. What cannot be read at the moment is left out.
func (f *Figures) Handler() http.Handler {
	return promhttp.HandlerFor(f.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxScrapes, Timeout: scrapeTime})
}

// Metrics lists all, in the order of their making, but for those of the Go runtime
// and the process.
func (f *Figures) Metrics() []Metric { return f.metrics }

func (f *Figures) note(kind Kind, name, help string, labels []string) {
	f.metrics = append(f.metrics, Metric{Name: name, Help: help, Kind: kind, Labels: labels})
}

func (f *Figures) counter(name, help string, labels ...string) *prometheus.CounterVec {
	f.note(Counter, name, help, labels)
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	f.registry.MustRegister(v)
	return v
}

func (f *Figures) histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	f.note(Histogram, name, help, labels)
	v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	f.registry.MustRegister(v)
	return v
}
