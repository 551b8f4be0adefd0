package figures

import "github.com/prometheus/client_golang/prometheus"

// Gatherer is what the handler asks; it hides no error.
func (f *Figures) Gatherer() prometheus.Gatherer { return f.registry }
