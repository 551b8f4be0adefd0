package kubetest

import (
	"strconv"
	"strings"
	"testing"
)

// Requests is how many objects of a resource the API server was asked to make and made
// since its start.
func (c *Cluster) Requests(t testing.TB, resource string) int {
	t.Helper()
	b, err := c.Client.CoreV1().RESTClient().Get().AbsPath("/metrics").DoRaw(t.Context())
	if err != nil {
		t.Fatal("ask the API server for its metrics:", err)
	}
	total := 0.0
	for line := range strings.Lines(string(b)) {
		labels, value, _ := strings.Cut(strings.TrimSpace(line), "} ")
		if !strings.HasPrefix(labels, "apiserver_request_total{") || !strings.Contains(labels, `code="201"`) ||
			!strings.Contains(labels, `resource="`+resource+`"`) || !strings.Contains(labels, `verb="POST"`) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("the API server's metric %q: %v", line, err)
		}
		total += n
	}
	return int(total)
}
