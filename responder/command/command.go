// Package command holds the commands of the responder half: "responder", which
// runs it, "migrate", which makes its tables, the clients of its HTTP API, and "playbooks", which needs neither.
package command

import (
	"io/fs"

	"github.com/spf13/cobra"
)

// New makes all commands of this half. Console is the built console that
// "responder" serves.
func New(version string, console fs.FS) []*cobra.Command {
	all := []*cobra.Command{
		NewStatus(), NewAlerts(), NewIncidents(), NewDecisions(), NewActions(), NewAudit(), NewPlaybooks(), NewGuard(), NewKillSwitch(), NewAgents(),
		NewDeadLetters(), NewTokens(), NewWhoAmI(), NewContext(), NewMigrate(), NewResponder(version, console),
	}
	for _, c := range all {
		tellUsage(c)
	}
	return all
}
