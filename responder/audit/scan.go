package audit

import (
	"encoding/json"
	"errors"
	"fmt"
)

// said is what a body says, as far as somebody compares it.
type said struct {
	schema                                 int64
	actor, cluster, kind, seen, result     string
	atNS, writtenNS                        int64
	alertID, incidentID, actionID          string
	actionType, playbook, revision, rule   string
	node, targetKind, namespace, name, uid string
	// labels is the object's own JSON.
	labels string
	// sealed are the digests, hexadecimal, in the order of Sealed.
	sealed [3]string
}

// errForm is what a body of this version cannot be.
var errForm = errors.New("it is not in the one form that is written")

// readBody reads a body of any version.
func readBody(body string) (said, error) {
	var s said
	c := cursor{json: body}
	if s.top(&c) == nil && c.at == len(body) && s.schema == Schema {
		return s, nil
	}
	return readOld(body)
}

// readOld reads a body of version 1: nothing is sealed, and few columns are copies.
func readOld(body string) (said, error) {
	var b struct {
		Actor   string `json:"actor"`
		AtNS    int64  `json:"at_ns"`
		Cluster string `json:"cluster"`
		Kind    string `json:"kind"`
		Result  string `json:"result"`
		Schema  int64  `json:"schema"`
		What    struct {
			ActionID string `json:"action_id"`
		} `json:"what"`
		Why struct {
			AlertID string `json:"alert_id"`
		} `json:"why"`
	}
	if err := json.Unmarshal([]byte(body), &b); err != nil {
		return said{}, err
	}
	if b.Schema != 1 {
		return said{}, fmt.Errorf("schema %d: %w", b.Schema, errForm)
	}
	return said{schema: 1, actor: b.Actor, atNS: b.AtNS, cluster: b.Cluster, kind: b.Kind, result: b.Result, actionID: b.What.ActionID, alertID: b.Why.AlertID}, nil
}

// top reads the body's own object, what and why those in it.
func (s *said) top(c *cursor) error {
	for o := c.open(); c.next(&o); {
		var err error
		switch o.key {
		case "actor":
			err = c.text(&s.actor)
		case "at_ns":
			err = c.number(&s.atNS)
		case "cluster":
			err = c.text(&s.cluster)
		case "kind":
			err = c.text(&s.kind)
		case "namespace":
			err = c.text(&s.seen)
		case "result":
			err = c.text(&s.result)
		case "schema":
			err = c.number(&s.schema)
		case "sealed":
			err = s.seals(c)
		case "what":
			err = s.what(c)
		case "when":
			err = c.numbers()
		case "why":
			err = s.why(c)
		case "written_ns":
			err = c.number(&s.writtenNS)
		default:
			err = errForm
		}
		if err != nil {
			return err
		}
	}
	return c.err
}

func (s *said) seals(c *cursor) error {
	for o := c.open(); c.next(&o); {
		i := sealOf(o.key)
		if i < 0 {
			return errForm
		}
		if err := c.text(&s.sealed[i]); err != nil {
			return err
		}
	}
	return c.err
}

func (s *said) what(c *cursor) error {
	var unused string
	var attempt int64
	for o := c.open(); c.next(&o); {
		var err error
		switch o.key {
		case "action_id":
			err = c.text(&s.actionID)
		case "attempt":
			err = c.number(&attempt)
		case "kind":
			err = c.text(&s.targetKind)
		case "labels":
			from := c.at
			err = c.texts()
			s.labels = c.json[from:c.at]
		case "name":
			err = c.text(&s.name)
		case "namespace":
			err = c.text(&s.namespace)
		case "node":
			err = c.text(&s.node)
		case "object":
			err = c.text(&unused)
		case "type":
			err = c.text(&s.actionType)
		case "uid":
			err = c.text(&s.uid)
		default:
			err = errForm
		}
		if err != nil {
			return err
		}
	}
	return c.err
}

func (s *said) why(c *cursor) error {
	for o := c.open(); c.next(&o); {
		var err error
		switch o.key {
		case "alert_id":
			err = c.text(&s.alertID)
		case "incident_id":
			err = c.text(&s.incidentID)
		case "playbook":
			err = c.text(&s.playbook)
		case "revision":
			err = c.text(&s.revision)
		case "rule":
			err = c.text(&s.rule)
		default:
			err = errForm
		}
		if err != nil {
			return err
		}
	}
	return c.err
}
