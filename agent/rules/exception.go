package rules

import (
	"errors"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"riposte/agent/rules/compile"
	"riposte/agent/rules/syntax"
)

// exception is one entry of a rule's exceptions: values of fields for which the
// rule does not fire.
type exception struct {
	name          string
	at            place
	fields, comps []string
	// single marks the shape with one field and a flat list of values.
	single bool
	// tuples are ORed; the parts of a tuple are ANDed. Of a single field, each tuple has one value.
	tuples [][]string
}

// exceptions reads a rule's exceptions and merges them into earlier ones.
func (l *loader) exceptions(p place, label string, earlier []*exception, add bool) []*exception {
	if p.node.Kind != yaml.SequenceNode {
		if !null(p.node) {
			l.fail(p.error(CodeYAMLValidate, label, 0, "exceptions must be a list"))
		}
		return earlier
	}
	var list []*exception
	byName, seen := map[string]*exception{}, map[string]bool{}
	if add {
		for _, x := range earlier {
			c := *x
			list = append(list, &c)
			byName[c.name] = &c
		}
	}
	for _, n := range p.node.Content {
		at := place{p.src, resolve(n)}
		var raw struct {
			Name                  string
			Fields, Comps, Values yaml.Node
		}
		if at.node.Kind != yaml.MappingNode || at.node.Decode(&raw) != nil || raw.Name == "" {
			l.fail(at.error(CodeYAMLValidate, label, 0, "an exception needs a name"))
			return earlier
		}
		what := fmt.Sprintf("%s: exception %q", label, raw.Name)
		if len(l.within) > 0 {
			l.within = append(l.within[:1:1], part{typ: partExceptions, at: p}, part{typ: partException, name: raw.Name, at: at})
		}
		if seen[raw.Name] {
			l.warn(at.error(CodeNotUnique, what, 0, "the rule has several exceptions of that name"))
		}
		seen[raw.Name] = true
		prev := byName[raw.Name]
		noValues := raw.Values.Kind == 0 || null(&raw.Values)
		if prev == nil {
			if add && noValues {
				l.fail(at.error(CodeValidate, what, 0, "an exception that is added needs values"))
				return earlier
			}
			x := &exception{name: raw.Name, at: at}
			if !l.shape(x, what, &raw.Fields, &raw.Comps) {
				return earlier
			}
			list = append(list, x)
			prev = x
		} else if raw.Fields.Kind != 0 || raw.Comps.Kind != 0 {
			l.fail(at.error(CodeValidate, what, 0, "the exception exists: only values can be added"))
			return earlier
		}
		if noValues {
			if add {
				l.warn(at.error(CodeAppendNoValues, what, 0, "the exception adds no values"))
			}
			continue
		}
		if !l.values(prev, what, place{p.src, resolve(&raw.Values)}) {
			return earlier
		}
	}
	if len(l.within) > 0 {
		l.within = l.within[:1]
	}
	return list
}

// knownFields checks that what an exception compares are fields.
func (l *loader) knownFields(x *exception, what string, nodes []*yaml.Node) bool {
	if l.foreign {
		return true
	}
	for i, f := range x.fields {
		o, n, err := syntax.ParseField(strings.TrimSpace(f))
		if err == nil && n == len(strings.TrimSpace(f)) {
			if _, err = compile.New(nil).Reader(o); err == nil {
				continue
			}
		}
		msg := fmt.Sprintf("%q is not a field", f)
		if ce, ok := errors.AsType[*compile.Error](err); ok {
			msg = ce.Msg
		}
		l.fail(place{x.at.src, nodes[i]}.error(CodeValidate, what, 0, msg))
		return false
	}
	return true
}

