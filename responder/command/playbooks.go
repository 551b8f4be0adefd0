package command

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"riposte/playbooks"
	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

// NewPlaybooks is the command "playbooks": what an author of playbooks needs, which
// works on files alone, and the modes of those that a running responder has.
func NewPlaybooks() *cobra.Command {
	c := &cobra.Command{
		Use:   "playbooks",
		Short: "Write, check, test and replay playbooks, list them and set their modes",
		Long: "Write, check, test and replay the playbooks that decide what is done about an alert,\n" +
			"and switch them on. Without a directory the playbooks that come with Riposte are meant.\n\n" +
			"The exit code is 0 if all is well, 2 if a replay is beyond its bounds, and 1 for\n" +
			"everything else: an error in a playbook, a test that fails, a file that is not\n" +
			"formatted, a server that does not answer.",
		Example: "  riposte playbooks new delete_miners --dir ./playbooks\n  riposte playbooks check ./playbooks\n  riposte playbooks test --coverage ./playbooks\n" +
			"  riposte playbooks replay --since 7d ./playbooks\n  riposte playbooks promote delete_miners",
	}
	c.AddCommand(
		newPlaybooksNew(), newPlaybooksCheck(), newPlaybooksFmt(), newPlaybooksTest(), newPlaybooksCoverage(), newPlaybooksEval(), newPlaybooksExplain(),
		newPlaybooksReplay(), newPlaybooksList(), newPlaybooksShow(), newPlaybooksMode(), newPlaybooksPromote(), newPlaybooksDemote(), newPlaybooksSource(), newPlaybooksSchema(),
	)
	return c
}

func sources(dirs []string) []sandbox.Source {
	if len(dirs) == 0 {
		return []sandbox.Source{playbook.Embedded()}
	}
	out := make([]sandbox.Source, len(dirs))
	for i, dir := range dirs {
		out[i] = playbook.Dir(dir)
	}
	return out
}

// explain prints located errors, one a line, and returns the sum of them.
func explain(w io.Writer, err error) error { return explainIn(w, err, "the playbooks") }

func explainIn(w io.Writer, err error, where string) error {
	var errs sandbox.Errors
	if !errors.As(err, &errs) {
		return err
	}
	for _, e := range errs {
		fmt.Fprintln(w, e)
	}
	return fmt.Errorf("%s in %s: correct it and check again", count(len(errs), "error"), where)
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

func newPlaybooksCheck() *cobra.Command {
	var keyFile string
	c := &cobra.Command{
		Use:   "check [DIR|BUNDLE...]",
		Short: "Compile playbooks and check their metadata",
		Long: "Compile each playbook as the responder does: strict, against the schema of the\n" +
			"input, with the built-ins that are allowed, and with its METADATA block read in\n" +
			"full. The actions that it writes out are checked against docs/actions.md. Every error is\n" +
			"printed with its file, line and column, inside a bundle too, and the exit code is then 1.",
		Example: "  riposte playbooks check\n  riposte playbooks check ./playbooks\n  riposte playbooks check --bundle-key key.pem bundle.tar.gz",
		RunE: func(cmd *cobra.Command, args []string) error {
			all, unread := bundleSources(args, keyFile, cmd.ErrOrStderr())
			if all == nil {
				return unread
			}
			good, err := playbook.Check(all...)
			errs := sandbox.Errors(nil).Append(unread).Append(err).Append(playbook.CheckActions(registry(), all...))
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 8, 2, ' ', 0)
			for _, p := range good {
				if !slices.ContainsFunc(errs, func(e *sandbox.Error) bool { return slices.Contains(p.Files, e.File) }) {
					fmt.Fprintf(w, "OK\t%s\t%s\t%s\n", p.Name, p.Mode, strings.Join(p.Files, " "))
				}
			}
			if err := w.Flush(); err != nil {
				return err
			}
			if len(errs) > 0 {
				slices.SortStableFunc(errs, func(a, b *sandbox.Error) int {
					return cmp.Or(strings.Compare(a.File, b.File), a.Line-b.Line, a.Column-b.Column)
				})
				return explain(cmd.ErrOrStderr(), errs)
			}
			if len(good) == 0 {
				return fmt.Errorf("no playbook in %s: a playbook is a .rego file of package playbooks.<name>", strings.Join(args, ", "))
			}
			return nil
		},
	}
	c.Flags().StringVar(&keyFile, "bundle-key", "", "file with the public key that bundles must be signed by (PEM)")
	return c
}

func newPlaybooksSchema() *cobra.Command {
	return &cobra.Command{
		Use:       "schema [input|guard]",
		Short:     "Print the JSON schema of what a playbook or a guard rule sees",
		Example:   "  riposte playbooks schema > input.json\n  riposte playbooks schema guard",
		ValidArgs: []string{"input", "guard"},
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := playbooks.Schema(append(args, "input")[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), string(b))
			return err
		},
	}
}
