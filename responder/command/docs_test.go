package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/docs/doctest"
	"riposte/responder/api/apitest"
	"riposte/responder/store/storetest"
)

// manualEnv is an API with everything that the examples of docs/cli.md are about.
func manualEnv(t *testing.T) *apitest.Env {
	t.Helper()
	e := apitest.StartWith(t, storetest.New(t), wellOptions())
	e.AddManual(t)
	return e
}

// Every example of docs/cli.md, one after the other, against a real API.
func TestCommandsOfTheManual(t *testing.T) {
	e := manualEnv(t)
	data := folder(t, e.URL, apitest.Token)
	page := doctest.Open(t, "docs/cli.md")
	t.Chdir(t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	require.NoError(t, os.WriteFile("prod.token", []byte(apitest.Token), 0o600))
	require.NoError(t, os.Mkdir("guard", 0o700))
	require.NoError(t, os.WriteFile("guard/own.rego", []byte("package riposte.guard.own\n\nrefuse contains {\"rule\": \"none\", \"reason\": \"none\"} if input.target.namespace == \"none\"\n"), 0o600))
	var commands []doctest.Command
	for _, b := range page.Take("sh") {
		commands = append(commands, b.Commands()...)
	}
	ran := 0
	for _, c := range commands {
		line, _, _ := strings.Cut(c.Line, " || ")
		words := doctest.Words(line)
		require.Equal(t, "riposte", words[0], line)
		switch {
		case words[1] == "responder": // the module's own tests run one
			require.NoError(t, NewResponder("", nil).ParseFlags(words[2:]), line)
			continue
		case words[1] == "context" || words[1] == "guard" && words[2] == "check":
		case words[1] == "whoami": // of the context before it, at this test's address
			words = append(words, "--context", "prod", "--server", e.URL)
		default:
			words = append(words, "--data", data)
		}
		_, _, err := run(t, words[1:]...)
		if words[1] == "status" {
			require.ErrorIs(t, err, errNotWell, line)
		} else {
			require.NoError(t, err, line)
		}
		ran++
	}
	require.Greater(t, ran, 30)

	// The file of contexts is one that the command line reads.
	require.NoError(t, os.WriteFile(filepath.Join(os.Getenv("XDG_CONFIG_HOME"), "riposte", "config.yaml"), []byte(page.In(t, "Which Riposte", "yaml").Text), 0o600))
	out, _, err := run(t, "context", "list", "-o", "json")
	require.NoError(t, err)
	require.Contains(t, out, `"https://riposte.example.com"`)
}
