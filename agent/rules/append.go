package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"riposte/agent/event"
	"riposte/agent/rules/compile"
	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

// Append adds to the outputs of the rules that it matches. Whatever is given of
// Rule, Source and Tags must fit: the rule's name, its source, and all the tags
// among the rule's.
type Append struct {
	Rule, Source string
	Tags         []string

	// Output is text in the output's format, added behind a blank.
	Output string
	Fields []ExtraField
	// Suggested adds the container's and the pod's fields, and the static ones, each
	// as name=value and only if the output does not have it already.
	Suggested bool
}

// ExtraField is one more output field; the message does not show it.
type ExtraField struct {
	// Name is its key, and the field itself if Raw: the value keeps its type then.
	Name string
	Raw  bool
	// Format is text in the output's format. Without any there is no such field, as
	// in Falco.
	Format string
}

func (a *Append) matches(d *ruleDef) bool {
	for _, tag := range a.Tags {
		if !slices.Contains(d.tags, tag) {
			return false
		}
	}
	return (a.Rule == "" || a.Rule == d.name) && (a.Source == "" || a.Source == d.source)
}

// CheckOutput says what is wrong with a text in the output's format, given the
// static fields.
func CheckOutput(text string, static map[string]string) error {
	_, _, err := newFormatter(static).segments(text)
	return err
}

// CheckField says what is wrong with the name of a raw field, given the static fields.
func CheckField(name string, static map[string]string) error {
	_, err := newFormatter(static).raw(name)
	return err
}

// suggested are the fields that Falco's container plugin adds to every output.
var suggested = []string{
	"container.id", "container.name", "container.image.repository", "container.image.tag", "k8s.pod.name", "k8s.ns.name",
}

// suggestedName is how a suggested field is called in the message.
var suggestedName = strings.NewReplacer(".", "_", "[", "_", "]", "")

// staticPrefix begins the names of the static fields.
const staticPrefix = "static."

// formatter reads texts in the output's format.
type formatter struct {
	compiler *compile.Compiler
	// static are the values of the static fields, by their names without the prefix.
	static map[string]string
}

func newFormatter(static map[string]string) *formatter {
	return &formatter{compiler: compile.New(nil), static: static}
}

// addition is an Append that was read.
type addition struct {
	*Append
	text  output
	extra []extra
	// suggest has one output for each suggested field, by its name.
	suggest []output
}

// extra is an ExtraField that was read.
type extra struct {
	name string
	raw  segment
	text output
}

func (x *extra) value(e *event.Event) any {
	if x.text == nil {
		_, v := x.raw.read(e)
		return v
	}
	return strings.ToValidUTF8(x.text.text(e), "\uFFFD")
}

// additions reads what is to be added; nil means the suggested fields.
func (f *formatter) additions(all []Append) ([]addition, error) {
	if all == nil {
		all = []Append{{Suggested: true}}
	}
	list := make([]addition, 0, len(all))
	for i := range all {
		a := addition{Append: &all[i]}
		if err := f.add(&a); err != nil {
			return nil, fmt.Errorf("append_output[%d]: %w", i, err)
		}
		list = append(list, a)
	}
	return list, nil
}

func (f *formatter) add(a *addition) (err error) {
	if a.Output != "" {
		if a.text, _, err = f.segments(" " + a.Output); err != nil {
			return err
		}
	}
	for _, x := range a.Fields {
		one := extra{name: x.Name}
		switch {
		case x.Raw:
			one.raw, err = f.raw(x.Name)
		case x.Format == "":
			continue
		default:
			one.text, _, err = f.segments(x.Format)
		}
		if err != nil {
			return err
		}
		a.extra = append(a.extra, one)
	}
	if !a.Suggested {
		return nil
	}
	names := slices.Clone(suggested)
	for _, name := range slices.Sorted(maps.Keys(f.static)) {
		names = append(names, staticPrefix+name)
	}
	for _, name := range names {
		out, _, err := f.segments(" " + suggestedName.Replace(name) + "=%" + name)
		if err != nil {
			return err
		}
		a.suggest = append(a.suggest, out)
	}
	return nil
}

// raw reads the name of a field that keeps its type.
func (f *formatter) raw(name string) (segment, error) {
	if seg, n, ok := f.fixed(name); ok && n == len(name) {
		return seg, nil
	}
	if strings.HasPrefix(name, staticPrefix) {
		return segment{}, f.unknownStatic(name)
	}
	operand, n, err := syntax.ParseField(name)
	if err != nil {
		return segment{}, fmt.Errorf("%q is no field", name)
	}
	if _, ok := operand.(*syntax.Field); !ok || n != len(name) {
		return segment{}, fmt.Errorf("%q is no field: one name belongs here, a text with fields in it needs a name of its own", name)
	}
	r, err := f.compiler.Reader(operand)
	return segment{key: name, reader: r}, bare(err)
}

// fixed reads the longest static field that a text begins with.
func (f *formatter) fixed(s string) (seg segment, n int, ok bool) {
	rest, ok := strings.CutPrefix(s, staticPrefix)
	if !ok {
		return segment{}, 0, false
	}
	best, found := "", false
	for name := range f.static {
		if strings.HasPrefix(rest, name) && (!found || len(name) > len(best)) {
			best, found = name, true
		}
	}
	return segment{key: staticPrefix + best, static: true, literal: f.static[best]}, len(staticPrefix) + len(best), found
}

func (f *formatter) unknownStatic(name string) error {
	known := make([]string, 0, len(f.static))
	for n := range f.static {
		known = append(known, staticPrefix+n)
	}
	slices.Sort(known)
	return &field.UnknownError{Name: name, Near: syntax.Nearest(name, known)}
}

// has says that an output has a field.
func (o output) has(key string) bool {
	return slices.ContainsFunc(o, func(s segment) bool { return s.key == key })
}

// extend adds to a rule's output what its additions say.
func (r *Rule) extend(d *ruleDef, all []addition) {
	for i := range all {
		a := &all[i]
		if !a.matches(d) {
			continue
		}
		r.output = append(r.output, a.text...)
		for _, s := range a.suggest {
			// The last segment is the field: the name stands before it.
			if !r.output.has(s[len(s)-1].key) {
				r.output = append(r.output, s...)
			}
		}
		r.extra = append(r.extra, a.extra...)
	}
}
