package command

import (
	"strings"

	"github.com/spf13/cobra"
)

// NewAudit is the command "audit".
func NewAudit() *cobra.Command {
	c := &cobra.Command{
		Use: "audit", Short: "Ask the record who did what, and prove that nobody changed it", Args: cobra.NoArgs, RunE: help,
		Example: "  riposte audit query --namespace shop --since 24h\n  riposte audit show 6f0c2b7a91de\n  riposte audit verify",
	}
	ConnectFlags(c)
	c.AddCommand(newAuditQuery(), newAuditShow(), newAuditStats(), newAuditVerify(), newAuditExport(), newAuditRedact())
	return c
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// shortActor leaves a playbook's revision at twelve digits.
func shortActor(actor string) string {
	name, revision, found := strings.Cut(actor, "@")
	if !found {
		return actor
	}
	return name + "@" + revision[:min(len(revision), 12)]
}
