package rules

import (
	"fmt"
	"strings"
)

// listDef is a list as merged from all files.
type listDef struct {
	name              string
	at                place
	items             []string
	index, visibility int
	used              bool
	// text is what stands for the name in a condition.
	text string
}

// quoteItem puts a value with a blank into quotes, unless it carries its own.
func quoteItem(s string) string {
	if strings.Contains(s, " ") && s[0] != '"' && s[0] != '\'' {
		return `"` + s + `"`
	}
	return s
}

// resolveLists makes each list's text. An item that names another list stands
// for that list's items, one level deep, if that list was defined before.
func (l *loader) resolveLists() {
	for _, d := range l.lists {
		var items []string
		size := 0
		for _, item := range d.items {
			if ref := l.listByName[item]; ref != nil && ref.index < d.visibility {
				ref.used = true
				for _, v := range ref.items {
					items = append(items, quoteItem(v))
					size += len(v) + 4
				}
			} else {
				items = append(items, quoteItem(item))
				size += len(item) + 4
			}
			if size > MaxConditionBytes {
				l.fail(d.at.error(CodeValidate, d.label(), 0, fmt.Sprintf("the list has more than %d bytes", MaxConditionBytes)))
				items = nil
				break
			}
		}
		d.text = strings.Join(items, ", ")
	}
}

func (d *listDef) label() string { return fmt.Sprintf("list %q", d.name) }

const delimiters = " \t\n\r(),="

func delimiter(c byte) bool { return strings.IndexByte(delimiters, c) >= 0 }

// expand replaces the names of lists by their items, in the text, before it is
// parsed: that is what Falco does, and rules depend on it. A name is whatever
// stands between delimiters, inside quotes too. An item that is again a list's
// name is replaced only if that list comes later, as Falco replaces list by list.
func (l *loader) expand(t text, item string) (text, bool) {
	x := expansion{loader: l, from: &t}
	if !x.replace(t.s, -1, 0) {
		l.fail(t.error(CodeValidate, item, 0, fmt.Sprintf("with its lists in place the condition has more than %d bytes, or all conditions more than %d", MaxConditionBytes, MaxExpandedBytes)))
		return text{}, false
	}
	if len(x.spans) == 0 {
		// Nothing is left, but an error about it still has a place.
		x.spans = t.spans[:1]
	}
	out := x.b.String()
	l.expanded += len(out)
	return text{s: out, spans: x.spans}, true
}

type expansion struct {
	*loader
	from  *text
	b     strings.Builder
	spans []span
	// eatComma drops the next comma: an empty list stood before it.
	eatComma bool
}

// replace writes s, which is the whole text (after < 0) or the items of the list
// with that index; at is where it comes from in the whole text.
func (x *expansion) replace(s string, after, at int) bool {
	top := after < 0
	for i := 0; i < len(s); {
		start := i
		if delimiter(s[i]) {
			for i < len(s) && delimiter(s[i]) {
				if x.eatComma && s[i] != ' ' && s[i] != '\t' && s[i] != '\n' && s[i] != '\r' {
					x.eatComma = false
					if s[i] == ',' {
						x.write(s[start:i], at, start, top)
						start = i + 1
					}
				}
				i++
			}
			x.write(s[start:i], at, start, top)
			continue
		}
		for i < len(s) && !delimiter(s[i]) {
			i++
		}
		word := s[start:i]
		d := x.listByName[word]
		if d == nil || d.index <= after {
			x.eatComma = false
			x.write(word, at, start, top)
			continue
		}
		d.used = true
		from := at
		if top {
			from = start
		}
		if d.text == "" {
			x.dropComma(s[i:])
			continue
		}
		if !x.replace(d.text, d.index, from) {
			return false
		}
	}
	return x.b.Len() <= MaxConditionBytes && x.expanded+x.b.Len() <= MaxExpandedBytes
}

// dropComma removes the comma beside an empty list: the one after it, or else
// the one before it.
func (x *expansion) dropComma(rest string) {
	if strings.HasPrefix(strings.TrimLeft(rest, " \t\n\r"), ",") {
		x.eatComma = true
		return
	}
	out := strings.TrimRight(x.b.String(), " \t\n\r")
	if out, ok := strings.CutSuffix(out, ","); ok {
		x.b.Reset()
		x.b.WriteString(out)
		for len(x.spans) > 0 && x.spans[len(x.spans)-1].start > len(out) {
			x.spans = x.spans[:len(x.spans)-1]
		}
	}
}

func (x *expansion) write(s string, at, offset int, top bool) {
	if s == "" {
		return
	}
	if top {
		at = offset
	}
	p, o, fixed := x.from.lookup(at)
	next := span{start: x.b.Len(), from: p, offset: o, fixed: fixed || !top}
	if n := len(x.spans); n == 0 || !x.spans[n-1].continues(next) {
		x.spans = append(x.spans, next)
	}
	x.b.WriteString(s)
}
