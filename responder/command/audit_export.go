package command

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"riposte/responder/api/client"
	"riposte/responder/audit"
	"riposte/responder/audit/ocsf"
)

// exporting is one export.
type exporting struct {
	part client.ExportPart
	form string
	file string
}

func newAuditExport() *cobra.Command {
	var e exporting
	c := &cobra.Command{
		Use: "export", Short: "Write the record, to be kept, verified or read elsewhere", Args: cobra.NoArgs,
		Long: `Write the record as lines of JSON: the heads, the checkpoints, and every entry with
the exact bytes that are hashed. "riposte audit verify --file" reads it; docs/audit.md
says how to verify it without Riposte. With -o csv or -o ocsf the entries alone are
written, for a spreadsheet or a SIEM; --file takes an export instead of asking.

One that breaks off says with which --cluster and --after it goes on: what that writes
is appended to what there is.`,
		Example: `  riposte audit export > export.jsonl
  riposte audit export | gzip > export.jsonl.gz
  riposte audit export --cluster prod --after 4711 -o ocsf
  riposte audit export --file export.jsonl -o csv > entries.csv`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			write, ok := map[string]func(io.Reader, io.Writer) error{"ndjson": e.copy, "csv": exportCSV, "ocsf": exportOCSF}[e.form]
			if !ok {
				return fmt.Errorf("--output: there is no form %q: use ndjson, csv or ocsf", e.form)
			}
			if (e.part.After > 0 && e.part.Cluster == "") || (e.part.To > 0 && e.part.After == 0) {
				return errors.New("--after needs --cluster, whose numbers they are, and --to needs --after")
			}
			if e.file != "" {
				return e.convert(cmd, write)
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				body, err := c.Export(ctx, e.part)
				if err != nil {
					return err
				}
				defer body.Close()
				return write(followed(body, cmd.ErrOrStderr()), cmd.OutOrStdout())
			})
		},
	}
	c.Flags().StringVarP(&e.form, "output", "o", "ndjson", "form of the output: ndjson, csv or ocsf")
	c.Flags().StringVar(&e.file, "file", "", "take this export, \"-\" for standard input, and ask nobody")
	c.Flags().StringVar(&e.part.Cluster, "cluster", "", "only this cluster's chain")
	c.Flags().Int64Var(&e.part.After, "after", 0, "only the entries after this number, without heads and checkpoints")
	c.Flags().Int64Var(&e.part.To, "to", 0, "with --after, none after this number")
	c.MarkFlagsMutuallyExclusive("file", "cluster")
	must(c.MarkFlagFilename("file"))
	complete(c, "output", []string{"ndjson", "csv", "ocsf"})
	return c
}

func (e *exporting) convert(cmd *cobra.Command, write func(io.Reader, io.Writer) error) error {
	if e.form == "ndjson" {
		return errors.New("--file is an export already: use -o csv or -o ocsf")
	}
	from := cmd.InOrStdin()
	if e.file != "-" {
		f, err := os.Open(e.file)
		if err != nil {
			return err
		}
		defer f.Close()
		from = f
	}
	if err := write(from, cmd.OutOrStdout()); err != nil {
		return fmt.Errorf("%s: %w", e.file, err)
	}
	return nil
}

// exportedLine is what copy has to know of a line.
type exportedLine struct {
	Head, Entry *struct {
		Cluster string `json:"cluster"`
		Seq     int64  `json:"seq"`
	}
}

// copy writes whole lines only, and says of an export that breaks off how it goes on.
func (e *exporting) copy(from io.Reader, to io.Writer) error {
	in, out := bufio.NewReaderSize(from, 256<<10), bufio.NewWriterSize(to, 256<<10)
	heads := map[string]int64{}
	var last string
	for {
		line, err := in.ReadString('\n')
		if err == nil {
			if strings.HasPrefix(line, `{"head"`) {
				var l exportedLine
				if json.Unmarshal([]byte(line), &l) == nil && l.Head != nil {
					heads[l.Head.Cluster] = l.Head.Seq
				}
			}
			last = line
			_, err = out.WriteString(line)
		} else if errors.Is(err, io.EOF) && line == "" {
			return out.Flush()
		}
		if err != nil {
			return errors.Join(e.broke(err, last, heads), out.Flush())
		}
	}
}

func (e *exporting) broke(err error, last string, heads map[string]int64) error {
	var l exportedLine
	if json.Unmarshal([]byte(last), &l) != nil || l.Entry == nil {
		return fmt.Errorf("the export broke off before its first entry: %w", err)
	}
	to := e.part.To
	if to == 0 {
		to = heads[l.Entry.Cluster]
	}
	more := ""
	if to > 0 {
		more = fmt.Sprintf(" --to %d", to)
	}
	hint := fmt.Sprintf("riposte audit export --cluster %s --after %d%s", l.Entry.Cluster, l.Entry.Seq, more)
	return fmt.Errorf("the export broke off: %w; append the rest with: %s, and then each cluster that comes after it with --cluster alone", err, visible(hint))
}

func exportCSV(from io.Reader, to io.Writer) error {
	t, err := newTable(to, entryColumns...)
	if err != nil {
		return err
	}
	for r, err := range audit.ReadExport(from) {
		if err != nil {
			return errors.Join(err, t.end())
		}
		if err := t.entry(exportedEntry(r)); err != nil {
			return err
		}
	}
	return t.end()
}

func exportOCSF(from io.Reader, to io.Writer) error {
	out := bufio.NewWriterSize(to, 256<<10)
	for r, err := range audit.ReadExport(from) {
		if err != nil {
			return errors.Join(err, out.Flush())
		}
		v, err := exportedEntry(r).Event()
		if err != nil {
			return err
		}
		if err := writeLine(out, v); err != nil {
			return err
		}
	}
	return out.Flush()
}

func exportedEntry(r audit.Row) ocsf.Entry {
	e := ocsf.Entry{Cluster: r.Cluster, Seq: r.Seq, Hash: hex.EncodeToString(r.Hash), Body: r.Body}
	for i, field := range audit.Sealed {
		switch v := r.Seals[i].Value; {
		case v == "":
		case field == "note":
			e.Note = v
		case field == "reason":
			e.Reason = v
		case json.Valid([]byte(v)):
			e.Params = json.RawMessage(v)
		}
	}
	return e
}

// followed says on a terminal how much has come.
func followed(from io.Reader, say io.Writer) io.Reader {
	f, ok := say.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return from
	}
	return &follower{from: from, say: say, last: time.Now()}
}

type follower struct {
	from  io.Reader
	say   io.Writer
	lines int64
	last  time.Time
}

func (f *follower) Read(b []byte) (int, error) {
	n, err := f.from.Read(b)
	f.lines += int64(strings.Count(string(b[:n]), "\n"))
	if now := time.Now(); now.Sub(f.last) > time.Second {
		f.last = now
		fmt.Fprintf(f.say, "%d lines written\n", f.lines)
	}
	return n, err
}
