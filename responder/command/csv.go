package command

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"riposte/responder/api"
	"riposte/responder/audit/ocsf"
)

// table writes comma-separated values (RFC 4180) for a spreadsheet.
type table struct{ w *csv.Writer }

func newTable(out io.Writer, header ...string) (*table, error) {
	t := &table{csv.NewWriter(out)}
	return t, t.w.Write(header)
}

func (t *table) row(cells ...string) error {
	for i, c := range cells {
		cells[i] = harmless(c)
	}
	return t.w.Write(cells)
}

func (t *table) end() error {
	t.w.Flush()
	return t.w.Error()
}

// harmless keeps a spreadsheet from taking a cell for a formula: what attackers have
// named must not be calculated. An apostrophe before it says that it is text. Hidden
// characters are shown as escapes.
func harmless(cell string) string {
	if cell != "" && strings.ContainsRune("=+-@\t\r\n", rune(cell[0])) {
		cell = "'" + cell
	}
	return visible(cell)
}

var entryColumns = []string{
	"time", "cluster", "seq", "kind", "result", "actor", "type", "playbook", "revision", "rule", "node", "target_kind", "namespace", "name", "uid", "labels",
	"action_id", "alert_id", "incident_id", "note", "reason", "params", "hash",
}

func writeEntriesCSV(out io.Writer, items []api.AuditEntry) error {
	t, err := newTable(out, entryColumns...)
	if err != nil {
		return err
	}
	for _, e := range items {
		if err := t.entry(ocsf.Entry{Cluster: e.Cluster, Seq: e.Seq, Hash: e.Hash, Body: e.Body, Note: e.Note, Reason: e.Reason, Params: e.Params}); err != nil {
			return err
		}
	}
	return t.end()
}

// entry writes an entry of which the body is trusted.
func (t *table) entry(e ocsf.Entry) error {
	b, err := ocsf.ReadBody(e.Body)
	if err != nil {
		return err
	}
	params := e.Params
	if params == nil {
		params = b.What.Params
	}
	var labels []string
	for _, k := range slices.Sorted(maps.Keys(b.What.Labels)) {
		labels = append(labels, k+"="+b.What.Labels[k])
	}
	return t.row(
		time.Unix(0, b.AtNS).UTC().Format(time.RFC3339Nano), e.Cluster, strconv.FormatInt(e.Seq, 10), b.Kind, b.Result, b.Actor, b.What.Type,
		first(b.Why.Playbook, playbookOf(b.Actor)), first(b.Why.Revision, revisionOf(b.Actor)), b.Why.Rule, b.What.Node, b.What.Kind, b.What.Namespace, b.What.Name, b.What.UID,
		strings.Join(labels, ","), b.What.ActionID, b.Why.AlertID, b.Why.IncidentID, first(e.Note, b.Note), first(e.Reason, b.Why.Reason), jsonText(params), e.Hash)
}

func playbookOf(actor string) string {
	name, ok := strings.CutPrefix(actor, "playbook:")
	if !ok {
		return ""
	}
	name, _, _ = strings.Cut(name, "@")
	return name
}

func revisionOf(actor string) string {
	if !strings.HasPrefix(actor, "playbook:") {
		return ""
	}
	_, revision, _ := strings.Cut(actor, "@")
	return revision
}

func jsonText(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	return string(raw)
}
