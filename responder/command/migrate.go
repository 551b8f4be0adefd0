package command

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"riposte/responder"
)

// NewMigrate is the command "migrate".
func NewMigrate() *cobra.Command {
	var url, file, role string
	var drop bool
	c := &cobra.Command{
		Use: "migrate", Short: "Bring the database to this version's schema, as its owner", Args: cobra.NoArgs,
		Long: `Make or bring up to date the tables, as the role that owns them, and give the role
that the responders connect as what they need and no more: it can add entries to
the record, and cannot change or remove any. Make both roles first:

  CREATE ROLE riposte_owner LOGIN; CREATE ROLE riposte_app LOGIN;
  GRANT riposte_app TO riposte_owner;
  CREATE DATABASE riposte OWNER riposte_owner;

Run it before a new version's responders start; those of the version before go on.`,
		Example: `  riposte migrate --database-file owner.url --role riposte_app
  riposte migrate --database-file owner.url --role riposte_app --drop-retired`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := fromEnvironment(cmd.Flags(), os.LookupEnv); err != nil {
				return err
			}
			owner, err := connection("database", url, file)
			if err != nil {
				return err
			}
			if err := responder.Migrate(cmd.Context(), owner, role); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "The schema is this version's.")
			if !drop {
				return nil
			}
			gone, err := responder.DropRetired(cmd.Context(), owner)
			for _, name := range gone {
				fmt.Fprintln(cmd.OutOrStdout(), "dropped", name)
			}
			return err
		},
	}
	f := c.Flags()
	f.StringVar(&url, "database", "", "Postgres's connection string of the owner, without a password")
	f.StringVar(&file, "database-file", "", "file with Postgres's connection string of the owner")
	f.StringVar(&role, "role", "", "role that the responders connect as (default: the owner)")
	f.BoolVar(&drop, "drop-retired", false, "drop the months that retention took out of the record, for good")
	c.MarkFlagsMutuallyExclusive("database", "database-file")
	c.MarkFlagsOneRequired("database", "database-file")
	must(c.MarkFlagFilename("database-file"))
	return c
}
