package command

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
	"riposte/responder/playbook"
)

func newPlaybooksList() *cobra.Command {
	loaded := &listing[api.PlaybookStatus]{
		header: []string{"NAME", "MODE", "DECLARED", "REVISION", "SOURCE", "TITLE", "WHY THIS MODE"},
		row: func(_ *printer, b api.PlaybookStatus) []string {
			return []string{b.Name, b.Mode, b.Declared, fmt.Sprintf("%.12s", b.Revision), dash(b.Source), b.Title, whyMode(b)}
		},
		wideHeader: []string{"SINCE", "DESCRIPTION"},
		wide: func(p *printer, b api.PlaybookStatus) []string {
			since := ""
			if b.ModeAt != nil {
				since = p.time(*b.ModeAt)
			}
			return []string{dash(since), dash(oneLine(b.Description))}
		},
		name: func(b api.PlaybookStatus) string { return b.Name },
		fetch: func(ctx context.Context, c *client.Client, _ int, _ string) (api.Page[api.PlaybookStatus], error) {
			all, err := c.Playbooks(ctx)
			return api.Page[api.PlaybookStatus]{Items: all}, err
		},
		limit: maxLimit,
	}
	c := &cobra.Command{
		Use:   "list [DIR...]",
		Short: "List playbooks with their mode and trigger",
		Long: "List the playbooks of directories with what their METADATA says. Without a directory:\n" +
			"those of the running Riposte, with the modes in force and why, or, if none runs here,\n" +
			"those that come with Riposte.",
		Example: "  riposte playbooks list\n  riposte playbooks list --watch\n  riposte playbooks list -o json ./playbooks",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && runs(cmd) {
				return loaded.run(cmd, args)
			}
			if loaded.watch {
				return badFlag(errors.New("--watch is for the playbooks of a running Riposte: give none of the directories, and say which one runs"))
			}
			good, err := playbook.Check(sources(args)...)
			if err != nil {
				return explain(cmd.ErrOrStderr(), err)
			}
			files := listing[playbookRow]{
				header: []string{"NAME", "MODE", "SEVERITY", "TRIGGER", "REVISION", "SOURCE", "TITLE"},
				row: func(_ *printer, r playbookRow) []string {
					return []string{r.Name, r.Mode, r.Severity, r.Trigger, fmt.Sprintf("%.12s", r.Revision), r.Source, r.Title}
				},
				wideHeader: []string{"OWNER", "ATTACK", "FILES", "DESCRIPTION"},
				wide: func(_ *printer, r playbookRow) []string {
					return []string{r.Owner, dash(strings.Join(r.Attack, " ")), strings.Join(r.Files, " "), dash(oneLine(r.Description))}
				},
				name: func(r playbookRow) string { return r.Name }, printer: loaded.printer,
			}
			if err := files.printer.begin(cmd); err != nil {
				return err
			}
			return files.write(cmd.OutOrStdout(), playbookRows(good))
		},
	}
	ConnectFlags(c)
	loaded.outputFlags(c)
	return c
}

// oneLine makes a description fit for a cell.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// playbookRow is a playbook of files in "list -o json".
type playbookRow struct {
	Name        string   `json:"name"`
	Title       string   `json:"title"`
	Description string   `json:"description"`
	Owner       string   `json:"owner"`
	Mode        string   `json:"mode"`
	Severity    string   `json:"severity"`
	Trigger     string   `json:"trigger"`
	Attack      []string `json:"attack,omitempty"`
	Revision    string   `json:"revision"`
	Source      string   `json:"source"`
	Files       []string `json:"files"`
}

func playbookRows(list []*playbook.Playbook) []playbookRow {
	rows := make([]playbookRow, len(list))
	for i, p := range list {
		rows[i] = playbookRow{
			Name: p.Name, Title: p.Title, Description: p.Description, Owner: p.Owner, Mode: string(p.Mode), Severity: p.Severity,
			Trigger: p.Trigger.String(), Attack: p.Attack, Revision: p.Revision, Source: p.Source, Files: p.Files,
		}
	}
	return rows
}
