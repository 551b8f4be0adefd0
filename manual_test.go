package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/docs/doctest"
)

// desk is a folder in which the manual's commands are run, by a real shell that finds
// this program as "riposte".
type desk struct {
	dir string
	// here has what stands in the manual and what is in its place here, by turns:
	// folders, addresses, a node's name.
	here []string
	env  []string
}

// prelude is what is different here: whoever runs the tests is root or needs not be, and
// make only says what it would do, which fails for a target that there is not.
const prelude = `
sudo() { "$@"; }
make() { command make -n -C "$REPOSITORY" "$@" > /dev/null; }
`

// patience bounds a block: one that hangs must not hang the rest.
const patience = 3 * time.Minute

// poll is how often a file is looked at that somebody else writes.
const poll = 50 * time.Millisecond

func newDesk(t *testing.T, here ...string) *desk {
	t.Helper()
	d := &desk{dir: t.TempDir(), here: here}
	require.NoError(t, os.Chmod(d.dir, 0o711)) //nolint:gosec // PostgreSQL's user passes through
	program, err := os.Executable()
	require.NoError(t, err)
	bin := filepath.Join(t.TempDir(), "bin")
	require.NoError(t, os.Mkdir(bin, 0o755))
	for _, name := range []string{"riposte", "opa"} {
		require.NoError(t, os.Symlink(program, filepath.Join(bin, name)))
	}
	d.env = []string{
		"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + d.dir, "REPOSITORY=" + doctest.Root(), "NO_COLOR=1",
		"XDG_CONFIG_HOME=" + filepath.Join(d.dir, ".config"), "XDG_STATE_HOME=" + filepath.Join(d.dir, ".state"), "TMPDIR=" + os.TempDir(),
		"GOFLAGS=" + os.Getenv("GOFLAGS"), "GOCACHE=" + goEnv(t, "GOCACHE"), "GOMODCACHE=" + goEnv(t, "GOMODCACHE"),
	}
	return d
}

func goEnv(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// path is a file on the desk.
func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *desk) write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(d.path(name)), 0o755))
	require.NoError(t, os.WriteFile(d.path(name), []byte(text), 0o600))
}

// translate puts what is here in the place of what stands in the manual.
func (d *desk) translate(text string) string { return strings.NewReplacer(d.here...).Replace(text) }

// shell runs a script and returns what it prints.
func (d *desk) shell(t *testing.T, script string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", prelude+d.translate(script))
	c.Dir, c.Env, c.WaitDelay = d.dir, d.env, time.Second
	var out, diag strings.Builder
	c.Stdout, c.Stderr = &out, &diag
	err = c.Run()
	return out.String(), diag.String(), err
}

// run runs a block for a shell as a whole, so that a later line sees what an earlier one
// has set, and returns what it prints.
func (d *desk) run(t *testing.T, b *doctest.Block) string {
	t.Helper()
	script := b.Text
	if b.Lang == "console" {
		var lines []string
		for _, c := range b.Commands() {
			lines = append(lines, c.Line)
		}
		script = strings.Join(lines, "\n")
	}
	stdout, stderr, err := d.shell(t, script)
	require.NoError(t, err, "%s\n%s%s", b.Name(), stdout, stderr)
	return stdout + stderr
}

// page runs a page's blocks, each by its language.
func (d *desk) page(t *testing.T, p *doctest.Page, by map[string]func(*testing.T, *doctest.Block)) {
	t.Helper()
	for _, b := range p.Take() {
		run := by[b.Lang]
		if run == nil && (b.Lang == "sh" || b.Lang == "console") {
			run = func(t *testing.T, b *doctest.Block) { t.Helper(); d.run(t, b) }
		}
		require.NotNil(t, run, "%s: nothing runs %q", b.Name(), b.Lang)
		t.Run(fmt.Sprint("line ", b.Line), func(t *testing.T) { run(t, b) })
	}
}
