package scap_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/capture/scap"
	"riposte/agent/event"
	"riposte/agent/rules"
)

// TestOfficialRules runs Falco's own rules over a made capture of an attack in a
// container, in both layouts.
func TestOfficialRules(t *testing.T) {
	dir := os.Getenv("RIPOSTE_FALCO_RULES")
	if dir == "" {
		t.Skip("RIPOSTE_FALCO_RULES does not name the folder of Falco's official rule files")
	}
	content, err := os.ReadFile(filepath.Join(dir, "falco_rules.yaml"))
	require.NoError(t, err)
	set, err := rules.Load(rules.File{Name: "falco_rules.yaml", Content: content})
	require.NoError(t, err)
	both(t, func(t *testing.T, f *file) {
		f.event(60, 223, child(0, 60, 60, 1, 0, 0)...)
		f.event(60, 293, program(0, "/bin/evil", "-x\x00", 60, 1, cgroups, 0)...)
		f.event(60, 307, int64(3), int64(-100), "/etc/shadow", uint32(1), uint32(0), uint32(0), uint64(0))
		f.event(60, 3, int64(3), "/usr/../etc/../etc/shadow", uint32(1), uint32(0))
		f.event(60, 19, int64(4), uint32(2), uint32(1), uint32(0))
		f.event(60, 23, int64(0), inet(2, "10.0.0.1:4000", "93.184.216.34:443"), int64(4))
		f.event(60, 363, int64(0), int64(4), int64(0))
		f.event(60, 19, int64(5), uint32(17), uint32(3), uint32(0))
		f.event(60, 181, int64(0), "/etc/shadow", int64(-100), "s")
		f.event(60, 311, int64(0), int64(-100), "../etc/shadow", int64(-100), "h", uint32(0))
		f.event(60, 169, int64(0), []byte{0}, []byte{0}, uint16(11), int64(50))
		s, err := scap.Open(&f.Buffer, scap.Options{Types: set.Types()})
		require.NoError(t, err)
		var fired []string
		require.NoError(t, s.Run(t.Context(), func(e *event.Event) {
			set.Match(e, func(r *rules.Rule) { fired = append(fired, e.Type.String()+": "+r.Name) })
		}))
		require.Equal(t, []string{
			"execve: Drop and execute new binary in container",
			"openat: Read sensitive file untrusted",
			"open: Directory traversal monitored file read",
			"dup2: Redirect STDOUT/STDIN to Network Connection in Container",
			"socket: Packet socket created in container",
			"symlinkat: Create Symlink Over Sensitive Files",
			"linkat: Create Hardlink Over Sensitive Files",
			"ptrace: PTRACE attached to process",
		}, fired)
	})
}
