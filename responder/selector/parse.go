package selector

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// Bounds of a selector, so that the query made of it stays small.
const (
	maxRequirements = 16
	maxValues       = 32
)

// Error is what is wrong with a selector, and where.
type Error struct {
	// Column counts characters from 1.
	Column int
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Reason) }

// Labels are what Kubernetes takes as such.
var (
	keyForm   = regexp.MustCompile(`^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)
	valueForm = regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$`)
)

// Parse reads a selector. An empty text is the empty selector; any error is an *Error.
func Parse(text string) (Selector, error) {
	p := parser{text: text}
	p.space()
	if p.end() {
		return nil, nil
	}
	var s Selector
	for {
		start := p.at
		r, err := p.requirement()
		if err != nil {
			return nil, err
		}
		if len(s) == maxRequirements {
			return nil, p.error(start, "more than %d requirements", maxRequirements)
		}
		s = append(s, r)
		if p.end() {
			return s, nil
		}
		if !p.take(",") {
			return nil, p.error(p.at, `there is %s after a requirement: join them by commas`, p.next())
		}
	}
}

type parser struct {
	text string
	// at is the byte that is read next; where a method ends, it is no space.
	at int
}

func (p *parser) error(at int, format string, args ...any) error {
	return &Error{Column: utf8.RuneCountInString(p.text[:at]) + 1, Reason: fmt.Sprintf(format, args...)}
}

func (p *parser) end() bool { return p.at == len(p.text) }

func (p *parser) space() {
	for !p.end() && (p.text[p.at] == ' ' || p.text[p.at] == '\t') {
		p.at++
	}
}

// take goes over a sign, if it comes next.
func (p *parser) take(sign string) bool {
	if !strings.HasPrefix(p.text[p.at:], sign) {
		return false
	}
	p.at += len(sign)
	p.space()
	return true
}

// word goes over what could be a key or a value; it is empty if something else comes.
func (p *parser) word() string {
	start := p.at
	for !p.end() && !strings.ContainsRune(" \t,=!()", rune(p.text[p.at])) {
		p.at++
	}
	word := p.text[start:p.at]
	p.space()
	return word
}

// next is what comes next, for a message.
func (p *parser) next() string {
	if p.end() {
		return "the end"
	}
	r, _ := utf8.DecodeRuneInString(p.text[p.at:])
	return fmt.Sprintf("%q", r)
}

func (p *parser) requirement() (Requirement, error) {
	missing := p.take("!")
	start := p.at
	r := Requirement{Key: p.word()}
	switch {
	case r.Key == "":
		return r, p.error(start, "there is %s where a label's key is expected, such as app", p.next())
	case !keyForm.MatchString(r.Key):
		return r, p.error(start, "%.80q is no label's key: letters, digits, '-', '_' and '.', with a domain and '/' before it or without", r.Key)
	case missing:
		r.Op = Missing
		return r, nil
	case p.end() || p.text[p.at] == ',':
		r.Op = Exists
		return r, nil
	}
	return p.comparison(r)
}

// comparison reads what follows a key: an operator with its values.
func (p *parser) comparison(r Requirement) (Requirement, error) {
	for _, of := range []struct {
		sign string
		op   Operator
	}{{"!=", NotIn}, {"==", In}, {"=", In}} {
		if p.take(of.sign) {
			r.Op = of.op
			return r, p.value(&r, true)
		}
	}
	start := p.at
	switch word := p.word(); word {
	case "in":
		r.Op = In
	case "notin":
		r.Op = NotIn
	default:
		p.at = start
		return r, p.error(start, "there is %s after the key %s: use =, !=, in (…) or notin (…)", p.next(), r.Key)
	}
	if !p.take("(") {
		return r, p.error(p.at, "there is %s where the values are expected: write them as (a, b)", p.next())
	}
	for {
		if err := p.value(&r, false); err != nil {
			return r, err
		}
		if p.take(")") {
			slices.Sort(r.Values)
			r.Values = slices.Compact(r.Values)
			return r, nil
		}
		if !p.take(",") {
			return r, p.error(p.at, `there is %s among the values: join them by commas and end them by ")"`, p.next())
		}
	}
}

// value adds the value that comes next. Only a single one may be empty.
func (p *parser) value(r *Requirement, empty bool) error {
	start := p.at
	v := p.word()
	switch {
	case v == "" && !empty:
		return p.error(start, "there is %s where a value is expected", p.next())
	case v != "" && !valueForm.MatchString(v):
		return p.error(start, "%.80q is no label's value: at most 63 letters, digits, '-', '_' and '.'", v)
	case len(r.Values) == maxValues:
		return p.error(start, "more than %d values", maxValues)
	}
	r.Values = append(r.Values, v)
	return nil
}
