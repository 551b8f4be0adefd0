package playbook

import "riposte/agent/alert"

// InputOf is what a playbook would see of an alert of which nothing else is known. A
// pod that the alert names is taken for bound; nobody has checked it.
func InputOf(a *alert.Alert) Input {
	in := Input{Schema: InputSchema, Alert: a, Binding: None, Node: Identified{Name: a.Hostname}, History: []Past{}, Now: a.Time.UTC()}
	r := a.Riposte
	if r == nil {
		return in
	}
	in.Node.Name, in.Cluster.Name = r.Node, r.Cluster
	if p := r.Pod; p != nil {
		in.Binding = Bound
		in.Pod = &Pod{Namespace: p.Namespace, Name: p.Name, UID: p.UID, Node: r.Node, Labels: p.Labels, Owner: p.Owner}
		in.Namespace = &Identified{Name: p.Namespace}
	}
	return in
}

// NameFits says whether a playbook can have that name.
func NameFits(name string) bool { return nameShape.MatchString(name) }
