package command

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

func newAuditRedact() *cobra.Command {
	var r api.Redaction
	c := &cobra.Command{
		Use: "redact [CLUSTER/]SEQ", Short: "Erase a sensitive value of an entry, for good", Args: cobra.ExactArgs(1),
		Long: `Erase an entry's note, reason or params, such as a password in a command line that
was written down as a reason. The chain still verifies: it holds a salted digest of
the value, not the value. That it was erased, by whom and why, is an entry itself.
It stays in what was exported or backed up before, and in the alert.`,
		Example: `  riposte audit redact 4711 --field reason --why "a password"
  riposte audit redact prod/4711 --field params --why "GDPR request 12"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			number := args[0]
			if at := strings.LastIndexByte(number, '/'); at >= 0 {
				r.Cluster, number = number[:at], number[at+1:]
			}
			var err error
			if r.Seq, err = strconv.ParseInt(number, 10, 64); err != nil || r.Seq < 1 {
				return fmt.Errorf("%q is no number of an entry: riposte audit list shows them as CLUSTER and SEQ", number)
			}
			if r.Reason == "" {
				return errors.New("--why is missing: what is erased for good has a reason")
			}
			return call(cmd, func(ctx context.Context, c *client.Client) error {
				if r.Cluster == "" {
					s, err := c.Status(ctx)
					if err != nil {
						return err
					}
					r.Cluster = s.Cluster
				}
				if err := c.Redact(ctx, r); err != nil {
					return err
				}
				_, err := fmt.Fprintln(cmd.OutOrStdout(), visible(fmt.Sprintf("The %s of entry %d of cluster %s is erased.", r.Field, r.Seq, r.Cluster)))
				return err
			})
		},
	}
	c.Flags().StringVar(&r.Field, "field", "", "note, reason or params")
	c.Flags().StringVar(&r.Reason, "why", "", "why; it is recorded")
	must(c.MarkFlagRequired("field"))
	complete(c, "field", []string{"note", "reason", "params"})
	return c
}
