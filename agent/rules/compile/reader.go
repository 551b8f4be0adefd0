package compile

import (
	"strings"

	"riposte/agent/event"
	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

// Reader reads one field or transformer for a rule's output.
type Reader struct {
	// Transformed says that the value is not a field's own.
	Transformed bool

	source source
}

// Reader compiles a field or transformer of an output. The error is an *Error.
func (c *Compiler) Reader(o syntax.Operand) (Reader, error) {
	s, err := c.source(o)
	return Reader{source: s, Transformed: s.ref == nil}, err
}

// Read gives a value as it is shown, "<NA>" for NULL, and as JSON holds it. All
// values of a field that has several are shown, with a blank between them.
func (r Reader) Read(e *event.Event) (string, any) {
	v := r.source.read(e, 0)
	if r.source.many == field.One || !v.OK {
		return r.source.typ.Format(v), r.source.typ.JSON(v)
	}
	var all []string
	for i := 0; v.OK; {
		all = append(all, r.source.typ.Format(v))
		i++
		v = r.source.read(e, i)
	}
	s := strings.Join(all, " ")
	return s, strings.ToValidUTF8(s, "\uFFFD")
}
