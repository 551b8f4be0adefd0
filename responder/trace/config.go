package trace

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/trace"
)

// config is what we ourselves read of OpenTelemetry's variables.
type config struct {
	off     bool
	sampled func(trace.TraceID) bool
}

func readConfig(getenv func(string) string) (config, error) {
	first := func(names ...string) string {
		for _, n := range names {
			if v := strings.TrimSpace(getenv(n)); v != "" {
				return v
			}
		}
		return ""
	}
	exporters := first("OTEL_TRACES_EXPORTER")
	if strings.EqualFold(first("OTEL_SDK_DISABLED"), "true") || exporters == "none" || first("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT") == "" {
		return config{off: true}, nil
	}
	if exporters != "" && exporters != "otlp" {
		return config{}, fmt.Errorf("OTEL_TRACES_EXPORTER: %.40q is not supported: use otlp or none", exporters)
	}
	if p := first("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); p != "" && p != "http/protobuf" {
		return config{}, fmt.Errorf("OTEL_EXPORTER_OTLP_PROTOCOL: %.40q is not supported: use http/protobuf, which collectors take on port 4318", p)
	}
	sampled, err := sampler(first("OTEL_TRACES_SAMPLER"), first("OTEL_TRACES_SAMPLER_ARG"))
	return config{sampled: sampled}, err
}

// sampler chooses traces by OpenTelemetry's names. Parents make no difference: an
// alert's trace has none.
func sampler(name, arg string) (func(trace.TraceID) bool, error) {
	switch strings.TrimPrefix(name, "parentbased_") {
	case "", "always_on":
		return func(trace.TraceID) bool { return true }, nil
	case "always_off":
		return func(trace.TraceID) bool { return false }, nil
	case "traceidratio":
		share := 1.0
		if arg != "" {
			var err error
			if share, err = strconv.ParseFloat(arg, 64); err != nil || math.IsNaN(share) || share < 0 || share > 1 {
				return nil, fmt.Errorf("OTEL_TRACES_SAMPLER_ARG: %.40q is no share from 0 to 1", arg)
			}
		}
		return ratio(share), nil
	}
	return nil, fmt.Errorf("OTEL_TRACES_SAMPLER: %.40q is not supported: use always_on, always_off or traceidratio", name)
}

// ratio looks at the last seven bytes, as W3C's second level has it: in a UUID they
// are random. The SDK's own looks at the eighth too, whose first bits are the same in
// every UUID: of those it would choose all or none.
func ratio(share float64) func(trace.TraceID) bool {
	const bits = 56
	limit := uint64(math.Round(share * (1 << bits)))
	return func(id trace.TraceID) bool { return binary.BigEndian.Uint64(id[8:])&(1<<bits-1) < limit }
}
