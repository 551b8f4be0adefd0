package field

import (
	"fmt"
	"io"
	"strings"
)

//go:generate go run ./generate ../../../docs/fields.md

// String is "none", "optional" or "required".
func (a ArgKind) String() string {
	switch a {
	case OptionalIndex, OptionalText:
		return "optional"
	case RequiredText, RequiredIndex:
		return "required"
	}
	return "none"
}

// Tags are the words for what is particular about the field.
func (f *Field) Tags() []string {
	tags := []string{}
	for _, t := range []struct {
		set  bool
		name string
	}{
		{f.Flags&Deprecated != 0, "deprecated"},
		{f.Flags&Table != 0, "table only"},
		{f.Flags&Filter != 0, "filter only"},
		{f.Flags&Print != 0, "output only"},
		{f.Flags&Replayed != 0, "in a replay only"},
		{f.NoRight, "not in val()"},
		{f.NoTransform, "not in transformers"},
	} {
		if t.set {
			tags = append(tags, t.name)
		}
	}
	return tags
}

// WriteReference writes docs/fields.md.
func WriteReference(w io.Writer) error {
	var b strings.Builder
	b.WriteString(`<!-- Generated from agent/rules/field by go generate: do not edit. -->
# Fields

What a rule's condition or output can ask of an event. The names and meanings
are Falco's. Every field of Falco is known, so that any rule file loads; one that
is not captured has no value (NULL): a check of it is false whatever its
operator, and outputs show ` + "`<NA>`" + `.

**Scope** is what a value depends on, and so how long it holds: the event, its
file, the thread, the process, the container or the host. A field with ` + "`[x]`" + `
needs an argument, one with ` + "`[[x]]`" + ` may have one.

`)
	for _, c := range Classes() {
		captured := 0
		for i := range c.Fields {
			if c.Fields[i].Captured() {
				captured++
			}
		}
		fmt.Fprintf(&b, "## %s\n\nFields of %s. %d of %d are captured.", c.Name, c.Desc, captured, len(c.Fields))
		if c.Source != "" {
			fmt.Fprintf(&b, " Source: `%s`.", c.Source)
		}
		b.WriteString("\n\n| Field | Type | Scope | Captured | What it is |\n| --- | --- | --- | --- | --- |\n")
		for i := range c.Fields {
			f := &c.Fields[i]
			name, has, desc := f.Name, "no", f.Desc
			switch f.Arg.String() {
			case "required":
				name += "[x]"
			case "optional":
				name += "[[x]]"
			}
			if f.Captured() {
				has = "yes"
			}
			if tags := f.Tags(); len(tags) > 0 {
				desc += " (" + strings.Join(tags, ", ") + ")"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", name, f.Type, f.Scope, has, strings.ReplaceAll(desc, "|", `\|`))
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, strings.TrimRight(b.String(), "\n")+"\n")
	return err
}
