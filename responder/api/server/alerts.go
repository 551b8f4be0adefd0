package server

import (
	"encoding/json"
	"time"

	"riposte/agent/alert"
	"riposte/responder/api"
	"riposte/responder/store"
)

var alertParameters = paged(
	parameter{name: "rule"}, priorityAtMost, parameter{name: "node"}, parameter{name: "namespace"},
	parameter{name: "container", says: "A container's id or the beginning of it."}, labelSelector, sinceParameter,
)

func alertFilter(c *call) store.AlertFilter {
	return store.AlertFilter{
		Rule: c.text("rule"), AtLeast: c.priority(), Node: c.text("node"), Namespace: c.text("namespace"), Container: c.text("container"), Selector: c.selector(), Since: c.since(),
	}
}

func alertResource(a store.AlertRow) api.Alert {
	happened := a.KernelNS
	if happened == 0 {
		happened = a.AlertNS
	}
	return api.Alert{
		ID: a.ID, Time: at(happened), ReceivedAt: at(a.ReceivedNS), Cluster: a.Cluster, Node: a.Node, Rule: a.Rule,
		Priority: alert.Priority(a.Priority).String(), Source: a.Source, Output: a.Output, ContainerID: a.ContainerID,
		Namespace: a.Namespace, Pod: a.Pod, PodUID: a.PodUID, Binding: a.Binding, Recorded: a.Recorded,
		IncidentID: a.IncidentID, Count: a.Count, LastAt: at(a.LastNS), Labels: labels(a.Labels), Body: rawJSON(a.Body),
	}
}

// labels reads a column of labels; what a hand has spoilt is none.
func labels(text string) (all map[string]string) {
	_ = json.Unmarshal([]byte(text), &all)
	return all
}

// at turns stored nanoseconds into a time.
func at(ns int64) time.Time { return time.Unix(0, ns).UTC() }

func pageOf[Row, Resource any](rows []Row, next string, resource func(Row) Resource) api.Page[Resource] {
	p := api.Page[Resource]{Items: make([]Resource, len(rows)), Next: next} // never null in JSON
	for i, row := range rows {
		p.Items[i] = resource(row)
	}
	return p
}
