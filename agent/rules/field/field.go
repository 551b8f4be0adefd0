// Package field is the catalogue of what a rule can ask of an event: each
// field's name, type, argument, scope and how it is read.
//
// Names and meanings are Falco's. A field that cannot be had of an event is
// NULL, a Value that is not OK: a check of it is false, whatever the operator.
package field

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"riposte/agent/event"
)

// Type decides which operators and literals go with a field.
type Type uint8

// The types. Uint32 and Uint64 take a negative literal modulo their size, as Falco does.
const (
	Text Type = iota
	Int
	Uint32
	Uint64
	Bool
	IP
	// Net fields read an address and are compared with prefixes.
	Net
	// Port literals are numbers or service names.
	Port
	// Bytes is raw data.
	Bytes
	// Texts is a list.
	Texts
	// Double is a number with a fraction: Value.Int holds its bits.
	Double
)

var typeNames = [...]string{"text", "int", "uint32", "uint64", "bool", "ip", "net", "port", "bytes", "list", "double"}

// String is the name that errors and the reference use.
func (t Type) String() string { return typeNames[t] }

// Number says that values are compared as numbers.
func (t Type) Number() bool {
	return t == Int || t == Uint32 || t == Uint64 || t == Port || t == Double
}

// Scope is what a field's value depends on, and so how long it holds.
type Scope uint8

// The scopes, from the shortest-lived.
const (
	Event Scope = iota
	File
	Thread
	Process
	Container
	Host
)

var scopeNames = [...]string{"event", "file", "thread", "process", "container", "host"}

// String is the scope's name.
func (s Scope) String() string { return scopeNames[s] }

// ArgKind says what may stand in a field's brackets.
type ArgKind uint8

// The kinds of argument.
const (
	NoArg ArgKind = iota
	// OptionalIndex is a number from 0 that may be left out.
	OptionalIndex
	// OptionalText and RequiredText are a name or key.
	OptionalText
	RequiredText
	// RequiredIndex is a number from 0.
	RequiredIndex
)

// Many says how a field with several values is compared.
type Many uint8

// A field has One value; or any of its values makes a check true (Any); or it
// has two ends, and != is true only if neither is equal (EitherEnd); or its values are
// the names of an address (Domains), and != is true of a known address that has not that
// name.
const (
	One Many = iota
	Any
	EitherEnd
	Domains
)

// Flags are what else is particular about a field.
type Flags uint8

// Flags of a field: Deprecated ones are warned about or will go, Table ones are
// made for tables and hidden from Falco's own lists, Filter ones are meant for
// conditions and Print ones for outputs. Replayed ones are known in the replay of a
// capture file alone.
const (
	Deprecated Flags = 1 << iota
	Table
	Filter
	Print
	Replayed
)

// Field is one entry of the catalogue.
type Field struct {
	Name string
	// Class is the name of the class that the field belongs to.
	Class string
	Type  Type
	Arg   ArgKind
	Scope Scope
	Many  Many
	// NoRight: not allowed in val(); NoTransform: not allowed in a transformer.
	NoRight, NoTransform bool
	Flags                Flags
	Desc                 string

	get func(e *event.Event, a Argument, i int) Value
}

// Value is what a field has for one event. The zero value is NULL.
type Value struct {
	OK   bool
	Text string
	// Int is a number, a port, or 1 for true.
	Int  int64
	Addr netip.Addr
	// list is behind a pointer so that a Value is handed on in registers.
	list *[]string
}

// ListOf is the value of a field that is a list.
func ListOf(list []string) Value { return Value{OK: true, list: &list} }

// List is a list's elements.
func (v Value) List() []string {
	if v.list == nil {
		return nil
	}
	return *v.list
}

// Double is the value of a field of that type.
func (v Value) Double() float64 { return math.Float64frombits(uint64(v.Int)) }

// Argument is a field's checked argument.
type Argument struct {
	Set   bool
	Text  string
	Index int
}

// Captured says that this version can know the field; else it is always NULL.
func (f *Field) Captured() bool { return f.get != nil }

// Get reads the value. Where f.Many is not One, i counts the values from 0 and
// the first NULL ends them.
func (f *Field) Get(e *event.Event, a Argument, i int) Value {
	if f.get == nil || i > 0 && (f.Many == One || f.Many == Any && a.Set) {
		return Value{}
	}
	return f.get(e, a, i)
}

// maxIndex bounds an index argument: no process tree is deeper in practice.
const maxIndex = 1000

// Bind checks an argument, which is given or not.
func (f *Field) Bind(text string, given bool) (Argument, error) {
	switch {
	case !given && (f.Arg == RequiredText || f.Arg == RequiredIndex):
		return Argument{}, fmt.Errorf("field %s needs an argument, as in %s[x]", f.Name, f.Name)
	case !given:
		return Argument{}, nil
	case f.Arg == NoArg:
		return Argument{}, fmt.Errorf("field %s takes no argument", f.Name)
	case f.Arg == RequiredIndex:
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			return Argument{}, fmt.Errorf("field %s needs a number in its brackets, not %q", f.Name, text)
		}
		return Argument{Set: true, Text: text, Index: int(n)}, nil
	case f.Arg == OptionalIndex:
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 || n > maxIndex {
			return Argument{}, fmt.Errorf("field %s needs a number from 0 to %d in its brackets, not %q", f.Name, maxIndex, text)
		}
		return Argument{Set: true, Text: text, Index: n}, nil
	}
	return Argument{Set: true, Text: text}, nil
}

// Ref is a field with its argument, as a rule names it.
type Ref struct {
	*Field
	Argument Argument
}

// Read is the first or only value.
func (r Ref) Read(e *event.Event) Value { return r.Get(e, r.Argument, 0) }

// Getter reads the first or only value with r.Argument and 0: what Read does, without
// looking at each event at what is known beforehand. It is nil for a field that is
// always NULL.
func (r Ref) Getter() func(e *event.Event, a Argument, i int) Value { return r.get }

// Format writes a value as a rule's output shows it, "<NA>" for NULL. It does
// not escape anything.
func (t Type) Format(v Value) string {
	switch {
	case !v.OK:
		return "<NA>"
	case t == Bool:
		return strconv.FormatBool(v.Int != 0)
	case t == Uint64:
		return strconv.FormatUint(uint64(v.Int), 10)
	case t == Double:
		return strconv.FormatFloat(v.Double(), 'g', -1, 64)
	case t.Number():
		return strconv.FormatInt(v.Int, 10)
	case t == IP || t == Net:
		return v.Addr.String()
	case t == Texts:
		return "(" + strings.Join(v.List(), ",") + ")"
	}
	return v.Text
}

// JSON is the value as an alert's output_fields hold it, nil for NULL.
func (t Type) JSON(v Value) any {
	switch {
	case !v.OK:
		return nil
	case t == Bool:
		return v.Int != 0
	case t == Uint64:
		return uint64(v.Int)
	case t == Double:
		return v.Double()
	case t.Number():
		return v.Int
	case t == Texts:
		list := make([]any, len(v.List()))
		for i, s := range v.List() {
			list[i] = strings.ToValidUTF8(s, "\uFFFD")
		}
		return list
	}
	return strings.ToValidUTF8(t.Format(v), "\uFFFD")
}
