package responder_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/client"
)

// A changed file of the guard's holds without a restart, and the record says so; a bad
// one changes nothing.
func TestAChangedGuardFile(t *testing.T) {
	r := newRig(t)
	r.options.GuardFile = filepath.Join(t.TempDir(), "guard.yaml")
	r.options.MetricsListen = "127.0.0.1:0"
	write := func(text string) { require.NoError(t, os.WriteFile(r.options.GuardFile, []byte(text), 0o600)) }
	write("cooldown: 1m\n")
	one, c := r.run(t)
	write("modes: {max: observe}\n")
	require.Eventually(t, func() bool {
		p, err := c.Audit(t.Context(), client.AuditFilter{Kind: "configuration"})
		return err == nil && len(p.Items) == 1
	}, patience, 20*time.Millisecond)
	r.send(t, critical(1, "c1"))
	require.Eventually(t, func() bool {
		p, err := c.Actions(t.Context(), client.ActionFilter{})
		return err == nil && len(p.Items) == 1 && p.Items[0].State == "observed"
	}, patience, 20*time.Millisecond)

	write("modes: {max: everything}\n")
	require.Eventually(t, func() bool {
		status, body := get(t, one.MetricsAddr(), "/metrics", "")
		return status == http.StatusOK && strings.Contains(body, `riposte_reload_failed{what="guard_file"} 1`)
	}, patience, 50*time.Millisecond)
	r.send(t, critical(2, "c2"))
	require.Eventually(t, func() bool {
		p, err := c.Actions(t.Context(), client.ActionFilter{State: "observed"})
		return err == nil && len(p.Items) == 2
	}, patience, 20*time.Millisecond)
}
