//go:build linux

package agent_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent"
	"riposte/agent/publish"
)

// TestConnectionToAName: the rule's name is resolved in the background, here by this
// host's own list.
func TestConnectionToAName(t *testing.T) {
	skipWithoutCapture(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`
- rule: To a name
  desc: a connection to a host that the rule names
  condition: evt.type = connect and proc.name = bash and fd.sip.name = localhost and fd.sport = `+strconv.Itoa(l.Addr().(*net.TCPAddr).Port)+`
  output: to a name (name=%fd.sip.name)
  priority: NOTICE
`), 0o600))
	out := &lines{}
	start(t, agent.Options{RuleFiles: []string{file}, DataDir: t.TempDir(), Output: out, Encoding: publish.Encoding{Format: publish.JSON, Riposte: true}})
	require.Eventually(t, func() bool {
		_ = exec.Command("/bin/bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/"+strconv.Itoa(l.Addr().(*net.TCPAddr).Port)).Run()
		out.mu.Lock()
		defer out.mu.Unlock()
		return len(out.all) > 0
	}, 30*time.Second, 50*time.Millisecond)
	out.mu.Lock()
	defer out.mu.Unlock()
	require.Equal(t, "localhost", out.all[0].OutputFields["fd.sip.name"])
}
