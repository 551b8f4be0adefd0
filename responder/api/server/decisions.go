package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"riposte/agent/alert"
	"riposte/responder/api"
	"riposte/responder/playbook"
	"riposte/responder/store"
)

// exportDecisions streams alerts with what was decided about them, one a line, the
// oldest first, and an api.RecordedEnd when that is all. One export runs at a time:
// it reads whole weeks.
func (s *Server) exportDecisions(w http.ResponseWriter, c *call) {
	r := c.Request
	f := store.DecisionFilter{Since: c.since(), Playbook: c.text("playbook"), Alert: c.text("alert")}
	if !s.exporting.TryLock() {
		p := problemf("export_busy", "another export is running: try again when it has ended")
		p.retry = 30
		s.refuse(w, r, p)
		return
	}
	defer s.exporting.Unlock()

	out := stream{w: w, control: http.NewResponseController(w)}
	_ = out.control.SetReadDeadline(time.Time{}) // the reader says nothing more; a deadline would end it
	var told int64
	err := s.Store.Decided(r.Context(), c.in, f, func(a store.DecidedAlert) error {
		told++
		return out.line(recordedResource(a))
	})
	switch {
	case err == nil:
		_ = out.line(api.RecordedEnd{End: true, Alerts: told})
		_ = out.flush()
	case told == 0:
		s.refuse(w, r, err)
	case r.Context().Err() == nil && !errors.Is(err, errLine):
		// The answer has begun: that its end is missing tells the reader.
		s.Log.Error("export decisions", "alerts", told, "error", err)
	}
}

// exportChunk is how much of an export is written at once.
const exportChunk = 256 << 10

var errLine = errors.New("the reader has gone or is too slow")

// line adds one line of JSON, and writes when there is enough.
func (o *stream) line(v any) error {
	b, err := encode(v)
	if err != nil {
		return err
	}
	if o.buf.Len() == 0 {
		o.w.Header().Set("Content-Type", ndjson)
	}
	o.buf.Write(b)
	if o.buf.Len() < exportChunk {
		return nil
	}
	return o.flush()
}

func (o *stream) flush() error {
	defer o.buf.Reset()
	if o.write(o.buf.Bytes()) != nil {
		return errLine
	}
	return nil
}

func recordedResource(a store.DecidedAlert) api.Recorded {
	r := api.Recorded{AlertID: a.ID, ReceivedAt: at(a.ReceivedNS), KernelAt: maybe(a.KernelNS), Count: a.Count, Decisions: make([]api.RecordedDecision, len(a.Decisions))}
	first := ""
	for i, d := range a.Decisions {
		one := api.RecordedDecision{
			Playbook: d.Playbook, Revision: d.Revision, Mode: d.Mode, State: d.State, Reason: d.Reason, DecidedAt: at(d.DecidedNS), Count: d.Count,
		}
		switch {
		case i == 0:
			first, r.Input = d.Input, rawJSON(d.Input)
		case d.Input != first:
			one.Input = rawJSON(d.Input)
		}
		if d.Result != "" {
			one.Result = rawJSON(d.Result)
		}
		for _, x := range d.Actions {
			one.Actions = append(one.Actions, api.RecordedAction{ID: x.ID, Type: x.Type, State: x.State, RefusedBy: x.RefusedBy, ExecutedAt: maybe(x.ExecutedNS)})
		}
		r.Decisions[i] = one
	}
	if len(a.Decisions) == 0 {
		r.Rebuilt, r.Input = true, rebuilt(a.AlertRow)
	}
	return r
}

func maybe(ns int64) *time.Time {
	if ns == 0 {
		return nil
	}
	t := at(ns)
	return &t
}

// rebuilt is what a playbook would have seen of an alert, as far as its row says.
func rebuilt(a store.AlertRow) json.RawMessage {
	in := playbook.Input{
		Schema: playbook.InputSchema, Alert: new(alert.Alert), Binding: playbook.Binding(a.Binding), Node: playbook.Identified{Name: a.Node},
		Cluster: playbook.Named{Name: a.Cluster}, Incident: &playbook.Incident{ID: a.IncidentID, Alerts: 1, FirstAt: at(a.ReceivedNS)},
		History: []playbook.Past{}, Now: at(a.ReceivedNS),
	}
	if json.Unmarshal([]byte(a.Body), in.Alert) != nil {
		return json.RawMessage("null")
	}
	if in.Binding == playbook.Bound {
		in.Pod = &playbook.Pod{Namespace: a.Namespace, Name: a.Pod, UID: a.PodUID, Node: a.Node}
		if x := in.Alert.Riposte; x != nil && x.Pod != nil && x.Pod.UID == a.PodUID {
			in.Pod.Labels, in.Pod.Owner = x.Pod.Labels, x.Pod.Owner
		}
		in.Namespace = &playbook.Identified{Name: a.Namespace}
	}
	b, err := encode(in)
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}
