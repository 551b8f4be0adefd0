package health

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Metric is one figure with all its samples.
type Metric struct {
	// Name is the whole name, prefix included.
	Name, Help string
	Kind       Kind
	Samples    []Sample
}

// Kind is what Prometheus calls the type.
type Kind string

// Kinds of a Metric.
const (
	Counter Kind = "counter"
	Gauge   Kind = "gauge"
)

// Sample is one value. Labels are name and value in turn.
type Sample struct {
	Labels []string
	Value  float64
}

// One makes a Metric of one sample.
func One(kind Kind, name, help string, value float64, labels ...string) Metric {
	return Metric{Name: name, Help: help, Kind: kind, Samples: []Sample{{Labels: labels, Value: value}}}
}

// Write prints figures in Prometheus's text format. A metric without a sample is
// left out.
func Write(b *bytes.Buffer, all []Metric) {
	for _, m := range all {
		if len(m.Samples) == 0 {
			continue
		}
		fmt.Fprintf(b, "# HELP %s %s\n# TYPE %s %s\n", m.Name, helpText.Replace(m.Help), m.Name, m.Kind)
		for _, s := range m.Samples {
			b.WriteString(m.Name)
			writeLabels(b, s.Labels)
			b.WriteByte(' ')
			b.WriteString(strconv.FormatFloat(s.Value, 'f', -1, 64))
			b.WriteByte('\n')
		}
	}
}

var (
	helpText  = strings.NewReplacer("\\", `\\`, "\n", `\n`)
	labelText = strings.NewReplacer("\\", `\\`, "\n", `\n`, `"`, `\"`)
)

func writeLabels(b *bytes.Buffer, labels []string) {
	for i := 0; i+1 < len(labels); i += 2 {
		sep := byte(',')
		if i == 0 {
			sep = '{'
		}
		b.WriteByte(sep)
		fmt.Fprintf(b, `%s="%s"`, LabelName(labels[i]), labelText.Replace(strings.ToValidUTF8(labels[i+1], "\ufffd")))
	}
	if len(labels) > 1 {
		b.WriteByte('}')
	}
}

// LabelName makes a text fit for the name of a label: what it may not have
// becomes an underscore.
func LabelName(s string) string {
	fit := func(i int, c byte) bool {
		return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9'
	}
	out := []byte(s)
	for i, c := range out {
		if !fit(i, c) {
			out[i] = '_'
		}
	}
	if len(out) == 0 {
		return "_"
	}
	return string(out)
}
