package e2e_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/deploy/standalone"
	"riposte/responder/api/access"
	"riposte/responder/api/access/oidctest"
	"riposte/web"
)

// browse runs one of the scripts of web/e2e in a real browser. Each line that it says is
// answered with what goes to its standard input.
func browse(t *testing.T, answer func(said string) (line string), script string, args ...string) {
	t.Helper()
	// The picture is kept for whoever wants to look at it.
	picture, err := filepath.Abs("testdata/out/" + script + ".png")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(picture), 0o755))
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", append(append([]string{"e2e/" + script + ".mjs"}, args...), picture)...)
	cmd.Dir = "../../web"
	var diag strings.Builder
	cmd.Stderr = &diag
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	tell := func(line string) {
		if line != "" {
			_, err := fmt.Fprintln(in, line)
			require.NoError(t, err)
		}
	}
	tell(answer(""))
	for scan := bufio.NewScanner(out); scan.Scan(); {
		tell(answer(scan.Text()))
	}
	require.NoError(t, cmd.Wait(), diag.String())
}

func needBrowser(t *testing.T) {
	t.Helper()
	for what, file := range map[string]string{
		"Chromium": "/usr/bin/chromium", "the built console (make web)": "../../web/dist/index.html", "the console's packages (make web)": "../../web/node_modules/playwright-core",
	} {
		if _, err := os.Stat(file); err != nil {
			missing(t, what)
		}
	}
}

// TestTheConsole signs in with a real browser and sees the drill come, live.
func TestTheConsole(t *testing.T) {
	needBrowser(t)
	dir := dataDir(t)
	s := start(t, func(o *standalone.Options) { o.Data, o.Console = dir, web.FS() })
	token, err := os.ReadFile(filepath.Join(dir, "token"))
	require.NoError(t, err)
	var all []string
	browse(t, func(said string) string {
		switch said {
		case "":
			return strings.TrimSpace(string(token))
		case "live":
			drill(t, s)
		}
		all = append(all, said)
		return ""
	}, "console", s.URL())
	require.Equal(t, []string{"live", "seen"}, all)
}

// TestTheConsoleThroughAnIssuer goes with a real browser to the issuer and back: refused,
// let in, let in again when the session has ended, and signed out at both.
func TestTheConsoleThroughAnIssuer(t *testing.T) {
	needBrowser(t)
	// The console's address stands in the access file, so that it is chosen before.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	listen := l.Addr().String()
	require.NoError(t, l.Close())
	_, port, err := net.SplitHostPort(listen)
	require.NoError(t, err)
	url := "http://localhost:" + port // another site than the issuer's, to a browser

	issuer := oidctest.New(t)
	issuer.Register(oidctest.Client{ID: "riposte", Redirect: url + access.CallbackPath, LoggedOut: url + "/"})
	issuer.Behave(oidctest.Behaviour{Deny: "access_denied", Says: "<img src=x> not you"})
	dir := dataDir(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "access.yaml"), fmt.Appendf(nil, `
oidc: {issuer: %q, audience: riposte, console: {url: %q}}
grants: [{to: ["oidc:group:sre"], role: viewer}]
`, issuer.URL, url), 0o600))
	start(t, func(o *standalone.Options) { o.Data, o.Console, o.Listen = dir, web.FS(), listen })
	var all []string
	browse(t, func(said string) string {
		if said != "" {
			all = append(all, said)
		}
		if said == "refused" {
			issuer.Behave(oidctest.Behaviour{})
			return "go on"
		}
		return ""
	}, "signin", url, "oidc:jane@example.com")
	require.Equal(t, []string{"refused", "out"}, all)
	require.EqualValues(t, 1, issuer.Ended.Load())
}
