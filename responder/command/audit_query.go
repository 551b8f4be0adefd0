package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
	"riposte/responder/audit"
	"riposte/responder/audit/ocsf"
)

func newAuditQuery() *cobra.Command {
	var f client.AuditFilter
	var from, to string
	l := &listing[api.AuditEntry]{
		header: []string{"TIME", "CLUSTER", "SEQ", "KIND", "RESULT", "ACTOR", "ACTION", "ALERT"},
		row: func(p *printer, e api.AuditEntry) []string {
			return []string{p.time(e.At), e.Cluster, strconv.FormatInt(e.Seq, 10), e.Kind, dash(e.Result), shortActor(e.Actor), dash(shortID(e.ActionID)), dash(shortID(e.AlertID))}
		},
		name: func(e api.AuditEntry) string { return fmt.Sprintf("%s/%d", e.Cluster, e.Seq) },
		fetch: func(ctx context.Context, c *client.Client, limit int, before string) (api.Page[api.AuditEntry], error) {
			f.Limit, f.Before = limit, before
			return c.Audit(ctx, f)
		},
		event: api.EventAudit, decode: client.Event.Audit, key: func(e api.AuditEntry) string { return fmt.Sprint(e.Seq, " ", e.Cluster) },
		keep: func(e api.AuditEntry) bool { return fits(f, e) },
	}
	l.others = map[string]func(io.Writer, []api.AuditEntry) error{
		"wide": func(_ io.Writer, items []api.AuditEntry) error { return writeWide(&l.printer, items) },
		"csv":  writeEntriesCSV,
		"ocsf": writeEntriesOCSF,
	}
	c := &cobra.Command{
		Use: "query", Aliases: []string{"list"}, Short: "Ask for entries of the record, the newest first", Args: cobra.NoArgs,
		Long: `Ask for entries of the record, the newest first. All that is given must fit. -o json
has each entry's body, the exact bytes that the chain's hashes cover, and its hashes;
csv is for spreadsheets, ocsf for a SIEM: one event of the Open Cybersecurity Schema
Framework on each line.`,
		Example: `  riposte audit query --since 24h
  riposte audit query --namespace shop --name cart-0 -o wide
  riposte audit query --actor user:jane --kind approval
  riposte audit query --playbook kill_container_on_critical --result failed --since 30d
  riposte audit query -l app=web --type delete_pod -o csv
  riposte audit query --text '"crypto miner" -test'`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			now := time.Now()
			if f.Since, err = moment("since", from, now); err != nil {
				return err
			}
			if f.Until, err = moment("until", to, now); err != nil {
				return err
			}
			if l.watch && f.Text != "" {
				return errors.New("--text is for what is stored: the words of what comes are not looked at; leave --watch out")
			}
			return l.run(cmd, args)
		},
	}
	l.flags(c, "entries")
	flags := c.Flags()
	for _, of := range []struct {
		name string
		into *string
		says string
	}{
		{"kind", &f.Kind, "only of this kind"},
		{"actor", &f.Actor, "only of this actor, such as user:jane, system:execute or playbook:NAME@REVISION"},
		{"action", &f.Action, "only about this action (its id, or the last group of it)"},
		{"alert", &f.Alert, "only about this alert (its id, or the last group of it)"},
		{"incident", &f.Incident, "only about this incident (its id, or the last group of it)"},
		{"type", &f.Type, "only about actions of this type, such as kill_container"},
		{"result", &f.Result, "only with this result, such as failed or refused"},
		{"playbook", &f.Playbook, "only of decisions of this playbook"},
		{"revision", &f.Revision, "only at this revision (its first twelve digits do)"},
		{"target-kind", &f.TargetKind, "only about a pod, container, process, node, workload or object"},
		{"namespace", &f.Namespace, "only about what is in this namespace"},
		{"name", &f.Name, "only about what has this name"},
		{"uid", &f.UID, "only about what has this UID"},
		{"text", &f.Text, "only with these words in note or reason"},
		{"since", &from, "only since then: 90m, 24h, 7d, or 2006-01-02T15:04:05Z"},
		{"until", &to, "only before then"},
	} {
		flags.StringVar(of.into, of.name, "", of.says)
	}
	selectorFlag(c, &f.Selector, "only about what had such labels then")
	var kinds []string
	for _, k := range audit.Kinds() {
		kinds = append(kinds, string(k))
	}
	complete(c, "kind", kinds)
	complete(c, "target-kind", []string{"pod", "container", "process", "node", "workload", "object"})
	return c
}

// fits says that an entry that has just come is one that the server would have listed.
func fits(f client.AuditFilter, e api.AuditEntry) bool {
	t := e.Target
	if t == nil {
		t = &api.AuditTarget{}
	}
	id := func(filter, value string) bool { return strings.HasSuffix(value, strings.ToLower(filter)) }
	return equal(f.Kind, e.Kind) && equal(f.Actor, e.Actor) && id(f.Action, e.ActionID) && id(f.Alert, e.AlertID) && id(f.Incident, e.IncidentID) &&
		equal(f.Type, e.Type) && equal(f.Result, e.Result) && equal(f.Playbook, e.Playbook) && strings.HasPrefix(e.Revision, f.Revision) &&
		equal(f.TargetKind, t.Kind) && equal(f.Namespace, t.Namespace) && equal(f.Name, t.Name) && equal(f.UID, t.UID) && f.Selector.Matches(t.Labels) &&
		!e.At.Before(f.Since) && (f.Until.IsZero() || e.At.Before(f.Until))
}

func writeWide(p *printer, items []api.AuditEntry) error {
	rows := make([][]string, len(items))
	for i, e := range items {
		rows[i] = []string{
			p.time(e.At), e.Cluster, strconv.FormatInt(e.Seq, 10), e.Kind, dash(e.Result), shortActor(e.Actor), dash(e.Type), dash(targetName(e.Target)), dash(e.Rule), dash(e.Node),
			dash(shortID(e.ActionID)), dash(shortID(e.AlertID)), dash(shortID(e.IncidentID)), dash(cut(first(e.Note, e.Reason), 80)),
		}
	}
	return p.table([]string{"TIME", "CLUSTER", "SEQ", "KIND", "RESULT", "ACTOR", "TYPE", "TARGET", "RULE", "NODE", "ACTION", "ALERT", "INCIDENT", "NOTE"}, rows)
}

func targetName(t *api.AuditTarget) string {
	if t == nil {
		return ""
	}
	name := first(t.Name, t.UID)
	if t.Namespace != "" {
		name = t.Namespace + "/" + name
	}
	return strings.TrimSpace(t.Kind + " " + name)
}

func first(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

func writeEntriesOCSF(out io.Writer, items []api.AuditEntry) error {
	for _, e := range items {
		v, err := ocsf.Entry{Cluster: e.Cluster, Seq: e.Seq, Hash: e.Hash, Body: e.Body, Note: e.Note, Reason: e.Reason, Params: e.Params}.Event()
		if err != nil {
			return err
		}
		if err := writeLine(out, v); err != nil {
			return err
		}
	}
	return nil
}

// writeLine writes a value as one line of JSON.
func writeLine(out io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = out.Write(append(plainJSON(b), '\n'))
	return err
}
