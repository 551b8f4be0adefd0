package responder

import (
	"context"
	"errors"

	"riposte/responder/api"
)

// killSwitch shows the guard's switch as the API does.
func (r *Responder) killSwitch() api.KillSwitch {
	s := r.guard.KillSwitch()
	k := api.KillSwitch{On: s.On, Reason: s.Reason, Actor: s.Actor}
	if !s.At.IsZero() {
		k.At = &s.At
	}
	return k
}

func (r *Responder) listPlaybooks() []api.PlaybookStatus {
	var list []api.PlaybookStatus
	for _, p := range r.playbooks.Playbooks() {
		list = append(list, api.PlaybookStatus{Name: p.Name, Title: p.Title, Description: p.Description, Mode: string(p.Mode), Revision: p.Revision})
	}
	return list
}

// ready says whether an alert that comes now could be decided and acted on.
func (r *Responder) ready(ctx context.Context) error {
	if err := r.store.Ping(ctx); err != nil {
		return err
	}
	if !r.bus.Connected() {
		return errors.New("NATS cannot be reached")
	}
	return nil
}
