package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/deploy/standalone"
	"riposte/web"
)

// TestTheConsole signs in with a real browser and sees the drill come, live.
func TestTheConsole(t *testing.T) {
	for what, file := range map[string]string{
		"Chromium": "/usr/bin/chromium", "the built console (make web)": "../../web/dist/index.html", "the console's packages (make web)": "../../web/node_modules/playwright-core",
	} {
		if _, err := os.Stat(file); err != nil {
			missing(t, what)
		}
	}
	dir := dataDir(t)
	s := start(t, func(o *standalone.Options) { o.Data, o.Console = dir, web.FS() })
	token, err := os.ReadFile(filepath.Join(dir, "token"))
	require.NoError(t, err)

	// The picture is kept for whoever wants to look at it.
	picture, err := filepath.Abs("testdata/out/console.png")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(picture), 0o755))
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", "e2e/console.mjs", s.URL(), picture)
	cmd.Dir = "../../web"
	var diag strings.Builder
	cmd.Stderr = &diag
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	_, err = fmt.Fprintf(in, "%s\n", strings.TrimSpace(string(token)))
	require.NoError(t, err)
	require.NoError(t, in.Close())
	var said []string
	for scan := bufio.NewScanner(out); scan.Scan(); {
		said = append(said, scan.Text())
		if scan.Text() == "live" {
			drill(t, s)
		}
	}
	require.NoError(t, cmd.Wait(), diag.String())
	require.Equal(t, []string{"live", "seen"}, said)
}
