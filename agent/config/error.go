package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"riposte/agent/rules/syntax"
)

// maxProblems bounds the errors, and the warnings, that are told.
const maxProblems = 50

// Error is what is wrong with the configuration, and where. Line and Column
// count from 1; they are 0 where a flag or a variable is meant as a whole.
type Error struct {
	// File is a file's name, "-o", or a flag's or variable's name.
	File         string
	Line, Column int
	Msg          string
	// Snippet is the line with a caret below it, or empty.
	Snippet string
}

// Error is file:line:column and the message on one line.
func (e *Error) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Msg)
	}
	return e.File + ": " + e.Msg
}

// Errors lists the configuration errors that an error of Load holds.
func Errors(err error) []*Error {
	var list []*Error
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			list = append(list, Errors(one)...)
		}
		return list
	}
	if e := (*Error)(nil); errors.As(err, &e) {
		list = append(list, e)
	}
	return list
}

// source is a text that configuration stands in.
type source struct {
	name, text string
	// whole says that places within the text mean nothing: a flag or a variable.
	whole bool
	// last is the place that was found last. Places are asked for in their order, so
	// that the next one is near and a long text is walked once.
	last struct{ line, column, offset int }
}

// place is where something stands.
type place struct {
	src    *source
	offset int
}

func (p place) error(msg string) *Error {
	if p.src == nil || p.src.whole {
		e := &Error{Msg: msg}
		if p.src != nil {
			e.File = p.src.name
		}
		return e
	}
	at := syntax.PosAt(p.src.text, p.offset)
	return &Error{File: p.src.name, Line: at.Line, Column: at.Column, Msg: msg, Snippet: syntax.Snippet(p.src.text, at)}
}

// offset finds a line and column, both from 1, columns in characters.
func (s *source) offset(line, column int) int {
	at := s.last
	if at.line == 0 || line < at.line || line == at.line && column < at.column {
		at.line, at.column, at.offset = 1, 1, 0
	}
	for ; at.line < line; at.line, at.column = at.line+1, 1 {
		n := strings.IndexByte(s.text[at.offset:], '\n')
		if n < 0 {
			return len(s.text)
		}
		at.offset += n + 1
	}
	for ; at.column < column && at.offset < len(s.text); at.column++ {
		_, size := utf8.DecodeRuneInString(s.text[at.offset:])
		at.offset += size
	}
	s.last = at
	return at.offset
}

func (l *loader) fail(p place, format string, args ...any) {
	if len(l.errs) < maxProblems {
		l.errs = append(l.errs, p.error(fmt.Sprintf(format, args...)))
	}
}

func (l *loader) warn(p place, format string, args ...any) {
	if len(l.warnings) < maxProblems {
		l.warnings = append(l.warnings, p.error(fmt.Sprintf(format, args...)))
	}
}
