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
	literal string
	// key is the field as it is written after '%', empty for literal text.
	key    string
	width  int
	reader compile.Reader
}

// suggested are the fields that Falco's container plugin adds to every output.
var suggested = []struct{ name, field string }{
	{"container_id", "container.id"},
	{"container_name", "container.name"},
	{"container_image_repository", "container.image.repository"},
	{"container_image_tag", "container.image.tag"},
	{"k8s_pod_name", "k8s.pod.name"},
	{"k8s_ns_name", "k8s.ns.name"},
}

// parseOutput reads a rule's output; errors are reported already.
func (b *builder) parseOutput(d *ruleDef) (output, error) {
	s := d.output.s
	if i := strings.Index(s, "%container.info"); i >= 0 {
		b.warn(d.output.error(CodeDeprecatedItem, d.label(), i, "%container.info is deprecated and prints nothing: the container's fields are added to every output"))
	}
	out, at, err := b.segments(s)
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
	for _, f := range suggested {
		if strings.Contains(s, "%"+f.field) {
			continue
		}
		more, _, err := b.segments(" " + f.name + "=%" + f.field)
		if err != nil {
			return nil, err
		}
		out = append(out, more...)
	}
	return out, nil
}

// segments splits an output at its fields. The longest text after '%' that is a
// field counts, so "%proc.name." ends with a dot.
func (b *builder) segments(s string) (output, int, error) {
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
		seg, n, err := b.field(s[i+1:])
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
func (b *builder) field(s string) (segment, int, error) {
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
	operand, n, err := syntax.ParseField(rest)
	if err != nil {
		return seg, 0, tokenError("invalid formatting token: no field stands after %")
	}
	var first error
	for {
		seg.reader, err = b.compiler.Reader(operand)
		if err == nil {
			seg.key = rest[:n]
			return seg, digits + n, nil
		}
		if first == nil {
			first = err
		}
		// A shorter text may be a field: without the brackets, then without the last part.
		f, ok := operand.(*syntax.Field)
		if !ok {
			break
		}
		if f.HasArg {
			operand = &syntax.Field{Name: f.Name}
		} else {
			dot := strings.LastIndexByte(f.Name, '.')
			if dot < 0 || !strings.Contains(f.Name[:dot], ".") {
				break
			}
			operand = &syntax.Field{Name: f.Name[:dot]}
		}
		n = len(operand.(*syntax.Field).Name)
	}
	if ce, ok := errors.AsType[*compile.Error](first); ok {
		if ce.Kind == compile.Unknown {
			return seg, 0, tokenError(ce.Msg)
		}
		return seg, 0, errors.New(ce.Msg)
	}
	return seg, 0, first
}

// tokenError is about what stands after a '%' and is no field.
type tokenError string

func (e tokenError) Error() string { return string(e) }

func unknownToken(err error) bool {
	var t tokenError
	return errors.As(err, &t)
}

func (o output) format(e *event.Event) (string, map[string]any) {
	var b strings.Builder
	fields := map[string]any{"evt.time": e.TimeNS}
	for i := range o {
		s := &o[i]
		if s.key == "" {
			b.WriteString(s.literal)
			continue
		}
		shown, value := s.reader.Read(e)
		if s.width > 0 {
			shown = fit(shown, s.width)
		}
		b.WriteString(shown)
		if !s.reader.Transformed && s.key != "evt.time" {
			fields[s.key] = value
		}
	}
	return Escape(b.String()), fields
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
