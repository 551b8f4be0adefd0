package figures

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// set gives a value to the labels, in the order in which the metric has them.
type set func(value float64, labels ...string)

// pull is a metric that is read when somebody asks.
type pull struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(set)
}

// pulls are collected together. One after the other: some share what they read.
type pulls []pull

func (p *pulls) Describe(to chan<- *prometheus.Desc) {
	for _, m := range *p {
		to <- m.desc
	}
}

func (p *pulls) Collect(to chan<- prometheus.Metric) {
	for _, m := range *p {
		m.read(func(value float64, labels ...string) {
			labels = slices.Clone(labels)
			for i := range labels {
				labels[i] = label(labels[i])
			}
			c, err := prometheus.NewConstMetric(m.desc, m.kind, value, labels...)
			if err != nil {
				c = prometheus.NewInvalidMetric(m.desc, err)
			}
			to <- c
		})
	}
}

func (f *Figures) pull(kind Kind, name, help string, labels []string, read func(set)) {
	f.note(kind, name, help, labels)
	as := prometheus.GaugeValue
	if kind == Counter {
		as = prometheus.CounterValue
	}
	f.pulls = append(f.pulls, pull{prometheus.NewDesc(name, help, labels, nil), as, read})
}

// keepFor is how long an answer of the database or the bus is shown again, and
// askTime how long it may take.
const (
	keepFor = 5 * time.Second
	askTime = 2 * time.Second
)

// kept is an answer that costs something. What failed is not shown, and not asked
// for again at once either.
type kept[T any] struct {
	ask func(context.Context) (T, error)
	now func() time.Time

	mu     sync.Mutex
	at     time.Time
	value  T
	err    error
	failed uint64
}

func (k *kept[T]) get() (T, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if now := k.now(); k.at.IsZero() || now.Sub(k.at) >= keepFor || now.Before(k.at) {
		ctx, cancel := context.WithTimeout(context.Background(), askTime)
		defer cancel()
		if k.value, k.err = k.ask(ctx); k.err != nil {
			k.failed++
		}
		k.at = k.now()
	}
	return k.value, k.err == nil
}

func (k *kept[T]) failures() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.failed
}
