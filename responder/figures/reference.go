package figures

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

//go:generate go run ./generate ../../docs/metrics.md

// WriteReference writes docs/metrics.md.
func WriteReference(w io.Writer) error {
	f := New(nil)
	f.Read(Sources{})
	all := slices.SortedFunc(slices.Values(f.Metrics()), func(a, b Metric) int { return cmp.Compare(a.Name, b.Name) })
	var b strings.Builder
	b.WriteString(head)
	for _, m := range all {
		labels := strings.Join(m.Labels, ", ")
		if labels == "" {
			labels = "–"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", m.Name, m.Kind, labels, m.Help)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const head = `<!-- Made by "make generate" from responder/figures. Do not edit. -->

# Metrics of the responder

` + "`--metrics-listen 127.0.0.1:7413`" + `, of ` + "`riposte responder`" + ` and ` + "`riposte up`" + `, serves Prometheus's metrics at ` + "`/metrics`" + `, and ` + "`/healthz`" + ` and
` + "`/readyz`" + ` for Kubernetes' probes, on an address of their own. Without the flag there is no such address. Nothing else is
served there, and nobody has to sign in: bind it to 127.0.0.1, or to the pod's address behind a NetworkPolicy that lets
Prometheus alone in.

| Path | Answer |
| --- | --- |
| ` + "`/healthz`" + ` | 200 while the process lives |
| ` + "`/readyz`" + ` | 200 if an alert that comes now could be decided and acted on, else 503. Which part is missing is told to a request with the API's token, and in the log once per change |
| ` + "`/metrics`" + ` | what follows, and the usual metrics of the Go runtime (` + "`go_*`" + `) and the process (` + "`process_*`" + `) |

- Counters begin at 0 with the process. What holds for all responders together is read from the database, at most every 5 s;
  while that cannot be read it is left out. Take ` + "`max by`" + `, not ` + "`sum by`" + `, of those.
- Rules, namespaces and hosts come from alerts, which a node's owner can make up. So each node has room for 100
  combinations, and all together for 20,000; what comes beyond is counted as "other".
- ` + "`falcosecurity_falcosidekick_*`" + ` are Falcosidekick's names and labels since 2.30, so that its dashboards go on working. Its
  ` + "`k8s_pod_name`" + ` is always empty here: a series for each pod there ever was grows without end.
- The agent's metrics are in [agent-configuration.md](agent-configuration.md). How an alert's way is traced: [tracing.md](tracing.md).

| Name | Type | Labels | Meaning |
| --- | --- | --- | --- |
`
