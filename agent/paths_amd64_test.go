//go:build linux

package agent

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pathRules ask for files in every way that a path can be asked for; DIR stands for
// their folder.
const pathRules = `
- rule: Clock
  desc: says how far an agent is
  condition: evt.type = openat and fd.name startswith DIR/end-
  output: "%fd.name"
  priority: NOTICE
- rule: By prefix
  desc: d
  condition: evt.type = openat and evt.is_open_read = true and fd.name startswith DIR/secret
  output: "%fd.name"
  priority: NOTICE
- rule: By directory
  desc: d
  condition: evt.type = openat and fd.directory in (DIR/d, /nowhere) and not proc.name = other
  output: "%fd.name"
  priority: NOTICE
- rule: By end
  desc: d
  condition: evt.type = openat and (fd.name endswith .p@m or fd.filename = k@y)
  output: "%fd.name"
  priority: NOTICE
- rule: By what was passed
  desc: d
  condition: evt.type = openat and fd.nameraw contains /../ and fd.name pmatch (DIR/d2)
  output: "%fd.name"
  priority: NOTICE
- rule: By writing
  desc: d
  condition: evt.type = openat and evt.is_open_write = true and proc.name = writer and not fd.name startswith DIR/secret
  output: "%fd.name"
  priority: NOTICE
`

// TestPathsMissNothing is what the path filter promises: the alerts are those of an agent
// without it.
func TestPathsMissNothing(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	s := newStage(t, "")
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	names := []string{"plain", "plain2", "secret", "secrets/x", "d/x", "d/sub/x", "d2/x", "a.p@m", "k@y", "sub/k@y", "dd", "@.mp", "long/" + strings.Repeat("l", 200)}
	for _, name := range names {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
		require.NoError(t, os.Symlink(filepath.Join(dir, name), filepath.Join(dir, fmt.Sprintf("link-%d", len(name)*100+int(name[0])))))
	}
	links, err := filepath.Glob(dir + "/link-*")
	require.NoError(t, err)
	s.reload(strings.ReplaceAll(pathRules, "DIR", dir))
	s.dir = dir
	a := s.actors[0]
	var story []string
	for n := range 300 {
		name := filepath.Join(dir, names[r.IntN(len(names))])
		switch r.IntN(8) {
		case 0:
			name = links[r.IntN(len(links))]
		case 1:
			name = strings.Replace(name, dir, dir+"/d/..", 1)
		case 2:
			name = strings.Replace(name, dir, "/proc/self/root"+dir, 1)
		case 3:
			name += "-none"
		}
		call := []string{"open", "open", "open", "openwrite"}[r.IntN(4)]
		if r.IntN(10) == 0 {
			a.Do("name", []string{"writer", "other", "plain"}[r.IntN(3)])
		}
		a.Do(call, name, "30")
		story = append(story, fmt.Sprintf("%s %s", call, name))
		if n%10 == 0 {
			s.wait()
		}
	}
	s.wait()
	fired := s.same(story, byPath)
	for _, rule := range []string{"By prefix", "By directory", "By end", "By what was passed", "By writing"} {
		require.NotZero(t, fired[rule], rule)
	}
}
