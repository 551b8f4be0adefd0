package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/deploy/logtest"
	"riposte/deploy/standalone"
)

// own is everything that happens in Riposte's data folder, and that this process does.
const own = `
- rule: Own
  desc: programs, files and connections
  condition: >
    evt.type in (execve, execveat, open, openat, openat2, creat, connect, accept, accept4, bind, listen, unlink, rename, renameat2, mkdir)
    and (proc.cwd startswith %[1]q or fd.name startswith %[1]q or proc.pid = %[2]d)%[3]s
  output: own=%%proc.name type=%%evt.type
  priority: DEBUG
`

// TestNothingOfItsOwnIsReported: PostgreSQL and NATS of `riposte up` store a drill's
// alerts, and with a rule about their files that is an alert itself, if it is asked for.
func TestNothingOfItsOwnIsReported(t *testing.T) {
	for name, asked := range map[string]bool{"hidden": false, "asked for": true} {
		t.Run(name, func(t *testing.T) {
			out := &logtest.Log{}
			s := start(t, func(o *standalone.Options) {
				file := filepath.Join(t.TempDir(), "own.yaml")
				only := ""
				if asked { // alerts about the agent are limited: these are PostgreSQL's
					only = " and proc.name = postgres"
				}
				require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, own, o.Data+"/", os.Getpid(), only), 0o600))
				o.RuleFiles, o.Alerts, o.ReportOwn = []string{"../../agent/rules/defaults/container.yaml", file}, out, asked
			})
			drill(t, s)
			drill(t, s) // what the first one caused is before the second one's alert
			if asked {
				require.Contains(t, out.String(), "own=postgres")
				return
			}
			require.NotContains(t, out.String(), "own=")
			require.Contains(t, out.String(), "/etc/shadow", "the drill is reported")
		})
	}
}
