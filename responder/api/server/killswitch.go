package server

import (
	"context"
	"errors"

	"riposte/responder/api"
	"riposte/responder/api/access"
	"riposte/responder/guard"
)

func (s *Server) showKillSwitch(context.Context, *call) (any, error) { return s.killSwitch(), nil }

// killSwitch is the switch for all, with the narrower ones that are on.
func (s *Server) killSwitch() api.KillSwitch {
	all := switchResource(s.Guard.KillSwitch())
	for _, other := range s.Guard.Switches() {
		if other.Scope != guard.ScopeAll {
			all.Others = append(all.Others, switchResource(other))
		}
	}
	return all
}

func switchResource(s guard.Switch) api.KillSwitch {
	k := api.KillSwitch{On: s.On, Name: s.Name, Reason: s.Reason, Actor: s.Actor}
	if s.Scope != guard.ScopeAll {
		k.Scope = string(s.Scope)
	}
	if !s.At.IsZero() {
		k.At = &s.At
	}
	return k
}

// setKillSwitch lets responders stop effects, and admins let them happen again.
// Whoever has the role in a whole cluster may turn that cluster's.
func (s *Server) setKillSwitch(ctx context.Context, c *call) (any, error) {
	k := c.body.(*api.KillSwitchChange)
	if k.On == nil {
		return nil, problemf("bad_body", "on: say true or false")
	}
	if err := checkText("reason", k.Reason); err != nil {
		return nil, err
	}
	in := c.in
	if !*k.On {
		in = c.who.Scope(access.Admin)
	}
	scope := guard.Scope(k.Scope)
	if !in.All() && (scope != guard.ScopeCluster || !in.Holds(k.Name, "")) {
		return nil, problemf("forbidden", "%s may not turn this switch: on needs the role responder, off admin, and both for all that it stops", c.who.Name)
	}
	if c.Header.Get("If-Match") != "" {
		// What another responder turned counts too, if the database can say so. The window
		// from here on is the time that the change takes.
		if err := s.Guard.Refresh(ctx); err != nil && !*k.On {
			return nil, err
		}
		if err := c.unchanged(s.killSwitch()); err != nil {
			return nil, err
		}
	}
	err := s.Guard.Turn(ctx, guard.Switch{Scope: scope, Name: k.Name, On: *k.On, Actor: c.actor(), Reason: k.Reason})
	if errors.Is(err, guard.ErrNotRecorded) {
		s.Log.Error("the kill switch was turned on and the record does not say so", "actor", c.actor(), "error", err)
	}
	return s.killSwitch(), err
}
