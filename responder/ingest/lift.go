package ingest

import (
	"slices"

	"riposte/agent/alert"
)

// unwanted are the alerts whose container an agent has contained at once, and about
// which nothing is to be done: nothing is planned and nobody is asked.
func unwanted(drafts []draft) (all []*alert.Alert) {
	for _, d := range drafts {
		if d.alert.Riposte.Contained == nil {
			continue
		}
		if !slices.ContainsFunc(d.actions, func(p proposed) bool { return p.State == "planned" || p.State == "waiting" }) {
			all = append(all, d.alert)
		}
	}
	return all
}
