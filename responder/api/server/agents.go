package server

import (
	"context"
	"encoding/json"

	"riposte/agent/alert"
	"riposte/responder/api"
	"riposte/responder/store"
)

var agentParameters = paged(
	parameter{name: "cluster"}, parameter{name: "node"},
	parameter{name: "silent", kind: boolKind, says: "Only those that do not speak, or only the others."},
)

func agentFilter(c *call) store.AgentFilter {
	return store.AgentFilter{Cluster: c.text("cluster"), Node: c.text("node"), Silent: c.maybe("silent")}
}

func agentResource(a store.AgentRow) api.Agent {
	var h alert.Heartbeat
	_ = json.Unmarshal([]byte(a.Body), &h) // what cannot be read is left out; the node and time are columns
	return api.Agent{
		Cluster: a.Cluster, Node: a.Node, Version: h.Version, Source: h.Source, Rules: h.Rules, SeenAt: a.SeenAt.UTC(),
		Silent: a.SilentIncident != "", IncidentID: a.SilentIncident, Lost: h.Lost,
	}
}

func (s *Server) showAgent(ctx context.Context, c *call) (any, error) {
	rows, _, err := s.Store.Agents(ctx, c.in, store.AgentFilter{Cluster: c.PathValue("cluster"), Node: c.PathValue("node")}, store.Paging{Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, problemf("not_found", "no agent of cluster %.60q spoke for node %.60q", c.PathValue("cluster"), c.PathValue("node"))
	}
	return agentResource(rows[0]), nil
}
