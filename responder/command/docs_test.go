package command

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/apitest"
	"riposte/responder/store/storetest"
)

// manualEnv is an API with everything that the examples of docs/cli.md are about.
func manualEnv(t *testing.T) *apitest.Env {
	t.Helper()
	e := apitest.StartWith(t, storetest.New(t), wellOptions())
	for _, i := range []int{1, 2, 3, 4, 7, 8} {
		e.Add(t, i)
	}
	e.Wait(t, 5, "budget-node")
	e.Wait(t, 6, "budget-node")
	e.Wait(t, 9, "budget-node")
	e.AddDeadLetter(t, 1)
	exec(t, e, `UPDATE actions SET state = 'planned', executing_ns = NULL, executed_ns = NULL, verified_ns = NULL, audited_ns = NULL, attempts = 0 WHERE id = $1`, apitest.ActionID(7))
	exec(t, e, `UPDATE actions SET type = 'freeze_container', lift_ns = $2 WHERE id = $1`, apitest.ActionID(8), time.Now().Add(time.Hour).UnixNano())
	exec(t, e, `INSERT INTO agents VALUES ('test', 'node-1', '0b0c7a2e-1d5f-4a52-9a3c-7d8e9f001122', '{"version":"1.2.3","source":"ebpf","rules":12,"lost":{"ring":3}}', $1)`, apitest.Base)
	return e
}

// examples are the commands in the sh blocks of the manual, without their comments.
func examples(t *testing.T, file string) (lines []string) {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	in := false
	for line := range strings.Lines(strings.ReplaceAll(string(b), "\\\n", " ")) {
		line = strings.TrimSpace(line)
		switch {
		case line == "```sh":
			in = true
		case line == "```":
			in = false
		case in && line != "":
			line, _, _ = strings.Cut(line, " #")
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// Every example of docs/cli.md, one after the other, against a real API.
func TestCommandsOfTheManual(t *testing.T) {
	e := manualEnv(t)
	data := folder(t, e.URL, apitest.Token)
	file, err := filepath.Abs("../../docs/cli.md")
	require.NoError(t, err)
	t.Chdir(t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	require.NoError(t, os.WriteFile("prod.token", []byte(apitest.Token), 0o600))
	require.NoError(t, os.Mkdir("guard", 0o700))
	require.NoError(t, os.WriteFile("guard/own.rego", []byte("package riposte.guard.own\n\nrefuse contains {\"rule\": \"none\", \"reason\": \"none\"} if input.target.namespace == \"none\"\n"), 0o600))
	ran := 0
	for _, line := range examples(t, file) {
		line, _, _ = strings.Cut(line, " || ")
		words := shellFields(line)
		require.Equal(t, "riposte", words[0], line)
		switch {
		case words[1] == "responder" || words[1] == "migrate":
			continue // they run one; responder_test.go has that
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
}

// shellFields splits a line as a shell does: at spaces outside of quotation marks.
func shellFields(line string) (words []string) {
	var word strings.Builder
	quote, any := rune(0), false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, any = r, true
		case quote == 0 && r == ' ':
			if word.Len() > 0 || any {
				words = append(words, word.String())
			}
			word.Reset()
			any = false
		default:
			word.WriteRune(r)
		}
	}
	if word.Len() > 0 || any {
		words = append(words, word.String())
	}
	return words
}
