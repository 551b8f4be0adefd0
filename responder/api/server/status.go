package server

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"riposte/agent/alert"
	"riposte/responder/api"
	"riposte/responder/store"
)

// standingTime is how far back a failed action still needs a person.
const standingTime = 24 * time.Hour

// partsOf lists the parts by name.
func partsOf(ready map[string]error) []api.Part {
	parts := make([]api.Part, 0, len(ready))
	for name, err := range ready {
		p := api.Part{Name: name, Works: err == nil}
		if err != nil {
			p.Error = err.Error()
		}
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b api.Part) int { return cmp.Compare(a.Name, b.Name) })
	return parts
}

// missing says on one line what does not work, empty if everything does.
func missing(parts []api.Part) string {
	var all []string
	for _, p := range parts {
		if !p.Works {
			all = append(all, p.Name+": "+p.Error)
		}
	}
	return strings.Join(all, "; ")
}

// showStatus answers without the database too: then it says that it is away, and
// everything that is only known there is empty.
func (s *Server) showStatus(ctx context.Context, c *call) (any, error) {
	ready := s.Ready(ctx)
	st := api.Status{
		Version: s.Version, Cluster: s.Cluster, KillSwitch: s.killSwitch(), Parts: partsOf(ready), Stream: s.streamStatus(ctx),
		Incidents: []api.IncidentCount{}, Agents: []api.Agent{}, Playbooks: s.playbookStatuses(),
		PlaybookLoads: loadsResource(s.Loads()), GuardLoads: loadsResource(s.Guard.PolicyLoads()), Events: s.feed.status(),
	}
	if ready["database"] != nil {
		return st, nil
	}
	rows, next, err := s.Store.Agents(ctx, c.in, store.AgentFilter{}, store.Paging{})
	if err != nil {
		return nil, err
	}
	st.Agents, st.AgentsMore = pageOf(rows, "", agentResource).Items, next != ""
	now := time.Now()
	standing, err := s.Store.Standing(ctx, c.in, now, now.Add(-standingTime))
	if err != nil {
		return nil, err
	}
	for _, i := range standing.Incidents {
		st.Incidents = append(st.Incidents, api.IncidentCount{State: i.State, Priority: alert.Priority(i.Priority).String(), Count: i.Count})
	}
	st.DeadLetters = standing.DeadLetters
	st.Actions = api.ActionsStatus{
		Waiting: standing.Waiting, Failed: standing.Failed, Unknown: standing.Unknown, LiftsLate: standing.LiftsLate, OldestPlannedAt: maybe(standing.OldestPlannedNS),
	}
	if len(standing.Chains) > 0 {
		st.Record = s.recordStatus(standing.Chains)
	}
	return st, nil
}

func (s *Server) streamStatus(ctx context.Context) *api.StreamStatus {
	if s.Backlog == nil {
		return nil
	}
	waiting, unanswered, err := s.Backlog(ctx)
	if err != nil {
		return nil // the part "bus" says so
	}
	return &api.StreamStatus{Waiting: waiting, Unanswered: unanswered}
}

func (s *Server) recordStatus(chains []store.ChainHead) *api.RecordStatus {
	r := &api.RecordStatus{Chains: make([]api.RecordChain, len(chains)), Verified: s.verified.last.Load()}
	for i, h := range chains {
		r.Chains[i] = api.RecordChain{Cluster: h.Cluster, Entries: h.Seq, Signed: h.SignedSeq, SignedAt: maybe(h.SignedNS), UnsignedSince: maybe(h.UnsignedNS)}
	}
	return r
}
