package kubeobject

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"riposte/responder/action"
)

// Editor is an action that sets fields of one object: all of it but the Spec and
// the choice of the fields.
type Editor struct {
	Client *Client
	Of     action.Spec
	// Resources are those that it takes of workloads and objects.
	Resources []string
	// Fields reads the params and says what is wanted of the object as it is now. It
	// is called with a nil object too, to check the params.
	Fields func(o *unstructured.Unstructured, r action.Request) ([]Field, error)
	// Waits, if set, says why the effect is not there yet although the fields are
	// set, empty once it is.
	Waits func(o *unstructured.Unstructured, r action.Request) string
}

// Spec describes the action.
func (e *Editor) Spec() action.Spec { return e.Of }

// Check demands the target's whole identity and sound params.
func (e *Editor) Check(t action.Target, params json.RawMessage) error {
	if err := Check(e.Of, t, e.Resources...); err != nil {
		return err
	}
	_, err := e.Fields(nil, action.Request{Target: t, Params: params})
	return err
}

// Execute sets the fields. If they are set, or the object is gone, that is a
// success, and there is nothing to undo.
func (e *Editor) Execute(ctx context.Context, r action.Request) (action.Result, error) {
	_, after, image, err := e.set(ctx, r, Real)
	if done, ok := GoneResult(err); ok {
		return done, nil
	}
	if err != nil {
		return action.Result{}, err
	}
	note := "set " + names(image.Fields)
	if len(image.Fields) == 0 {
		note = "nothing to change: it was so already"
	} else if image.Note == earlier {
		note += ", at an earlier attempt"
	}
	image.Note = ""
	return action.Result{Note: note, ExecutedAt: time.Now(), Before: encode(image), After: encode(values(image.Fields, after))}, nil
}

// earlier in an Image's note: it was found on the object.
const earlier = "earlier"

func (e *Editor) set(ctx context.Context, r action.Request, mode Mode) (before, after *unstructured.Unstructured, image Image, err error) {
	ref, err := RefOf(r.Target)
	if err != nil {
		return nil, nil, image, err
	}
	before, after, err = e.Client.Change(ctx, ref, mode, func(o *unstructured.Unstructured) error {
		own, err := e.own(r)
		if err != nil {
			return err
		}
		if found, ok := Marked(o, e.Of.Type, r.ID, own); ok {
			image, image.Note = found, earlier
			return nil
		}
		want, err := e.Fields(o, r)
		if err != nil {
			return asPermanent(err)
		}
		image, err = Set(o, e.Of.Type, r.ID, want)
		return err
	})
	return before, after, image, err
}

// own are the fields that the params are about.
func (e *Editor) own(r action.Request) (Own, error) {
	fields, err := e.Fields(nil, r)
	if err != nil {
		return nil, asPermanent(err)
	}
	return These(fields...), nil
}

// asPermanent gives an error about params or about what an object is its kind,
// unless it has one.
func asPermanent(err error) error {
	if _, ok := errors.AsType[*action.Error](err); ok {
		return err
	}
	return &action.Error{Kind: action.Permanent, Err: err}
}

// Preview is the difference that Execute would make.
func (e *Editor) Preview(ctx context.Context, r action.Request) (string, error) {
	before, after, _, err := e.set(ctx, r, DryRun)
	return Previewed(before, after, err)
}

// Verify looks whether the fields are set and the effect is there.
func (e *Editor) Verify(ctx context.Context, r action.Request) (time.Time, error) {
	ref, err := RefOf(r.Target)
	if err != nil {
		return time.Time{}, err
	}
	return Wait(ctx, func(ctx context.Context) (string, error) {
		o, err := e.Client.Get(ctx, ref)
		if err != nil {
			return "", err
		}
		want, err := e.Fields(o, r)
		if err != nil {
			return "", asPermanent(err)
		}
		if missing := Missing(o, want); len(missing) > 0 {
			return names(missing) + " is not as it was set", nil
		}
		if e.Waits != nil {
			return e.Waits(o, r), nil
		}
		return "", nil
	})
}

// Undo gives the fields back what they held; what others have changed since stays.
func (e *Editor) Undo(ctx context.Context, r action.Request) (action.Result, error) {
	own, err := e.own(r)
	if err != nil {
		return action.Result{}, err
	}
	note, _, err := e.Client.Lift(ctx, e.Of.Type, r, own)
	if err != nil {
		return action.Result{}, err
	}
	return Now(note), nil
}

// Lift gives the target's fields back what they held, as an Undo does, and says so. The
// object is the target as it is then; of one that is gone it is nil, and that is no error.
func (c *Client) Lift(ctx context.Context, kind string, r action.Request, own Own) (note string, now *unstructured.Unstructured, err error) {
	ref, err := RefOf(r.Target)
	if err != nil {
		return "", nil, err
	}
	_, now, err = c.Change(ctx, ref, Real, func(o *unstructured.Unstructured) error {
		image, err := readImage(o, kind, r, own)
		if err != nil {
			return err
		}
		left, err := Restore(o, kind, image)
		if note = restored(image.Fields, left); note == "" {
			note = "nothing to bring back"
		}
		return err
	})
	if gone, ok := errors.AsType[*Gone](err); ok {
		return gone.Error(), nil, nil
	}
	return note, now, err
}

// readImage is what an action of this type recorded, or, if a crash kept it from
// being recorded, what it noted on the object.
func readImage(o *unstructured.Unstructured, kind string, r action.Request, own Own) (Image, error) {
	if len(r.Before) == 0 {
		image, _ := Marked(o, kind, r.ID, own)
		image.ID = r.ID
		return image, nil
	}
	var image Image
	if err := json.Unmarshal(r.Before, &image); err != nil {
		return image, Permanent("read how it was before: %w", err)
	}
	return image, nil
}

// restored is the sentence about an undo.
func restored(fields, left []Field) string {
	var parts []string
	if n := len(fields) - len(left); n > 0 {
		parts = append(parts, "brought back "+names(without(fields, left)))
	}
	if len(left) > 0 {
		parts = append(parts, "left "+names(left)+" alone: somebody else has changed it since")
	}
	return strings.Join(parts, "; ")
}

func without(fields, left []Field) (rest []Field) {
	skip := map[string]bool{}
	for _, f := range left {
		skip[f.String()] = true
	}
	for _, f := range fields {
		if !skip[f.String()] {
			rest = append(rest, f)
		}
	}
	return rest
}

func names(fields []Field) string {
	all := make([]string, len(fields))
	for i, f := range fields {
		all[i] = f.String()
	}
	return strings.Join(all, ", ")
}

// values are the fields as they are now, for the record.
func values(fields []Field, o *unstructured.Unstructured) map[string]json.RawMessage {
	now := map[string]json.RawMessage{}
	for _, f := range fields {
		now[f.String()] = f.read(o)
	}
	return now
}
