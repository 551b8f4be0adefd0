package command

import (
	"crypto/tls"
	"encoding/pem"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/apitest"
	"riposte/responder/store/storetest"
)

// config makes the user's configuration folder, with a token file.
func config(t *testing.T) (dir string) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	dir = filepath.Join(home, "riposte")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "good.token"), []byte(apitest.Token+"\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "bad.token"), []byte("bad"), 0o600))
	return dir
}

func TestContexts(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	e.Add(t, 1)
	dir := config(t)
	good := filepath.Join(dir, "good.token")
	do := func(line string) string {
		t.Helper()
		out, _, err := run(t, strings.Fields(line)...)
		require.NoError(t, err, line)
		return out
	}
	require.Contains(t, do("context add here --server "+e.URL+" --token-file "+good+" --namespace shop"), "The current one is here.")
	require.Contains(t, do("context add far --server https://far.example:1 --token-file "+good), "The current one is here.")
	info, err := os.Stat(filepath.Join(dir, "config.yaml"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	b, err := os.ReadFile(filepath.Join(dir, "config.yaml"))
	require.NoError(t, err)
	require.NotContains(t, string(b), apitest.Token)

	list := do("context list")
	require.Regexp(t, `(?m)^\* +here +`+e.URL+` +shop`, list)
	require.Contains(t, list, "far")
	require.Contains(t, do("context show"), "it is the current context")
	require.Contains(t, do("alerts list"), "a00000000001", "the current one")
	require.NotContains(t, do("alerts list -n cart"), "a00000000001")
	require.Contains(t, do("alerts list -A"), "a00000000001")
	do("context add here --server " + e.URL + " --token-file " + good + " --namespace cart")
	require.NotContains(t, do("alerts list"), "a00000000001", "its namespace")
	require.Contains(t, do("alerts list --all-namespaces"), "a00000000001")

	do("context use far")
	require.Contains(t, do("alerts list -A --context here"), "a00000000001")
	_, _, err = run(t, "alerts", "list")
	require.Equal(t, exitUnreachable, exitStatus(err), err)
	require.Contains(t, do("whoami --data "+folder(t, e.URL, apitest.Token)), "Name", "a named folder comes before the current context")
	// A named context is asked with its own token, whatever the environment says.
	t.Setenv("RIPOSTE_SERVER", "http://127.0.0.1:1")
	t.Setenv("RIPOSTE_TOKEN_FILE", filepath.Join(dir, "bad.token"))
	require.Contains(t, do("whoami --context here"), "admin of everything")
	t.Setenv("RIPOSTE_CONTEXT", "here")
	do("whoami")
	_, _, err = run(t, "whoami", "--token-file", filepath.Join(dir, "bad.token"))
	require.ErrorContains(t, err, "does not take this token")
	t.Setenv("RIPOSTE_CONTEXT", "")

	require.Contains(t, do("context remove far"), "forgotten")
	require.NotContains(t, do("context list"), "far")
	_, _, err = run(t, "status", "--context", "far")
	require.ErrorContains(t, err, `there is no context "far"; there are here`)
}

func TestContextsThatAreWrong(t *testing.T) {
	dir := config(t)
	file := filepath.Join(dir, "config.yaml")
	for name, tc := range map[string]struct {
		text string
		mode os.FileMode
		says string
	}{
		"open to others": {"contexts: []\n", 0o640, "chmod 600"},
		"no YAML":        {"contexts: [", 0o600, file},
		"another key":    {"contexts:\n  - name: a\n    token: secret\n", 0o600, "token"},
		"no name":        {"contexts:\n  - server: http://x\n", 0o600, `has the name ""`},
		"hostile name":   {"contexts:\n  - name: \"a\\e[2J\"\n", 0o600, "letters, digits"},
		"twice":          {"contexts:\n  - {name: a, server: s, token_file: t}\n  - {name: a, server: s, token_file: t}\n", 0o600, "two contexts a"},
		"no server":      {"contexts:\n  - {name: a, token_file: t}\n", 0o600, "a has no server"},
		"no token file":  {"contexts:\n  - {name: a, server: s}\n", 0o600, "a has no token_file"},
		"no such":        {"current: b\ncontexts:\n  - {name: a, server: s, token_file: t}\n", 0o600, `no context "b"`},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.WriteFile(file, []byte(tc.text), 0o600))
			require.NoError(t, os.Chmod(file, tc.mode))
			_, _, err := run(t, "status")
			require.ErrorContains(t, err, tc.says)
		})
	}
	require.NoError(t, os.Remove(file))
	for line, says := range map[string]string{
		"context add a --server nonsense --token-file TOKEN":                           "no address such as",
		"context add a --server http://x --token-file none":                            "no such file",
		"context add a/b --server http://x --token-file TOKEN":                         "no name of letters",
		"context add a --token-file TOKEN":                                             `required flag(s) "server"`,
		"context add a --server https://x --token-file TOKEN --ca TOKEN":               "no certificate in PEM",
		"context add a --server https://x --token-file TOKEN --cert TOKEN":             "[cert key]",
		"context add a --server https://x --token-file TOKEN --cert TOKEN --key TOKEN": "client's certificate",
		"context use a":    "`riposte context add` makes one",
		"context show a":   "no context",
		"context remove a": "no context",
	} {
		_, _, err := run(t, strings.Fields(strings.ReplaceAll(line, "TOKEN", filepath.Join(dir, "good.token")))...)
		require.ErrorContains(t, err, says, line)
	}
	_, errOut, err := run(t, "context", "add", "a", "--server", "http://riposte.example", "--token-file", filepath.Join(dir, "good.token"))
	require.NoError(t, err)
	require.Contains(t, errOut, "is not encrypted")
}

// A server whose certificate is from an authority of its own, and who asks for ours.
func TestContextWithCertificates(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	to, err := url.Parse(e.URL)
	require.NoError(t, err)
	front := httptest.NewUnstartedServer(httputil.NewSingleHostReverseProxy(to))
	front.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	front.StartTLS()
	t.Cleanup(front.Close)
	dir := config(t)
	token := filepath.Join(dir, "good.token")
	ca, cert, key := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	require.NoError(t, os.WriteFile(ca, certificate, 0o600))
	require.NoError(t, os.WriteFile(cert, certificate, 0o600))
	require.NoError(t, os.WriteFile(key, privatePEM(t, front.TLS.Certificates[0].PrivateKey), 0o600))
	add := func(more ...string) {
		_, _, err := run(t, append([]string{"context", "add", "a", "--server", front.URL, "--token-file", token}, more...)...)
		require.NoError(t, err)
	}
	add()
	_, _, err = run(t, "whoami")
	require.ErrorContains(t, err, "certificate")
	add("--ca", ca)
	_, _, err = run(t, "whoami")
	require.ErrorContains(t, err, "certificate required")
	add("--ca", ca, "--cert", cert, "--key", key)
	out, _, err := run(t, "whoami")
	require.NoError(t, err)
	require.Contains(t, out, front.URL)
}
