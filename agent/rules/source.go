package rules

import (
	"sort"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"riposte/agent/rules/syntax"
)

// source is one file's text.
type source struct {
	name, content string
}

// place is a value of a file, from which errors are located.
type place struct {
	src  *source
	node *yaml.Node
}

// pos is where the byte at offset of the value stands in the file: the value of
// a folded, indented or quoted scalar is not the text that stands there.
func (p place) pos(offset int) syntax.Pos {
	start := p.src.offset(p.node.Line, p.node.Column)
	if p.node.Kind == yaml.ScalarNode {
		if at, ok := align(p.src.content, start, p.node, offset); ok {
			start = at
		}
	}
	return syntax.PosAt(p.src.content, start)
}

// error makes an Error about the byte at offset of the value. Where that is in
// the file is only worked out for an error that is kept: see problems.
func (p place) error(code, item string, offset int, msg string) *Error {
	return &Error{File: p.src.name, Code: code, Item: item, Msg: msg, at: p, offset: offset}
}

// locate fills Line, Column and Snippet.
func (e *Error) locate() {
	if e.Line > 0 || e.at.node == nil || e.at.node.Line == 0 {
		return
	}
	at := e.at.pos(e.offset)
	e.Line, e.Column, e.Snippet = at.Line, at.Column, syntax.Snippet(e.at.src.content, at)
	e.at = place{}
}

// offset finds a line and column, both from 1, columns in characters.
func (s *source) offset(line, column int) int {
	at := 0
	for ; line > 1; line-- {
		n := strings.IndexByte(s.content[at:], '\n')
		if n < 0 {
			return len(s.content)
		}
		at += n + 1
	}
	for ; column > 1 && at < len(s.content); column-- {
		_, size := utf8.DecodeRuneInString(s.content[at:])
		at += size
	}
	return at
}

// align walks a scalar's value and its text in the file side by side up to the
// byte at target. White space is skipped on both sides, because folding and
// indentation change it; everything else must agree.
func align(content string, at int, node *yaml.Node, target int) (int, bool) {
	value := node.Value
	target = min(target, len(value))
	switch {
	case node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		n := strings.IndexByte(content[at:], '\n')
		if n < 0 {
			return 0, false
		}
		at += n + 1
	case node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		if at < len(content) && (content[at] == '"' || content[at] == '\'') {
			at++
		}
	}
	last := at
	for i := 0; ; {
		for i < len(value) && i < target && space(value[i]) {
			i++
		}
		if i == len(value) {
			return last, true
		}
		if i == target && space(value[i]) {
			return last, true
		}
		for at < len(content) && space(content[at]) {
			at++
		}
		if at == len(content) {
			return 0, false
		}
		got, size := content[at:at+1], 1
		switch {
		case node.Style&yaml.DoubleQuotedStyle != 0 && content[at] == '\\':
			got, size = unescape(content[at:])
		case node.Style&yaml.SingleQuotedStyle != 0 && strings.HasPrefix(content[at:], "''"):
			size = 2
		}
		if strings.TrimFunc(got, func(r rune) bool { return r < 0x80 && space(byte(r)) }) == "" {
			at += size
			continue
		}
		if i >= target {
			return at, true
		}
		if !strings.HasPrefix(value[i:], got) {
			return 0, false
		}
		i += len(got)
		at += size
		last = at
		if i > target {
			return at - size, true
		}
	}
}

func space(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// unescape reads one escape of a double-quoted YAML scalar.
func unescape(s string) (string, int) {
	if len(s) < 2 {
		return "", 1
	}
	digits := map[byte]int{'x': 2, 'u': 4, 'U': 8}[s[1]]
	if digits > 0 && len(s) >= 2+digits {
		var r rune
		for _, c := range s[2 : 2+digits] {
			r <<= 4
			switch {
			case c >= '0' && c <= '9':
				r |= c - '0'
			case c|0x20 >= 'a' && c|0x20 <= 'f':
				r |= c | 0x20 - 'a' + 10
			}
		}
		return string(r), 2 + digits
	}
	if i := strings.IndexByte("0abtnvfre", s[1]); i >= 0 {
		return "\x00\a\b\t\n\v\f\r\x1b"[i : i+1], 2
	}
	return s[1:2], 2
}

// text is a condition or output that was put together from values of files.
type text struct {
	s     string
	spans []span
}

// span says where the text from start on comes from: from the byte at offset of
// a value, or all of it from there (a list's items come from the list's name).
type span struct {
	start  int
	from   place
	offset int
	fixed  bool
}

func newText(p place) text {
	value := p.node.Value
	trimmed := strings.TrimSpace(value)
	return text{s: trimmed, spans: []span{{from: p, offset: strings.Index(value, trimmed)}}}
}

// add appends literal text that stands for a place as a whole.
func (t *text) add(s string, from place, offset int) {
	t.spans = append(t.spans, span{start: len(t.s), from: from, offset: offset, fixed: true})
	t.s += s
}

// join appends another text.
func (t *text) join(u text) {
	for _, s := range u.spans {
		s.start += len(t.s)
		t.spans = append(t.spans, s)
	}
	t.s += u.s
}

// continues says that the next span adds nothing to this one.
func (s span) continues(next span) bool {
	if s.from != next.from || s.fixed != next.fixed {
		return false
	}
	if s.fixed {
		return s.offset == next.offset
	}
	return s.offset+next.start-s.start == next.offset
}

// lookup finds where a byte of the text comes from, and whether its neighbours
// come from the same byte.
func (t *text) lookup(offset int) (place, int, bool) {
	i := sort.Search(len(t.spans), func(i int) bool { return t.spans[i].start > offset }) - 1
	s := t.spans[max(i, 0)]
	if s.fixed {
		return s.from, s.offset, true
	}
	return s.from, s.offset + offset - s.start, false
}

func (t *text) error(code, item string, offset int, msg string) *Error {
	p, at, _ := t.lookup(offset)
	return p.error(code, item, at, msg)
}
