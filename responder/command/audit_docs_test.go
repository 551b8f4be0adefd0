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
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/docs/doctest"
	"riposte/responder/api/apitest"
	"riposte/responder/audit"
	"riposte/responder/store/storetest"
)

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

// Everything that docs/audit.md shows.
func TestTheRecordsManual(t *testing.T) {
	page := doctest.Open(t, "docs/audit.md")
	t.Run("commands", func(t *testing.T) { recordCommands(t, page) })
	t.Run("questions", func(t *testing.T) { recordQuestions(t, page) })
	t.Run("keys and roles", func(t *testing.T) { recordKeys(t, page) })
	t.Run("verifier", func(t *testing.T) { recordVerifier(t, page) })
}

// The manual's commands, one after the other.
func recordCommands(t *testing.T, page *doctest.Page) {
	t.Chdir(t.TempDir())
	e, _ := signedRecord(t)
	data := folder(t, e.URL, apitest.Token)
	ran := 0
	for _, c := range page.In(t, "Commands", "console").Commands() {
		words, to, _ := strings.Cut(c.Line, " > ")
		out, _, err := run(t, append(doctest.Words(words)[1:], "--data", data)...)
		require.NoError(t, err, c.Line)
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
func recordQuestions(t *testing.T, page *doctest.Page) {
	t.Chdir(t.TempDir())
	e, _ := signedRecord(t)
	data := folder(t, e.URL, apitest.Token)
	kept, err := os.ReadFile(filepath.Join(source, "..", "store", "audit_question_test.go"))
	require.NoError(t, err)
	ran := 0
	for _, c := range page.In(t, "Questions", "console").Commands() {
		line, words := c.Line, doctest.Words(c.Line)[1:]
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

// The keys are ones that a responder takes, and with the roles the database is as the
// manual says: a migration by its owner, and a role that can only add.
func recordKeys(t *testing.T, page *doctest.Page) {
	t.Chdir(t.TempDir())
	keys := page.In(t, "Keys and checkpoints", "sh")
	out, err := osexec.Command("bash", "-euc", keys.Text).CombinedOutput() //nolint:gosec // the manual's
	require.NoError(t, err, "%s: %s", keys.Name(), out)
	_, err = readPublicKey("checkpoint.pub")
	require.NoError(t, err)

	server := storetest.Empty(t)
	url := server
	roles := page.In(t, "Who may do what in the database", "sql")
	// The role that this server's responders have is there, and databases are the test's.
	const database = "manual"
	statements := strings.ReplaceAll(strings.Replace(roles.Text, "CREATE ROLE riposte_app LOGIN;\n", "", 1), "DATABASE riposte ", "DATABASE "+database+" ")
	t.Cleanup(func() { // all are the whole server's
		for _, s := range []string{"DROP DATABASE IF EXISTS " + database, "DROP ROLE IF EXISTS riposte_owner"} {
			said, err := psql(server, s)
			require.NoError(t, err, said)
		}
	})
	for statement := range strings.Lines(statements) {
		said, err := psql(url, statement)
		require.NoError(t, err, "%s: %s", statement, said)
	}
	url = regexp.MustCompile(`test_\d+`).ReplaceAllString(url, database)
	require.NoError(t, os.WriteFile("owner.url", []byte(url), 0o600))
	commands := page.AllIn(t, "Who may do what in the database", "sh")[0].Commands()
	require.Len(t, commands, 2)
	said, _, err := run(t, doctest.Words(commands[0].Line)[1:]...)
	require.NoError(t, err, commands[0].Line)
	require.Contains(t, said, "The schema is this version's.")
	require.NoError(t, NewResponder("", nil).ParseFlags(doctest.Words(strings.TrimSuffix(commands[1].Line, " ..."))[2:]))

	said, err = psql(storetest.App(url), "SELECT count(*) FROM audit")
	require.NoError(t, err, said)
	said, err = psql(storetest.App(url), "DELETE FROM audit")
	require.Error(t, err)
	require.Contains(t, said, "permission denied")
}

// psql runs statements as PostgreSQL's own client does, and returns what it prints.
func psql(url, statements string) (string, error) {
	out, err := osexec.Command("psql", url, "-v", "ON_ERROR_STOP=1", "-c", statements).CombinedOutput()
	return string(out), err
}

// The manual's verifier knows nothing of Riposte and comes to the same.
func recordVerifier(t *testing.T, page *doctest.Page) {
	dir := t.TempDir()
	t.Chdir(dir)
	e, public := signedRecord(t)
	program := page.In(t, "The format, byte by byte", "go").Text
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
