package server

import (
	"context"
	"strings"

	"riposte/responder/api"
	"riposte/responder/guard"
	"riposte/responder/store"
)

func (s *Server) listApprovals(ctx context.Context, c *call) (any, error) {
	rows, next, err := s.Store.Actions(ctx, c.in, store.ActionFilter{State: "waiting"}, c.paging())
	if err != nil {
		return nil, err
	}
	ids := make([]string, len(rows))
	for i, a := range rows {
		ids[i] = a.ID
	}
	asked, err := s.Store.Approvals(ctx, ids)
	p := api.Page[api.Approval]{Items: []api.Approval{}, Next: next}
	for _, a := range rows {
		if question, ok := asked[a.ID]; ok {
			p.Items = append(p.Items, approvalResource(a, question))
		}
	}
	return p, err
}

func (s *Server) showApproval(ctx context.Context, c *call) (any, error) {
	a, err := s.Store.Action(ctx, c.in, c.id())
	if err != nil {
		return nil, err
	}
	asked, err := s.Store.Approvals(ctx, []string{a.ID})
	question, ok := asked[a.ID]
	if err == nil && !ok {
		err = problemf("not_asked", "nobody was asked about this action")
	}
	return approvalResource(a, question), err
}

// vote agrees to a waiting action or rejects it.
func (s *Server) vote(agrees bool) handler {
	return func(ctx context.Context, c *call) (any, error) {
		comment := c.body.(*api.Comment).Comment
		if err := checkText("comment", comment); err != nil {
			return nil, err
		}
		a, err := s.Store.Action(ctx, c.in, c.id())
		if err != nil {
			return nil, err
		}
		if err := s.Guard.Answer(ctx, a.ID, guard.Answer{Actor: c.actor(), Agrees: agrees, Comment: comment}); err != nil {
			return nil, err
		}
		return s.showApproval(ctx, c)
	}
}

func approvalResource(a store.ActionRow, q store.ApprovalRow) api.Approval {
	p := api.Approval{
		Action: actionResource(a), Rules: append([]string{}, q.Rules...), Reason: q.Reason, Needed: q.Needed, Agreed: q.Agreed(), AskedAt: q.AskedAt.UTC(),
		ExpiresAt: at(q.ExpiresNS), Votes: []api.Vote{},
	}
	for _, v := range q.Votes {
		p.Votes = append(p.Votes, api.Vote{Actor: v.Actor, Agrees: v.Agrees, Comment: v.Comment, At: v.At.UTC()})
	}
	return p
}

// listBudgets leaves out those of what the caller may not see.
func (s *Server) listBudgets(ctx context.Context, c *call) (any, error) {
	used, err := s.Guard.Usage(ctx)
	p := api.Page[api.Budget]{Items: []api.Budget{}}
	for _, u := range used {
		namespace := ""
		if u.Scope == "namespace" || u.Scope == "workload" {
			namespace, _, _ = strings.Cut(u.Name, "/")
		}
		if !c.in.Holds(u.Cluster, namespace) {
			continue
		}
		p.Items = append(p.Items, api.Budget{
			Scope: u.Scope, Cluster: u.Cluster, Name: u.Name, Used: u.Used, Limit: u.Budget.Count, Left: max(0, u.Budget.Count-u.Used),
			WindowSeconds: u.Budget.Window.Seconds(),
		})
	}
	return p, err
}
