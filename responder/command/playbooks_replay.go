package command

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"riposte/responder/api/client"
	"riposte/responder/playbook"
	"riposte/responder/playbook/replay"
)

// replaying is what "replay" was asked to do.
type replaying struct {
	since, file, base, guardFile, form, markdown, mode string
	names                                              []string
	ready                                              int
	bounds                                             replay.Bounds
}

// replayForms are the forms of a replay's report.
var replayForms = []string{"table", "json", "markdown"}

func newPlaybooksReplay() *cobra.Command {
	var r replaying
	c := &cobra.Command{
		Use: "replay [DIR...]", Short: "Replay what was decided against changed playbooks",
		Long: `Ask the playbooks of directories, or those that come with Riposte, about the inputs of
the decisions of the last days, and compare: which actions would be added, removed and
changed, which pods would have been deleted, which limits of the guard reached, and how
long it would have taken. Only playbooks of these directories are compared. Nothing is
done and nothing is written on the server.

The inputs come from the running Riposte, or from a file with one JSON object a line: an
alert, of ours or of Falco's, a playbook's input, or a line that this Riposte exported.
With --base they are compared with other playbooks instead of with what was recorded.

The exit code is 2 if a --max- bound is exceeded, and 1 if the replay itself fails; that
there is nothing to replay is a failure too.`,
		Example: `  riposte playbooks replay --since 7d ./playbooks
  riposte playbooks replay --max-added 5 --max-removed 0 --max-deleted-pods 10 -o markdown ./playbooks
  riposte playbooks replay --file alerts.jsonl --base ./playbooks.old ./playbooks`,
		RunE: r.run,
	}
	ConnectFlags(c)
	f := c.Flags()
	f.StringVar(&r.since, "since", "7d", "how far back: a duration such as 24h or 7d, or a time")
	f.StringVar(&r.file, "file", "", "file to replay instead, - for the standard input")
	f.StringVar(&r.base, "base", "", "directory of playbooks to compare with, in place of what was recorded")
	f.StringSliceVar(&r.names, "playbook", nil, "only these playbooks")
	f.StringVar(&r.mode, "as-mode", "", "as if the changed playbooks were in this mode: observe, approve or enforce")
	f.StringVar(&r.guardFile, "guard-file", "", "file with the guard's limits (default: the guard's own)")
	f.IntVar(&r.ready, "ready-replicas", assumedReady, "how many ready replicas each workload is taken to have")
	f.StringVarP(&r.form, "output", "o", "table", "form of the report: table, json or markdown")
	f.StringVar(&r.markdown, "markdown", "", "write the report as Markdown into this file too")
	f.Int64Var(&r.bounds.Added, "max-added", -1, "how many actions may be added; -1: any number")
	f.Int64Var(&r.bounds.Removed, "max-removed", -1, "how many actions may be removed")
	f.Int64Var(&r.bounds.Changed, "max-changed", -1, "how many actions may be changed")
	f.Int64Var(&r.bounds.DeletedPods, "max-deleted-pods", -1, "how many pods may be deleted")
	must(c.MarkFlagFilename("file", "jsonl"))
	must(c.MarkFlagFilename("guard-file", "yaml"))
	must(c.MarkFlagFilename("markdown", "md"))
	must(c.MarkFlagDirname("base"))
	complete(c, "output", replayForms)
	complete(c, "as-mode", modes)
	must(c.RegisterFlagCompletionFunc("playbook", completePlaybooks))
	return c
}

func (r *replaying) run(cmd *cobra.Command, dirs []string) error {
	if !slices.Contains(replayForms, r.form) {
		return fmt.Errorf("--output: there is no form %q: use %s", r.form, strings.Join(replayForms, ", "))
	}
	if r.mode != "" && !slices.Contains(modes, r.mode) {
		return fmt.Errorf("--as-mode: %q is none of %s", r.mode, strings.Join(modes, ", "))
	}
	o := replay.Options{Actions: registry(), Mode: playbook.Mode(r.mode), Ready: r.ready}
	var err error
	if o.Set, err = load(cmd, dirs); err != nil {
		return err
	}
	if r.base != "" {
		if o.Base, err = load(cmd, []string{r.base}); err != nil {
			return err
		}
	}
	if o.Names = namesIn(o.Set, dirs); len(r.names) > 0 {
		for _, n := range r.names {
			if !slices.Contains(o.Names, n) {
				return fmt.Errorf("--playbook: there is no %q: there are %s", n, strings.Join(o.Names, ", "))
			}
		}
		o.Names = r.names
	}
	if o.Guard, err = guardOptions(r.guardFile); err != nil {
		return err
	}
	report, err := r.replay(cmd, o)
	if err != nil {
		return err
	}
	if report.Unreadable == report.Alerts {
		return fmt.Errorf("no line could be read: %s", visible(strings.Join(report.Errors, "; ")))
	}
	return r.report(cmd, report)
}

