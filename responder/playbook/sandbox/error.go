package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Error is one thing that is wrong in a Rego file, with its place.
type Error struct {
	File string
	// Line and Column count from 1; 0 when the place is the whole file.
	Line, Column int
	// Message says what is wrong, and what to do about it where that is not plain.
	Message string
	// Detail is more lines for a person, such as the misspelt reference with a caret.
	Detail []string
}

// Error is "file:line:column: message", then the details, indented.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
	}
	if e.Column > 0 {
		fmt.Fprintf(&b, ":%d", e.Column)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	b.WriteString(e.Message)
	for _, line := range e.Detail {
		b.WriteString("\n\t")
		b.WriteString(line)
	}
	return b.String()
}

// Errors is everything that is wrong, in the order of the places.
type Errors []*Error

// Error is one error per line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Err is nil if nothing is wrong.
func (es Errors) Err() error {
	if len(es) == 0 {
		return nil
	}
	return es
}

// Append adds whatever err holds; an error without a place stands alone.
func (es Errors) Append(err error) Errors {
	if err == nil {
		return es
	}
	var (
		ours Errors
		one  *Error
		many ast.Errors
		opa  *ast.Error
	)
	switch {
	case errors.As(err, &ours):
		return append(es, ours...)
	case errors.As(err, &one):
		return append(es, one)
	case errors.As(err, &many):
		for _, e := range many {
			es = append(es, located(e))
		}
		return es
	case errors.As(err, &opa):
		return append(es, located(opa))
	}
	return append(es, &Error{Message: err.Error()})
}

// Bounds of First.
const (
	firstErrors = 5
	firstBytes  = 400
)

// First is the first errors in one line, for a log or a record.
func First(err error) string {
	var all Errors
	if !errors.As(err, &all) {
		return Plain(err.Error(), firstBytes)
	}
	var lines []string
	for _, e := range all[:min(len(all), firstErrors)] {
		short := *e
		short.Detail = nil
		lines = append(lines, Plain(short.Error(), firstBytes))
	}
	if more := len(all) - firstErrors; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "; ")
}

// Unique drops repeats: files that are shared are compiled with each that uses them.
func (es Errors) Unique() Errors {
	seen := map[string]bool{}
	return slices.DeleteFunc(es, func(e *Error) bool {
		text := e.Error()
		twice := seen[text]
		seen[text] = true
		return twice
	})
}

// Suggest is "did you mean ..." with the nearest of some names, empty if none is near.
func Suggest(name string, known []string) string {
	if near := nearest(name, known); near != "" {
		return fmt.Sprintf("did you mean %q?", near)
	}
	return ""
}

// At makes an error with a place in a file.
func At(loc *ast.Location, format string, args ...any) *Error {
	e := &Error{Message: fmt.Sprintf(format, args...)}
	if loc != nil {
		e.File, e.Line, e.Column = loc.File, loc.Row, loc.Col
	}
	return e
}

// located drops OPA's error code: the message says the same in words.
func located(e *ast.Error) *Error {
	out := At(e.Location, "%s", e.Message)
	explainRef(out, e.Details)
	if e.Details != nil {
		for _, line := range e.Details.Lines() {
			if strings.TrimSpace(line) != "" {
				out.Detail = append(out.Detail, line)
			}
		}
	}
	return out
}

// Plain makes one line of at most limit bytes out of a text that may hold an
// attacker's: it goes into records, and Postgres takes no NUL.
func Plain(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}
