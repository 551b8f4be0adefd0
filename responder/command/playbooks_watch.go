package command

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"riposte/responder/playbook/sandbox"
)

// lookEvery is how often "test --watch" looks for changed files. Looking works on
// every file system.
const lookEvery = 300 * time.Millisecond

// follow runs the tests whenever a file of the directories has changed, until the
// command is ended.
func (t testRun) follow(cmd *cobra.Command, dirs []string) error {
	if len(dirs) == 0 {
		dirs = []string{"."}
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	last := ""
	for {
		if now := stampOf(sources(dirs)); now != last {
			last = now
			if err := t.once(cmd, dirs); err != nil {
				if cmd.Context().Err() != nil {
					return nil
				}
				fmt.Fprintln(cmd.ErrOrStderr(), visible(err.Error()))
			}
			fmt.Fprintln(cmd.ErrOrStderr(), "Waiting for a change. Ctrl-C ends this.")
		}
		select {
		case <-cmd.Context().Done():
			return nil
		case <-tick.C:
		}
	}
}

// stampOf differs when a file that the tests read was changed.
func stampOf(sources []sandbox.Source) string {
	var b strings.Builder
	for _, src := range sources {
		err := fs.WalkDir(src.FS, ".", func(rel string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case rel != "." && strings.HasPrefix(d.Name(), ".") && d.IsDir():
				return fs.SkipDir
			case d.IsDir() || !slices.Contains([]string{".rego", ".json", ".yaml", ".yml"}, path.Ext(rel)):
				return nil
			}
			info, err := fs.Stat(src.FS, rel)
			if err != nil && !os.IsNotExist(err) {
				return err
			}
			if err == nil {
				fmt.Fprintf(&b, "%s %d %d\n", rel, info.Size(), info.ModTime().UnixNano())
			}
			return nil
		})
		if err != nil {
			fmt.Fprintf(&b, "%s: %v\n", src.Name, err)
		}
	}
	return b.String()
}