func (r *replaying) replay(cmd *cobra.Command, o replay.Options) (report *replay.Report, err error) {
	progress := newProgress(cmd.ErrOrStderr())
	o.Progress = progress.tell
	defer progress.end()
	if r.file == "" {
		from, err := since(r.since, time.Now())
		if err != nil {
			return nil, err
		}
		err = call(cmd, func(ctx context.Context, c *client.Client) (err error) {
			report, err = replay.Run(ctx, c.Decisions(ctx, client.DecisionFilter{Since: from}), o)
			return err
		})
		return report, err
	}
	in := cmd.InOrStdin()
	if r.file != "-" {
		f, err := os.Open(r.file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	return replay.Run(cmd.Context(), linesOf(in, r.file), o)
}

func (r *replaying) report(cmd *cobra.Command, report *replay.Report) error {
	exceeded := r.bounds.Exceeded(report)
	out := cmd.OutOrStdout()
	var err error
	switch r.form {
	case "json":
		p := printer{form: "json", out: out}
		err = p.value(report)
	case "markdown":
		err = report.Markdown(out, exceeded, visible)
	default:
		err = report.Write(out, visible)
	}
	if err == nil && r.markdown != "" {
		err = r.writeMarkdown(report, exceeded)
	}
	if err != nil {
		return err
	}
	if len(exceeded) > 0 {
		return outOfBounds{fmt.Errorf("the replay is beyond its bounds: %s", strings.Join(exceeded, "; "))}
	}
	return nil
}

func (r *replaying) writeMarkdown(report *replay.Report, exceeded []string) error {
	var b bytes.Buffer
	if err := report.Markdown(&b, exceeded, visible); err != nil {
		return err
	}
	return os.WriteFile(r.markdown, b.Bytes(), 0o644)
}

// outOfBounds is no failure of the command: it found more than was allowed.
type outOfBounds struct{ error }

// ExitStatus is the process's.
func (outOfBounds) ExitStatus() int { return 2 }

// maxLine bounds one line of a file to replay.
const maxLine = 64 << 20

// linesOf yields a file's lines.
func linesOf(in io.Reader, name string) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		s := bufio.NewScanner(in)
		s.Buffer(make([]byte, 0, 256<<10), maxLine)
		for n := 1; s.Scan(); n++ {
			// The export's last line says only that it is whole.
			if line := bytes.TrimSpace(s.Bytes()); len(line) > 0 && !bytes.HasPrefix(line, []byte(`{"end":`)) && !yield(bytes.Clone(line), nil) {
				return
			}
		}
		if err := s.Err(); err != nil {
			if errors.Is(err, bufio.ErrTooLong) {
				err = fmt.Errorf("a line has more than %d bytes", maxLine)
			}
			yield(nil, fmt.Errorf("read %s: %w", name, err))
		}
	}
}

// progress shows on a terminal how far a replay is.
type progress struct {
	out  io.Writer
	last time.Time
	done int64
}

func newProgress(out io.Writer) *progress {
	if f, ok := out.(*os.File); !ok || !term.IsTerminal(int(f.Fd())) {
		out = nil
	}
	return &progress{out: out}
}

const progressEvery = 200 * time.Millisecond

func (p *progress) tell(done int64) {
	p.done = done
	if p.out != nil && time.Since(p.last) >= progressEvery {
		p.last = time.Now()
		fmt.Fprintf(p.out, "\r%d alerts replayed", done)
	}
}

// end leaves the line empty.
func (p *progress) end() {
	if p.out != nil && p.done > 0 {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
