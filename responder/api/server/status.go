package server

import (
	"encoding/json"
	"net/http"

	"riposte/agent/alert"
	"riposte/responder/api"
	"riposte/responder/store"
)

func (s *Server) showStatus(w http.ResponseWriter, r *http.Request) {
	if q := readParameters(r); q.err != nil {
		s.refuse(w, r, q.err)
		return
	}
	ctx, cancel := queryContext(r)
	defer cancel()
	agents, err := s.Store.Agents(ctx)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	st := api.Status{Version: s.Version, Cluster: s.Cluster, KillSwitch: s.killSwitch(), Agents: []api.Agent{}, Playbooks: s.playbookStatuses(), PlaybookLoads: loadsResource(s.Loads()), GuardLoads: loadsResource(s.Guard.PolicyLoads()), Events: s.feed.status()}
	for _, a := range agents {
		st.Agents = append(st.Agents, agentResource(a))
	}
	s.answer(w, r, st, nil)
}

func agentResource(a store.AgentRow) api.Agent {
	var h alert.Heartbeat
	_ = json.Unmarshal([]byte(a.Body), &h) // what cannot be read is left out; the node and time are columns
	return api.Agent{Cluster: a.Cluster, Node: a.Node, Version: h.Version, Source: h.Source, Rules: h.Rules, SeenAt: a.SeenAt.UTC(), Lost: h.Lost}
}
