package rules

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"riposte/agent/event"
	"riposte/agent/rules/compile"
	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

// output is a rule's output, ready to print: literal text and fields in turn.
type output []segment

type segment struct {
	// literal is literal text, or a static field's value.
	literal string
	// key is the field as it is written after '%', empty for literal text.
	key    string
	width  int
	static bool
	reader compile.Reader
}

// read gives a field's value as it is shown and as JSON holds it.
func (s *segment) read(e *event.Event) (string, any) {
	if s.static {
		return s.literal, s.literal
	}
	return s.reader.Read(e)
}

// parseOutput reads a rule's output; errors are reported already.
func (b *builder) parseOutput(d *ruleDef) (output, error) {
	s := d.output.s
	if i := strings.Index(s, "%container.info"); i >= 0 {
		b.warn(d.output.error(CodeDeprecatedItem, d.label(), i, "%container.info is deprecated and prints nothing: the container's fields are added to every output"))
	}
	out, at, err := b.formatter.segments(s)
	if err != nil {
		if d.skipUnknown && unknownToken(err) {
			b.warn(d.output.error(CodeUnknownFilter, d.label(), at, err.Error()+" (the rule is left out)"))
		} else {
			b.fail(d.output.error(CodeCompileOutput, d.label(), at, err.Error()))
		}
		return nil, err
	}
	for i := range out {
		if f, ok := field.Lookup(out[i].key); ok && f.Class == "syscall" && f.Flags&field.Deprecated != 0 {
			b.warn(d.output.error(CodeDeprecatedItem, d.label(), strings.Index(s, "%"+out[i].key), f.Name+" is deprecated: calls are seen at their exit alone"))
		}
	}
	return out, nil
}

// segments splits an output at its fields. The longest text after '%' that is a
// field counts, so "%proc.name." ends with a dot.
func (f *formatter) segments(s string) (output, int, error) {
	var out output
	start, i := 0, 0
	if strings.HasPrefix(s, "*") {
		// "Print even if a value is missing": that is how it is always done.
		start, i = 1, 1
	}
	for i < len(s) {
		if s[i] != '%' {
			i++
			continue
		}
		out = out.literal(s[start:i])
		if strings.HasPrefix(s[i:], "%container.info") {
			i += len("%container.info")
			start = i
			continue
		}
		seg, n, err := f.field(s[i+1:])
		if err != nil {
			return nil, i, err
		}
		out = append(out, seg)
		i += 1 + n
		start = i
	}
	return out.literal(s[start:]), 0, nil
}

func (o output) literal(s string) output {
	if s == "" {
		return o
	}
	return append(o, segment{literal: s})
}

// maxWidth bounds the padding of one field.
const maxWidth = 1024

// field reads one field after its '%' and says how long it is.
func (f *formatter) field(s string) (segment, int, error) {
	digits := 0
	for digits < len(s) && s[digits] >= '0' && s[digits] <= '9' {
		digits++
	}
	seg := segment{}
	if digits > 0 {
		w, err := strconv.Atoi(s[:digits])
		if err != nil || w == 0 || w > maxWidth {
			return seg, 0, fmt.Errorf("a field's width must be from 1 to %d", maxWidth)
		}
		seg.width = w
	}
	rest := s[digits:]
	if rest == "" {
		return seg, 0, tokenError("invalid formatting token: the output ends after %")
	}
	if strings.HasPrefix(rest, staticPrefix) {
		fixed, n, ok := f.fixed(rest)
		if !ok {
			name := rest
			if _, n, err := syntax.ParseField(rest); err == nil {
				name = rest[:n]
			}
			return seg, 0, tokenError(f.unknownStatic(name).Error())
		}
		fixed.width = seg.width
		return fixed, digits + n, nil
	}
	operand, n, err := syntax.ParseField(rest)
	if err != nil {
		return seg, 0, tokenError("invalid formatting token: no field stands after %")
	}
	var first error
	for {
		seg.reader, err = f.compiler.Reader(operand)
		if err == nil {
			seg.key = rest[:n]
			return seg, digits + n, nil
		}
		if first == nil {
			first = err
		}
		// A shorter text may be a field: without the brackets, then without the last part.
		name, ok := operand.(*syntax.Field)
		if !ok {
			break
		}
		if name.HasArg {
			operand = &syntax.Field{Name: name.Name}
		} else {
			dot := strings.LastIndexByte(name.Name, '.')
			if dot < 0 || !strings.Contains(name.Name[:dot], ".") {
				break
			}
			operand = &syntax.Field{Name: name.Name[:dot]}
		}
		n = len(operand.(*syntax.Field).Name)
	}
	return seg, 0, bare(first)
}

// bare is a compiler's error without its place, which is that in the field alone.
func bare(err error) error {
	ce, ok := errors.AsType[*compile.Error](err)
	switch {
	case !ok:
		return err
	case ce.Kind == compile.Unknown:
		return tokenError(ce.Msg)
	}
	return errors.New(ce.Msg)
}

// tokenError is about what stands after a '%' and is no field.
type tokenError string

func (e tokenError) Error() string { return string(e) }

func unknownToken(err error) bool {
	var t tokenError
	return errors.As(err, &t)
}

// format writes the message and collects the values of the fields in it.
func (r *Rule) format(e *event.Event) (string, map[string]any) {
	fields := map[string]any{"evt.time": e.TimeNS}
	message := r.output.write(e, fields)
	for i := range r.extra {
		fields[r.extra[i].name] = r.extra[i].value(e)
	}
	return Escape(message), fields
}

// text writes an output alone.
func (o output) text(e *event.Event) string { return o.write(e, nil) }

// write gives the text, and puts the values of its fields into a map unless that is nil.
func (o output) write(e *event.Event, fields map[string]any) string {
	var b strings.Builder
	for i := range o {
		s := &o[i]
		if s.key == "" {
			b.WriteString(s.literal)
			continue
		}
		shown, value := s.read(e)
		if s.width > 0 {
			shown = fit(shown, s.width)
		}
		b.WriteString(shown)
		if fields != nil && !s.reader.Transformed && s.key != "evt.time" {
			fields[s.key] = value
		}
	}
	return b.String()
}

// fit pads or cuts to a width in characters.
func fit(s string, width int) string {
	n := utf8.RuneCountInString(s)
	if n <= width {
		return s + strings.Repeat(" ", width-n)
	}
	for i := range s {
		if width == 0 {
			return s[:i]
		}
		width--
	}
	return s
}

// Escape makes a text safe to print on one line: control characters and those
// that turn the direction of writing become escapes, bad UTF-8 becomes U+FFFD.
func Escape(s string) string {
	clean := true
	for _, r := range s {
		if r == utf8.RuneError || unsafeRune(r) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case unsafeRune(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unsafeRune(r rune) bool {
	return r < ' ' || r >= 0x7f && r < 0xa0 || r == 0x061c || r == 0x200e || r == 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}
