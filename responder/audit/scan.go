package audit

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

// said is what a body says, as far as somebody compares it.
type said struct {
	schema                                 int64
	actor, cluster, kind, result           string
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
	err := c.object(func(key string) error { return s.top(&c, key) })
	if err == nil && c.at == len(body) && s.schema == Schema {
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

func (s *said) top(c *cursor, key string) error {
	switch key {
	case "actor":
		return c.text(&s.actor)
	case "at_ns":
		return c.number(&s.atNS)
	case "cluster":
		return c.text(&s.cluster)
	case "kind":
		return c.text(&s.kind)
	case "result":
		return c.text(&s.result)
	case "schema":
		return c.number(&s.schema)
	case "written_ns":
		return c.number(&s.writtenNS)
	case "sealed":
		return c.object(func(key string) error {
			if i := sealOf(key); i >= 0 {
				return c.text(&s.sealed[i])
			}
			return errForm
		})
	case "what":
		return c.object(func(key string) error { return s.what(c, key) })
	case "when":
		return c.object(func(string) error { return c.number(new(int64)) })
	case "why":
		return c.object(func(key string) error { return s.why(c, key) })
	}
	return errForm
}

func (s *said) what(c *cursor, key string) error {
	switch key {
	case "action_id":
		return c.text(&s.actionID)
	case "attempt":
		return c.number(new(int64))
	case "kind":
		return c.text(&s.targetKind)
	case "labels":
		from := c.at
		err := c.object(func(string) error { return c.text(new(string)) })
		s.labels = c.json[from:c.at]
		return err
	case "name":
		return c.text(&s.name)
	case "namespace":
		return c.text(&s.namespace)
	case "node":
		return c.text(&s.node)
	case "object":
		return c.text(new(string))
	case "type":
		return c.text(&s.actionType)
	case "uid":
		return c.text(&s.uid)
	}
	return errForm
}

func (s *said) why(c *cursor, key string) error {
	switch key {
	case "alert_id":
		return c.text(&s.alertID)
	case "incident_id":
		return c.text(&s.incidentID)
	case "playbook":
		return c.text(&s.playbook)
	case "revision":
		return c.text(&s.revision)
	case "rule":
		return c.text(&s.rule)
	}
	return errForm
}

// cursor reads JSON in the form that object writes: an own reader, because this is
// where a verification spends its time.
type cursor struct {
	json string
	at   int
}

func (c *cursor) take(b byte) bool {
	if c.at < len(c.json) && c.json[c.at] == b {
		c.at++
		return true
	}
	return false
}

// object calls field at the value of each key, which must come in alphabetical
// order: no key can be there twice.
func (c *cursor) object(field func(key string) error) error {
	if !c.take('{') {
		return errForm
	}
	last := ""
	for n := 0; ; n++ {
		if n > 0 && c.take('}') {
			return nil
		}
		if n > 0 && !c.take(',') {
			return errForm
		}
		var key string
		if err := c.text(&key); err != nil {
			return err
		}
		if n > 0 && key <= last || !c.take(':') {
			return errForm
		}
		last = key
		if err := field(key); err != nil {
			return err
		}
	}
}

// text reads a string.
func (c *cursor) text(into *string) error {
	if !c.take('"') {
		return errForm
	}
	from, escaped := c.at, false
	for ; c.at < len(c.json); c.at++ {
		switch b := c.json[c.at]; {
		case b == '\\':
			escaped = true
			c.at++
		case b == '"':
			*into = c.json[from:c.at]
			c.at++
			if !escaped {
				return nil
			}
			return json.Unmarshal([]byte(c.json[from-1:c.at]), into)
		case b < ' ':
			return errForm
		}
	}
	return errForm
}

// number reads an integer.
func (c *cursor) number(into *int64) error {
	from := c.at
	for c.at < len(c.json) && (c.json[c.at] == '-' || c.json[c.at] >= '0' && c.json[c.at] <= '9') {
		c.at++
	}
	n, err := strconv.ParseInt(c.json[from:c.at], 10, 64)
	*into = n
	return err
}
