package incident

import (
	"context"
	"time"

	"riposte/responder/audit"
	"riposte/responder/store"
)

// Acknowledgements notes on incidents that they are known. An acknowledgement is a
// row of the incident's history and no state: the incident stays as it is and goes
// on gathering alerts.
type Acknowledgements struct{ Store *store.Store }

// Acknowledge notes on the incident of an action's alert that this action
// acknowledged it, once, and returns the incident's id and when that was noted.
func (a Acknowledgements) Acknowledge(ctx context.Context, actionID, reason string) (string, time.Time, error) {
	return a.note(ctx, actionID, "acknowledged by action "+actionID+": "+reason)
}

// Withdraw notes that the acknowledgement by this action is over.
func (a Acknowledgements) Withdraw(ctx context.Context, actionID string) (string, time.Time, error) {
	return a.note(ctx, actionID, "the acknowledgement by action "+actionID+" is over")
}

func (a Acknowledgements) note(ctx context.Context, actionID, text string) (id string, at time.Time, err error) {
	err = a.Store.InTx(ctx, func(tx store.Tx) error {
		of, err := tx.IncidentOfAction(ctx, actionID)
		if err != nil {
			return err
		}
		i, err := tx.LockIncident(ctx, of.ID)
		if err != nil {
			return err
		}
		id = i.ID
		at, err = tx.NoteOnIncident(ctx, store.IncidentChange{
			ID: i.ID, From: i.State, To: i.State, At: time.Now(), Actor: audit.Playbook(of.Playbook, of.Revision), Reason: text,
		})
		return err
	})
	return id, at, err
}
