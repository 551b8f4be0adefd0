package command

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	"github.com/spf13/cobra"

	"riposte/responder/playbook/sandbox"
)

func newPlaybooksFmt() *cobra.Command {
	var check, diff bool
	c := &cobra.Command{
		Use: "fmt [FILE|DIR...]", Short: "Format Rego files as OPA formats them",
		Long: `Rewrite the Rego files of directories, this one if none is given, as OPA formats them,
and print the names of those that changed. With --check or --diff nothing is written,
and the exit code is 1 if a file is not formatted.`,
		Example: "  riposte playbooks fmt ./playbooks\n  riposte playbooks fmt --check --diff ./playbooks",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"."}
			}
			files, err := regoFiles(args)
			if err != nil {
				return err
			}
			var errs sandbox.Errors
			changed := 0
			for _, file := range files {
				before, err := readRego(file)
				if err != nil {
					return err
				}
				after, err := sandbox.Format(file, before)
				if err != nil {
					errs = errs.Append(err)
					continue
				}
				if bytes.Equal(before, after) {
					continue
				}
				changed++
				if diff {
					err = printDiff(cmd, file, before, after)
				} else {
					_, err = fmt.Fprintln(cmd.OutOrStdout(), file)
				}
				if err == nil && !check && !diff {
					err = replaceFile(file, after)
				}
				if err != nil {
					return err
				}
			}
			switch {
			case len(errs) > 0:
				return explain(cmd.ErrOrStderr(), errs)
			case changed > 0 && (check || diff):
				return fmt.Errorf("%s not formatted: run `riposte playbooks fmt`", count(changed, "file"))
			}
			return nil
		},
	}
	c.Flags().BoolVar(&check, "check", false, "only say which files are not formatted")
	c.Flags().BoolVar(&diff, "diff", false, "only show what would change")
	return c
}

// regoFiles are the files named, and the Rego files of the directories named.
func regoFiles(args []string) ([]string, error) {
	var out []string
	for _, root := range args {
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && name != root && strings.HasPrefix(d.Name(), "."):
				return fs.SkipDir
			case d.Type().IsRegular() && (name == root || filepath.Ext(name) == ".rego"):
				out = append(out, name)
			}
			if len(out) > sandbox.MaxFiles {
				return fmt.Errorf("more than %d Rego files in %s: is this the right directory?", sandbox.MaxFiles, root)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no Rego file in %s", strings.Join(args, ", "))
	}
	return out, nil
}

func readRego(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > sandbox.MaxFileBytes {
		return nil, fmt.Errorf("%s is %d bytes long: %d are allowed", file, info.Size(), sandbox.MaxFileBytes)
	}
	return os.ReadFile(file)
}

func printDiff(cmd *cobra.Command, file string, before, after []byte) error {
	return difflib.WriteUnifiedDiff(cmd.OutOrStdout(), difflib.UnifiedDiff{
		A: linesIn(before), B: linesIn(after), FromFile: file, ToFile: file + " (formatted)", Context: 3,
	})
}

// linesIn are a text's lines with their ends.
func linesIn(text []byte) []string { return slices.Collect(strings.Lines(string(text))) }

// replaceFile writes beside the file and renames, so that a crash leaves one or the other.
func replaceFile(file string, text []byte) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".riposte-fmt-*")
	if err != nil {
		return err
	}
	_, err = temp.Write(text)
	err = errors.Join(err, temp.Chmod(info.Mode().Perm()), temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}