// shape reads fields and comps.
func (l *loader) shape(x *exception, what string, fields, comps *yaml.Node) bool {
	fields, comps = resolve(fields), resolve(comps)
	switch fields.Kind {
	case yaml.ScalarNode:
		x.single, x.fields, x.comps = true, []string{fields.Value}, []string{"in"}
		if comps.Kind == yaml.ScalarNode {
			x.comps[0] = comps.Value
		} else if comps.Kind != 0 {
			l.fail(x.at.error(CodeValidate, what, 0, "with one field comps must be one operator"))
			return false
		}
		op, mod, ok := operator(x.comps[0])
		if !ok || mod == "" && !op.TakesList() || mod != "" && op.TakesList() {
			l.fail(x.at.error(CodeValidate, what, 0, fmt.Sprintf("operator %q does not take a list: use in, pmatch, intersects, or one such as 'startswith anyof'", x.comps[0])))
			return false
		}
		return l.knownFields(x, what, []*yaml.Node{fields})
	case yaml.SequenceNode:
		at := place{x.at.src, fields}
		var ok bool
		if x.fields, ok = l.scalars(at, what, "fields"); !ok {
			return false
		}
		if comps.Kind == 0 {
			for range x.fields {
				x.comps = append(x.comps, "=")
			}
		} else if x.comps, ok = l.scalars(place{x.at.src, comps}, what, "comps"); !ok {
			return false
		}
		if len(x.comps) != len(x.fields) {
			l.fail(at.error(CodeValidate, what, 0, fmt.Sprintf("%d fields, but %d comps", len(x.fields), len(x.comps))))
			return false
		}
		for _, c := range x.comps {
			if _, _, ok := operator(c); !ok {
				l.fail(at.error(CodeValidate, what, 0, fmt.Sprintf("unknown operator %q", c)))
				return false
			}
		}
		return l.knownFields(x, what, fields.Content)
	default:
		l.fail(x.at.error(CodeValidate, what, 0, "the exception has no fields"))
		return false
	}
}

// values reads the values and turns them into text.
func (l *loader) values(x *exception, what string, p place) bool {
	if p.node.Kind != yaml.SequenceNode {
		l.fail(p.error(CodeYAMLValidate, what, 0, "values must be a list"))
		return false
	}
	for _, n := range p.node.Content {
		at := place{p.src, resolve(n)}
		if x.single {
			if at.node.Kind != yaml.ScalarNode {
				l.fail(at.error(CodeValidate, what, 0, "with one field values must be a list of texts"))
				return false
			}
			x.tuples = append(x.tuples, []string{quoteItem(at.node.Value)})
			continue
		}
		if at.node.Kind != yaml.SequenceNode || len(at.node.Content) != len(x.fields) {
			l.fail(at.error(CodeValidate, what, 0, fmt.Sprintf("each of the values must be a list of %d, one for each field", len(x.fields))))
			return false
		}
		tuple := make([]string, len(x.fields))
		for i, v := range at.node.Content {
			v = resolve(v)
			op, mod, _ := operator(x.comps[i])
			takesList := op.TakesList() || mod != ""
			switch {
			case v.Kind == yaml.SequenceNode:
				items, ok := l.scalars(place{p.src, v}, what, "a value")
				if !ok {
					return false
				}
				for j := range items {
					items[j] = quoteItem(items[j])
				}
				tuple[i] = "(" + strings.Join(items, ", ") + ")"
			case v.Kind != yaml.ScalarNode:
				l.fail(place{p.src, v}.error(CodeYAMLValidate, what, 0, "a value must be text or a list of texts"))
				return false
			case v.Value == "":
				l.fail(place{p.src, v}.error(CodeYAMLValidate, what, 0, "a value is empty"))
				return false
			case takesList && !strings.HasPrefix(v.Value, "("):
				// Not quoted: a text with commas is several values.
				tuple[i] = "(" + v.Value + ")"
			case takesList:
				tuple[i] = v.Value
			default:
				tuple[i] = quoteItem(v.Value)
			}
		}
		x.tuples = append(x.tuples, tuple)
	}
	return true
}

// text is the condition of the exception, empty if it has no values.
func (x *exception) text() string {
	if len(x.tuples) == 0 {
		return ""
	}
	if x.single {
		values := make([]string, len(x.tuples))
		for i, t := range x.tuples {
			values[i] = t[0]
		}
		return x.fields[0] + " " + x.comps[0] + " (" + strings.Join(values, ", ") + ")"
	}
	tuples := make([]string, len(x.tuples))
	for i, t := range x.tuples {
		checks := make([]string, len(t))
		for j, v := range t {
			checks[j] = x.fields[j] + " " + x.comps[j] + " " + v
		}
		tuples[i] = "(" + strings.Join(checks, " and ") + ")"
	}
	return strings.Join(tuples, " or ")
}

// withExceptions is the rule's condition and that no exception applies.
func (d *ruleDef) withExceptions() text {
	var parts []*exception
	for _, x := range d.exceptions {
		if len(x.tuples) > 0 {
			parts = append(parts, x)
		}
	}
	if len(parts) == 0 {
		return d.condition
	}
	from, at, _ := d.condition.lookup(0)
	var t text
	t.add("(", from, at)
	t.join(d.condition)
	t.add(")", from, at)
	for _, x := range parts {
		t.add(" and not ("+x.text()+")", x.at, 0)
	}
	return t
}
