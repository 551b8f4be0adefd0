package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"riposte/responder/playbook/scaffold"
)

func newPlaybooksNew() *cobra.Command {
	var o scaffold.Options
	var from oneAlert
	var dir string
	var force bool
	c := &cobra.Command{
		Use: "new NAME", Short: "Begin a playbook, with its test", Args: cobra.ExactArgs(1),
		Long: `Write NAME.rego and NAME_test.rego into a directory. With a stored alert, or one in a
file, the alert becomes the test's fixture NAME.json and its rule the trigger; the action
is one that fits what the alert is about. The playbook observes: nothing is done before
somebody says so. What it writes passes check, fmt --check and test.`,
		Example: "  riposte playbooks new delete_miners --dir ./playbooks\n  riposte playbooks new shells --from-alert 8d3f6c1e2a44 --action isolate_pod --dir ./playbooks",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Name = args[0]
			if from.id != "" || from.file != "" {
				r, err := from.read(cmd)
				if err != nil {
					return err
				}
				if o.Input, err = indented(r.Input); err != nil {
					return err
				}
			}
			files, err := scaffold.New(o, registry())
			if err != nil {
				return err
			}
			write := []newFile{{o.Name + ".rego", files.Playbook}, {o.Name + "_test.rego", files.Test}}
			if files.Fixture != nil {
				write = append(write, newFile{o.Name + ".json", files.Fixture})
			}
			if err := writeNew(dir, write, force); err != nil {
				return err
			}
			for _, f := range write {
				fmt.Fprintln(cmd.OutOrStdout(), filepath.Join(dir, f.name))
			}
			return nil
		},
	}
	ConnectFlags(c)
	f := c.Flags()
	f.StringVar(&dir, "dir", ".", "directory to write into; it is made if it is not there")
	f.StringVar(&o.Owner, "owner", "", "who answers for it")
	f.StringVar(&o.Action, "action", "", "what it proposes (default: what fits the alert, or delete_pod)")
	f.StringVar(&from.id, "from-alert", "", "id of a stored alert to begin with")
	f.StringVarP(&from.file, "file", "f", "", "file with an alert or a playbook's input to begin with, - for the standard input")
	f.BoolVar(&force, "force", false, "write over files that are there")
	c.MarkFlagsMutuallyExclusive("from-alert", "file")
	must(c.MarkFlagDirname("dir"))
	must(c.MarkFlagFilename("file", "json"))
	must(c.RegisterFlagCompletionFunc("action", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var names []string
		for name := range registry() {
			names = append(names, name)
		}
		slices.Sort(names)
		return names, cobra.ShellCompDirectiveNoFileComp
	}))
	return c
}

type newFile struct {
	name string
	text []byte
}

// writeNew writes all the files or, if one is there already, none.
func writeNew(dir string, files []newFile, force bool) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, f := range files {
		_, err := os.Lstat(filepath.Join(dir, f.name))
		switch {
		case err == nil && !force:
			return fmt.Errorf("%s is there already: give another name, or --force", filepath.Join(dir, f.name))
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return err
		}
	}
	for _, f := range files {
		how := os.O_WRONLY | os.O_CREATE | os.O_EXCL
		if force {
			how = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
		}
		out, err := os.OpenFile(filepath.Join(dir, f.name), how, 0o644)
		if err != nil {
			return err
		}
		_, err = out.Write(f.text)
		if err := errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
	return nil
}
