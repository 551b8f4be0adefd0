package server

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"riposte/responder/api"
	"riposte/responder/store"
)

// maxTold bounds the actions and the decisions of one story.
const maxTold = 50

// showStory tells of an action, else of an alert, else of an entry, which is told as
// the action or alert that it is about.
func (s *Server) showStory(ctx context.Context, c *call) (any, error) {
	t := teller{s: s, in: c.in, story: api.Story{Decisions: []api.StoryDecision{}, Actions: []api.StoryAction{}, Entries: []api.AuditEntry{}}}
	err := t.tell(ctx, c.id())
	return t.story, err
}

// teller puts a story together.
type teller struct {
	s     *Server
	in    store.Scope
	story api.Story
}

func (t *teller) tell(ctx context.Context, id string) error {
	if cluster, seq, ok := t.entryID(id); ok {
		return t.entry(ctx, cluster, seq)
	}
	a, err := t.s.Store.Action(ctx, t.in, id)
	if err == nil {
		t.story.Asked = "action"
		return t.action(ctx, a)
	}
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	t.story.Asked = "alert"
	return t.alert(ctx, id)
}

// entryID reads NUMBER or CLUSTER/NUMBER. The last group of another id may be all
// digits, but it has twelve: so may no entry's number that is short of them.
func (t *teller) entryID(id string) (cluster string, seq int64, ok bool) {
	cluster = t.s.Cluster
	if at := strings.LastIndexByte(id, '/'); at >= 0 {
		cluster, id = id[:at], id[at+1:]
	} else if len(id) == 12 {
		return "", 0, false
	}
	seq, err := strconv.ParseInt(id, 10, 64)
	return cluster, seq, err == nil && seq > 0
}

func (t *teller) entry(ctx context.Context, cluster string, seq int64) error {
	row, err := t.s.Store.AuditEntry(ctx, t.in, cluster, seq)
	if err != nil {
		return err
	}
	t.story.Asked = "entry"
	switch {
	case row.ActionID != "":
		a, err := t.s.Store.Action(ctx, t.in, row.ActionID)
		if err == nil {
			return t.action(ctx, a)
		}
		if !errors.Is(err, store.ErrNotFound) {
			return err
		}
	case row.AlertID != "":
		return t.alert(ctx, row.AlertID)
	}
	t.story.Entries = append(t.story.Entries, auditResource(row))
	return nil
}

// action tells of one action, with the decision and the alert behind it.
func (t *teller) action(ctx context.Context, a store.ActionRow) error {
	if err := t.entries(ctx, store.AuditFilter{Action: a.ID}); err != nil {
		return err
	}
	if err := t.showAlert(ctx, a.AlertID); err != nil {
		return err
	}
	decision, err := t.s.Store.DecisionOf(ctx, a.ID)
	if err != nil {
		return err
	}
	if err := t.decision(ctx, decision); err != nil {
		return err
	}
	return t.addAction(ctx, a)
}

// alert tells of an alert, with all that came of it. What retention has left of it is
// in the record.
func (t *teller) alert(ctx context.Context, id string) error {
	if err := t.showAlert(ctx, id); err != nil {
		return err
	}
	if t.story.Alert != nil {
		id = t.story.Alert.ID
	}
	if err := t.entries(ctx, store.AuditFilter{Alert: id}); err != nil {
		return err
	}
	if t.story.Alert == nil && len(t.story.Entries) == 0 {
		return store.ErrNotFound
	}
	page := store.Paging{Limit: maxTold}
	decisions, more, err := t.s.Store.Decisions(ctx, t.in, store.DecisionSearch{Alert: id}, page)
	if err != nil {
		return err
	}
	t.story.More = t.story.More || more != ""
	for _, d := range decisions {
		if err := t.decision(ctx, d.ID); err != nil {
			return err
		}
	}
	actions, more, err := t.s.Store.Actions(ctx, t.in, store.ActionFilter{Alert: id}, page)
	if err != nil {
		return err
	}
	t.story.More = t.story.More || more != ""
	for _, a := range slices.Backward(actions) {
		if err := t.addAction(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

func (t *teller) showAlert(ctx context.Context, id string) error {
	row, err := t.s.Store.Alert(ctx, t.in, id)
	switch {
	case err == nil:
		a := alertResource(row)
		t.story.Alert = &a
	case errors.Is(err, store.ErrNotFound): // its month was dropped
	default:
		return err
	}
	return nil
}

// entries adds those of the record, the oldest first.
func (t *teller) entries(ctx context.Context, f store.AuditFilter) error {
	rows, more, err := t.s.Store.Audit(ctx, t.in, f, store.Paging{Limit: api.MaxPage})
	t.story.More = t.story.More || more != ""
	for _, r := range slices.Backward(rows) {
		t.story.Entries = append(t.story.Entries, auditResource(r))
	}
	return err
}

// decision adds one with the reasons for it. One that went with its month is left out.
func (t *teller) decision(ctx context.Context, id string) error {
	row, err := t.s.Store.Decision(ctx, t.in, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	input, err := t.s.Store.DecisionInput(ctx, row.ID)
	if err != nil {
		return err
	}
	d := api.StoryDecision{Decision: decisionResource(row)}
	d.Rules, d.Note = t.s.fired(ctx, row, input)
	t.story.Decisions = append(t.story.Decisions, d)
	return nil
}

func (t *teller) addAction(ctx context.Context, a store.ActionRow) error {
	one := api.StoryAction{Action: actionResource(a), Timeline: timelineOf(a), Checks: checks(target(a), a.Type)}
	images, err := t.s.Store.ActionImages(ctx, a.ID)
	if err != nil {
		return err
	}
	one.Action.Before, one.Action.After, one.Action.Evidence = maybeJSON(images.Before), maybeJSON(images.After), maybeJSON(images.Evidence)
	asked, err := t.s.Store.Approvals(ctx, []string{a.ID})
	if err != nil {
		return err
	}
	if q, ok := asked[a.ID]; ok {
		approval := approvalResource(a, q)
		one.Approval = &approval
	}
	g, err := t.s.Store.GuardRecord(ctx, a.ID)
	if err != nil {
		return err
	}
	if g.Effect != "" {
		one.Guard = &api.StoryGuard{Effect: rawJSON(g.Effect), Counted: []api.StoryCounted{}}
		for _, r := range g.Counted {
			one.Guard.Counted = append(one.Guard.Counted, api.StoryCounted{Scope: r.Scope, Name: r.Name, Subject: r.Subject, At: r.At.UTC()})
		}
	}
	t.story.Actions = append(t.story.Actions, one)
	return nil
}
