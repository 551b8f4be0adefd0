package ocsf

import (
	"strings"

	"riposte/agent/alert"
)

// severityOf are OCSF's numbers of Falco's priorities.
var severityOf = map[alert.Priority]int{
	alert.Emergency: 6, alert.AlertPriority: 6, alert.Critical: 5, alert.Error: 4, alert.Warning: 3, alert.Notice: 2, alert.Informational: 1, alert.Debug: 1,
}

// Finding is an alert as a Detection Finding, with the process and those that started
// it. The id and the incident are those under which it is stored.
func Finding(id, incident string, a *alert.Alert) Event {
	at := ms(a.Time.UnixNano())
	v := Event{
		Time: at, Message: a.Output, StatusID: 1, Status: "New",
		Metadata:    product(Metadata{UID: id, EventCode: "alert", CorrelationUID: incident, Profiles: []string{"host"}}),
		FindingInfo: &FindingInfo{UID: id, Title: a.Rule, Desc: a.Output, CreatedTime: at, Analytic: ruleOf(a.Rule), Types: a.Tags},
		Unmapped:    map[string]any{"priority": a.Priority.String(), "source": a.Source},
	}
	v.is(finding, 1, "")
	v.severity(severityOf[a.Priority])
	if len(a.OutputFields) > 0 {
		v.Unmapped["output_fields"] = a.OutputFields
	}
	r := a.Riposte
	if r == nil {
		v.Device = &Device{Hostname: a.Hostname}
		return v
	}
	v.Device, v.Unmapped["cluster"] = &Device{Hostname: r.Node}, r.Cluster
	var e Evidence
	if p := r.Process; p != nil {
		e.Process = &Process{Name: p.Name, PID: p.PID, CmdLine: strings.Join(append([]string{p.Exe}, p.Args...), " ")}
		at := e.Process
		for _, name := range p.Ancestors {
			at.Parent = &Process{Name: name}
			at = at.Parent
		}
	}
	if c := r.Container; c != nil {
		e.Container = &Container{UID: c.ID, Name: c.Name}
		if c.Image != "" {
			e.Container.Image = &Named{c.Image}
		}
	}
	if e != (Evidence{}) {
		v.Evidences = []Evidence{e}
	}
	if p := r.Pod; p != nil {
		var b Body
		b.What.Kind, b.What.Namespace, b.What.Name, b.What.UID, b.What.Labels = "pod", p.Namespace, p.Name, p.UID, p.Labels
		v.Resources = []Resource{*resource(b)}
	}
	return v
}
