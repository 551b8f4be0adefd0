package command

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
	"riposte/responder/audit"
)

// errChanged is the non-zero exit of a verification that found something.
var errChanged = errors.New("somebody changed the record: compare it with a backup and with the checkpoints that you keep elsewhere")

// offline names the files of a verification that asks nobody.
type offline struct {
	file              string
	keys, checkpoints []string
}

func newAuditVerify() *cobra.Command {
	var p printer
	var o offline
	c := &cobra.Command{
		Use: "verify", Short: "Check every hash and every signature of the record", Args: cobra.NoArgs,
		Long: `Check the record's chains from their first entries to their heads, and against the
signed checkpoints. The exit code is 1 if an entry was edited, removed, put in, moved
or written anew; the first bad entry is named.

Without --file the responder does it, with the checkpoints of its database, of the
stream AUDIT and of its file. With --file it is done here, on an export, and needs
nothing but the public key; give it the checkpoints that you keep elsewhere too.`,
		Example: `  riposte audit verify
  riposte audit export > export.jsonl
  riposte audit verify --file export.jsonl --key checkpoint.pub --checkpoints checkpoints.jsonl`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := p.begin(cmd); err != nil {
				return err
			}
			if o.file != "" {
				return o.verify(cmd, &p)
			}
			if len(o.keys)+len(o.checkpoints) > 0 {
				return errors.New("--key and --checkpoints belong to --file: the responder has its own")
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				v, err := c.VerifyTold(ctx, told(cmd.ErrOrStderr()))
				if err != nil {
					return err
				}
				return printVerification(&p, v)
			})
		},
	}
	printerFlags(c, &p)
	c.Flags().StringVar(&o.file, "file", "", "verify this export, \"-\" for standard input, and ask nobody")
	c.Flags().StringSliceVar(&o.keys, "key", nil, "public key that checkpoints are signed with (PEM), the first one if keys were changed")
	c.Flags().StringSliceVar(&o.checkpoints, "checkpoints", nil, "file of checkpoints beside those of the export")
	must(c.MarkFlagFilename("file"))
	must(c.MarkFlagFilename("key"))
	must(c.MarkFlagFilename("checkpoints"))
	return c
}

// told says on a terminal's second line how far it is.
func told(w io.Writer) func(int64) {
	return func(read int64) { fmt.Fprintf(w, "%d entries read\n", read) }
}

func (o *offline) verify(cmd *cobra.Command, p *printer) error {
	var e audit.Evidence
	if len(o.keys) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "no --key: checkpoints are not looked at, and a chain that was written anew to its end is not found")
	}
	for _, file := range o.keys {
		key, err := readPublicKey(file)
		if err != nil {
			return fmt.Errorf("--key %s: %w", file, err)
		}
		e.Keys = append(e.Keys, key)
	}
	for _, file := range o.checkpoints {
		points, damaged, err := audit.ReadFile(file)
		if err != nil {
			return err
		}
		if len(damaged) > 0 {
			fmt.Fprintf(cmd.ErrOrStderr(), "%s: lines %v are no checkpoints and were left out\n", file, damaged)
		}
		e.Checkpoints = append(e.Checkpoints, points...)
	}
	from := cmd.InOrStdin()
	if o.file != "-" {
		f, err := os.Open(o.file)
		if err != nil {
			return err
		}
		defer f.Close()
		from = f
	}
	last := time.Now()
	say := told(cmd.ErrOrStderr())
	e.Progress = func(read int64) {
		if now := time.Now(); now.Sub(last) > time.Second {
			last = now
			say(read)
		}
	}
	report, err := audit.VerifyExport(from, e)
	if err != nil {
		return fmt.Errorf("%s: %w", o.file, err)
	}
	return printVerification(p, report.Resource())
}

func printVerification(p *printer, v api.Verification) error {
	var err error
	if !p.text() {
		err = p.value(v)
	} else {
		rows := make([][]string, len(v.Chains))
		for i, ch := range v.Chains {
			result := "good"
			if !ch.OK {
				result = fmt.Sprintf("BAD at entry %d: %s", ch.BadSeq, ch.Reason)
			}
			rows[i] = []string{ch.Cluster, strconv.FormatInt(ch.Entries, 10), strconv.FormatInt(ch.First, 10), strconv.FormatInt(ch.Signed, 10), dash(ch.Head), result}
		}
		err = p.table([]string{"CLUSTER", "ENTRIES", "FIRST", "SIGNED", "HEAD", "RESULT"}, rows)
	}
	if err == nil && !v.OK {
		err = errChanged
	}
	return err
}

// readPublicKey reads a key's file.
func readPublicKey(file string) (ed25519.PublicKey, error) {
	b, err := readSmall(file)
	if err != nil {
		return nil, err
	}
	return audit.ParsePublicKey(b)
}
