package command

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/apitest"
	"riposte/responder/store/storetest"
)

// exitStatus is what main makes of an error.
func exitStatus(err error) int {
	var c interface{ ExitStatus() int }
	switch {
	case err == nil:
		return 0
	case errors.As(err, &c):
		return c.ExitStatus()
	}
	return 1
}

// Every documented exit code, and no other.
func TestExitCodes(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 1)
	good := folder(t, e.URL, apitest.Token)
	viewer, _, err := run(t, "tokens", "create", "viv", "--role", "viewer", "--data", good)
	require.NoError(t, err)
	viv := folder(t, e.URL, strings.TrimSpace(viewer))
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	gone := folder(t, "http://"+dead.Addr().String(), "t")
	require.NoError(t, dead.Close())
	manual, err := os.ReadFile("../../docs/cli.md")
	require.NoError(t, err)
	_, manualCodes, ok := strings.Cut(string(manual), "## Exit codes")
	require.True(t, ok)
	documented := map[int]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(manualCodes, -1) {
		n, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		documented[n] = true
	}
	seen := map[int]bool{2: true} // playbooks replay has a test of its own
	for _, c := range []struct {
		line string
		code int
	}{
		{"alerts list --data " + good, 0},
		{"playbooks check " + filepath.Join(t.TempDir(), "none"), 1},
		{"alerts list --data " + filepath.Join(good, "nothing") + " --server http://127.0.0.1:1", 1}, // no token
		{"actions show c00000000009 --data " + good, exitNotFound},
		{"agents show nobody --data " + good, exitNotFound},
		{"context use nothing", exitNotFound},
		{"tokens list --data " + viv, exitRefused},
		{"alerts list --data " + folder(t, e.URL, "wrong"), exitRefused},
		{"actions cancel c00000000001 --reason late --data " + good, exitRefused},
		{"alerts list --data " + gone, exitUnreachable},
		{"alerts list --data " + t.TempDir(), exitUnreachable},
		{"status --data " + good, exitNotWell},
		{"alerts list --nothing", exitUsage},
		{"alerts lst", exitUsage},
		{"actions show", exitUsage},
		{"actions cancel c00000000001 --data " + good, exitUsage},
		{"alerts list -n shop -A --data " + good, exitUsage},
		{"alerts list -o xml --data " + good, exitUsage},
		{"alerts list -o jsonpath={.a --data " + good, exitUsage},
		{"alerts list --watch -o csv --data " + good, exitUsage},
		{"actions show nope --data " + good, exitUsage},
		{"actions list --state done --data " + good, exitUsage},
		{"alerts list --limit 0 --data " + good, exitUsage},
	} {
		_, _, err := run(t, strings.Fields(c.line)...)
		require.Equal(t, c.code, exitStatus(err), "%s: %v", c.line, err)
		seen[c.code] = true
	}
	require.Equal(t, documented, seen)
}
