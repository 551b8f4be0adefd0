package command

import (
	"bytes"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"os"
	osexec "os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/apitest"
	"riposte/responder/audit"
	"riposte/responder/store/storetest"
)

// recordManual is docs/audit.md.
func recordManual(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../docs/audit.md")
	require.NoError(t, err)
	return string(b)
}

// block is the first block of a language in the manual after some text.
func block(t *testing.T, text, after, language string) string {
	t.Helper()
	_, text, ok := strings.Cut(text, after)
	require.True(t, ok, after)
	_, text, ok = strings.Cut(text, "```"+language+"\n")
	require.True(t, ok)
	text, _, ok = strings.Cut(text, "```\n")
	require.True(t, ok)
	return text
}

// signedRecord is a running API whose record is signed, and the files that the manual
// names: the public key and the checkpoints.
func signedRecord(t *testing.T) (*apitest.Env, ed25519.PublicKey) {
	t.Helper()
	e := apitest.Start(t, storetest.New(t))
	for i := range 3 {
		e.Add(t, i)
	}
	public, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	signer := audit.NewSigner(audit.SignerOptions{Store: e.Store, Key: key, Places: []audit.Place{&audit.File{Path: "checkpoints.jsonl"}}})
	require.NoError(t, signer.Round(t.Context(), true))
	pkix, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile("checkpoint.pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix}), 0o600))
	return e, public
}

// The manual's commands, one after the other.
func TestCommandsOfTheRecordsManual(t *testing.T) {
	manual := recordManual(t)
	t.Chdir(t.TempDir())
	e, _ := signedRecord(t)
	data := folder(t, e.URL, apitest.Token)
	ran := 0
	for line := range strings.Lines(block(t, manual, "## Commands", "console")) {
		words, to, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "$ riposte "), " > ")
		out, _, err := run(t, append(fields(words), "--data", data)...)
		require.NoError(t, err, line)
		if to != "" {
			require.NoError(t, os.WriteFile(to, []byte(out), 0o600))
		}
		ran++
	}
	require.Equal(t, 6, ran)
	var left int
	require.NoError(t, e.Store.Pool().QueryRow(t.Context(), "SELECT count(*) FROM audit WHERE seq = 2 AND reason IS NOT NULL").Scan(&left))
	require.Zero(t, left)

	// The same, of an export that somebody has shortened.
	export, err := os.ReadFile("export.jsonl")
	require.NoError(t, err)
	lines := strings.SplitAfter(strings.TrimSpace(string(export)), "\n")
	require.NoError(t, os.WriteFile("export.jsonl", []byte(strings.Join(lines[:len(lines)-1], "")), 0o600))
	out, _, err := run(t, "audit", "verify", "--file", "export.jsonl", "--key", "checkpoint.pub", "--checkpoints", "checkpoints.jsonl")
	require.Error(t, err)
	require.Contains(t, out, "BAD at entry 6: the tail is missing: entry 6 was signed at")
}

// The manual's questions: each is asked, and each has its plan kept.
func TestQuestionsOfTheRecordsManual(t *testing.T) {
	manual := recordManual(t)
	t.Chdir(t.TempDir())
	e, _ := signedRecord(t)
	data := folder(t, e.URL, apitest.Token)
	kept, err := os.ReadFile(filepath.Join(source, "..", "store", "audit_question_test.go"))
	require.NoError(t, err)
	ran := 0
	for line := range strings.Lines(block(t, manual, "## Questions", "console")) {
		words := fields(strings.TrimPrefix(strings.TrimSpace(line), "$ riposte "))
		_, _, err := run(t, append(words, "--data", data)...)
		require.NoError(t, err, line)
		ran++
		var flags []string
		for i, w := range words[1:] {
			if strings.HasPrefix(w, "--") {
				flags = append(flags, w)
			}
			if w == "--since" && len(flags) > 1 || w == "--by" {
				flags = append(flags, words[i+2])
			}
		}
		switch words[1] {
		case "query":
			require.Regexp(t, `name: "`+strings.Join(flags, " ")+`( [^,-][^"-]*)?"`, strings.ReplaceAll(string(kept), "--since T --until", "--since --until"), line)
		case "stats":
			require.Contains(t, string(kept), `{"stats `+strings.Join(flags, " ")+`"`, line)
		}
	}
	require.Equal(t, 25, ran)
}

// source is this package's folder, whatever folder a test has gone to.
var source, _ = os.Getwd()

// fields splits a command line at spaces outside of quotation marks.
func fields(line string) []string {
	var words []string
	for i, part := range strings.Split(line, `"`) {
		if i%2 == 1 {
			words = append(words, part)
		} else {
			words = append(words, strings.Fields(part)...)
		}
	}
	return words
}

// The manual's verifier knows nothing of Riposte and comes to the same.
func TestVerifierOfTheRecordsManual(t *testing.T) {
	manual := recordManual(t)
	dir := t.TempDir()
	t.Chdir(dir)
	e, public := signedRecord(t)
	program := block(t, manual, "A whole verifier", "go")
	require.NotContains(t, program, "riposte/responder")
	require.NoError(t, os.WriteFile("verify.go", []byte(program), 0o600))
	build := osexec.Command("go", "build", "-o", "verifier", "verify.go")
	out, err := build.CombinedOutput()
	require.NoError(t, err, string(out))
	export, _, err := run(t, "audit", "export", "--data", folder(t, e.URL, apitest.Token))
	require.NoError(t, err)
	verify := func(export string) (string, error) {
		c := osexec.Command(filepath.Join(dir, "verifier"), hex.EncodeToString(public))
		c.Stdin = bytes.NewBufferString(export)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	said, err := verify(export)
	require.NoError(t, err, said)
	require.Equal(t, "good map[test:6]\n", said)
	for _, change := range [][2]string{{"kill_container", "kill_cnotainer"}, {`"signature":"`, `"signature":"00`}, {`"seq":3`, `"seq":4`}} {
		said, err := verify(strings.Replace(export, change[0], change[1], 1))
		require.Error(t, err, "%v: %s", change, said)
	}
}
