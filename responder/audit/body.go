package audit

import (
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// writing is an entry on its way into the table. Its body lacks its end, which
// says when it was written: that is known once the chain is locked.
type writing struct {
	Entry
	seals [3]Seal
	body  []byte
}

// prepare cleans an entry and writes its body; salt is for its seals, saltSize
// bytes each.
func (e Entry) prepare(salt []byte) (writing, error) {
	e, err := e.clean()
	if err != nil {
		return writing{}, err
	}
	w := writing{Entry: e}
	for i, value := range [...]string{e.Note, string(e.What.Params), e.Why.Reason} { // in the order of Sealed
		if value != "" {
			w.seals[i] = Seal{Salt: salt[i*saltSize : (i+1)*saltSize : (i+1)*saltSize], Value: value}
		}
	}
	w.body = w.encode(make([]byte, 0, 1024))
	return w, nil
}

// encode writes the body's JSON in its one form: keys in alphabetical order, no
// white space, nothing that is empty but result.
func (w *writing) encode(b []byte) []byte {
	o := object{b: append(b, '{')}
	o.text("actor", w.Actor)
	o.number("at_ns", w.At.UnixNano())
	o.text("cluster", w.Cluster)
	o.text("kind", string(w.Kind))
	o.text("namespace", w.Namespace)
	o.key("result")
	o.b = appendString(o.b, w.Result)
	o.number("schema", Schema)
	o.nest("sealed", func(o *object) {
		for i, field := range Sealed {
			if w.seals[i].Salt != nil {
				sum := Digest(field, w.seals[i])
				o.text(field, hex.EncodeToString(sum[:]))
			}
		}
	})
	o.nest("what", func(o *object) {
		o.text("action_id", w.What.ActionID)
		o.number("attempt", int64(w.What.Attempt))
		o.text("kind", w.What.Kind)
		o.nest("labels", func(o *object) {
			for _, k := range slices.Sorted(maps.Keys(w.What.Labels)) {
				o.key(k)
				o.b = appendString(o.b, w.What.Labels[k])
			}
		})
		o.text("name", w.What.Name)
		o.text("namespace", w.What.Namespace)
		o.text("node", w.What.Node)
		o.text("object", w.What.Object)
		o.text("type", w.What.Type)
		o.text("uid", w.What.UID)
	})
	o.nest("when", func(o *object) {
		o.number("agent_ns", w.When.AgentNS)
		o.number("decided_ns", w.When.DecidedNS)
		o.number("executed_ns", w.When.ExecutedNS)
		o.number("kernel_ns", w.When.KernelNS)
		o.number("received_ns", w.When.ReceivedNS)
		o.number("verified_ns", w.When.VerifiedNS)
	})
	o.nest("why", func(o *object) {
		o.text("alert_id", w.Why.AlertID)
		o.text("incident_id", w.Why.IncidentID)
		o.text("playbook", w.Why.Playbook)
		o.text("revision", w.Why.Revision)
		o.text("rule", w.Why.Rule)
	})
	return o.b
}

// finish writes the body's end.
func (w *writing) finish(writtenNS int64) {
	w.body = append(w.body, `,"written_ns":`...)
	w.body = append(strconv.AppendInt(w.body, writtenNS, 10), '}')
}

// object writes one JSON object; what is empty it leaves out.
type object struct {
	b    []byte
	some bool
}

func (o *object) key(k string) {
	if o.some {
		o.b = append(o.b, ',')
	}
	o.some = true
	o.b = append(appendString(o.b, k), ':')
}

func (o *object) text(k, v string) {
	if v != "" {
		o.key(k)
		o.b = appendString(o.b, v)
	}
}

func (o *object) number(k string, v int64) {
	if v != 0 {
		o.key(k)
		o.b = strconv.AppendInt(o.b, v, 10)
	}
}

func (o *object) nest(k string, write func(*object)) {
	before, some := len(o.b), o.some
	o.key(k)
	inner := object{b: append(o.b, '{')}
	write(&inner)
	if !inner.some {
		o.b, o.some = inner.b[:before], some
		return
	}
	inner.b = append(inner.b, '}')
	o.b = inner.b
}

// appendString writes a JSON string; bytes that are no UTF-8 become U+FFFD.
func appendString(b []byte, s string) []byte {
	const hexes = "0123456789abcdef"
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		if c := s[i]; c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			b = append(b, s[start:i]...)
			if c == '"' || c == '\\' {
				b = append(b, '\\', c)
			} else {
				b = append(b, '\\', 'u', '0', '0', hexes[c>>4], hexes[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			b = append(b, s[start:i]...)
			b = append(b, "\uFFFD"...)
			start = i + 1
		}
		i += size
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
