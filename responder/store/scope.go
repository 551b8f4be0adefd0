package store

import (
	"slices"
	"strings"
)

// Reach is a part of what is stored: some clusters, and of them some namespaces.
// An empty list stands for all.
type Reach struct {
	Clusters   []string `json:"clusters,omitempty"`
	Namespaces []string `json:"namespaces,omitempty"`
}

// Scope is what a reader may see: what at least one of its reaches holds. The
// zero Scope holds nothing, so that a forgotten one shows nothing.
type Scope []Reach

// Everything is the scope that leaves nothing out.
func Everything() Scope { return Scope{{}} }

// All says that nothing is left out.
func (s Scope) All() bool {
	return slices.ContainsFunc(s, func(r Reach) bool { return len(r.Clusters) == 0 && len(r.Namespaces) == 0 })
}

// Holds says whether something in a cluster's namespace may be seen. What is in no
// namespace ("") is for those who may see every namespace of its cluster.
func (s Scope) Holds(cluster, namespace string) bool {
	return slices.ContainsFunc(s, func(r Reach) bool {
		return (len(r.Clusters) == 0 || slices.Contains(r.Clusters, cluster)) && (len(r.Namespaces) == 0 || slices.Contains(r.Namespaces, namespace))
	})
}

// byNamespace says that some reach is not of whole clusters.
func (s Scope) byNamespace() bool {
	return slices.ContainsFunc(s, func(r Reach) bool { return len(r.Namespaces) > 0 })
}

// holds is Holds as a condition on two columns, or expressions of SQL.
func (s Scope) holds(cluster, namespace string) (condition string, args []any) {
	var parts []string
	for _, r := range s {
		all := []string{"true"}
		if len(r.Clusters) > 0 {
			all = append(all, cluster+" = ANY(?)")
			args = append(args, r.Clusters)
		}
		if len(r.Namespaces) > 0 {
			all = append(all, namespace+" = ANY(?)")
			args = append(args, r.Namespaces)
		}
		parts = append(parts, "("+strings.Join(all, " AND ")+")")
	}
	if parts == nil {
		return "false", nil
	}
	return "(" + strings.Join(parts, " OR ") + ")", args
}

// alerts is holds for the rows of alerts under a name.
func (s Scope) alerts(name string) (string, []any) {
	return s.holds(name+".cluster", name+".namespace")
}

// actions is holds for actions c. Who sees an action sees what it is about and why, so
// its column is the namespace that both its alert and its target are in.
func (s Scope) actions() (string, []any) { return s.holds("c.cluster", "c.namespace") }

// incidents is holds for the rows of incidents: for those who may see all alerts of
// one. One without alerts is in no namespace.
func (s Scope) incidents() (string, []any) {
	none, args := s.holds("incidents.cluster", "''")
	condition, more := s.alerts("l")
	return "(" + none + ` OR EXISTS (SELECT FROM alerts l WHERE l.incident_id = incidents.id))
		AND NOT EXISTS (SELECT FROM alerts l WHERE l.incident_id = incidents.id AND NOT ` + condition + ")", append(args, more...)
}

// audit is holds for the rows of the record. An entry from before the column was there is
// for those who may see the alert and the action that it names; one that names neither is
// in no namespace.
func (s Scope) audit() (string, []any) {
	now, args := s.holds("audit.cluster", "audit.namespace")
	none, more := s.holds("audit.cluster", "''")
	args = append(args, more...)
	alert, more := s.alerts("a")
	args = append(args, more...)
	action, more := s.actions()
	// A scalar is looked up row by row: EXISTS would be answered for the whole table at
	// once. near keeps that to the months in which the alert can be.
	return "(audit.namespace IS NOT NULL AND " + now + " OR audit.namespace IS NULL AND (" + none + ` OR audit.alert_id IS NOT NULL OR audit.action_id IS NOT NULL)
		AND (audit.alert_id IS NULL OR (SELECT true FROM alerts a WHERE a.id = audit.alert_id AND ` + near("audit.alert_id") + " AND " + alert + ` LIMIT 1))
		AND (audit.action_id IS NULL OR (SELECT true FROM actions c WHERE c.id = audit.action_id AND ` + action + ")))",
		append(args, more...)
}

// near is a condition that an alert a of an id fulfils whichever month it is kept in.
func near(id string) string {
	return "a.month BETWEEN record_id_month(" + id + ", -1) AND record_id_month(" + id + ", 1)"
}

// scope adds one of the conditions above, unless nothing is left out.
func (w *where) scope(s Scope, condition func() (string, []any)) {
	if !s.All() {
		text, args := condition()
		w.add(text, args...)
	}
}

// alertScope adds the condition for the table alerts under its own name.
func (w *where) alertScope(s Scope) {
	w.scope(s, func() (string, []any) { return s.alerts("alerts") })
}
