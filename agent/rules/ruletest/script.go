// Package ruletest runs tests of rules that are written in a plain-text
// language: given these processes and this event, expect that alert, or none.
// docs/rules.md describes the language.
//
//	text -> statements (script.go) -> processes and events (setting.go) -> results (run.go)
package ruletest

import (
	"fmt"
	"strings"
)

// Limits of one test file.
const (
	MaxBytes      = 8 << 20
	maxStatements = 100_000
)

// Error is a mistake in a test file itself, or a test that failed.
type Error struct {
	File string
	Line int
	Msg  string
}

// Error is file:line and the message.
func (e *Error) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg) }

// statement is one line and the indented lines below it.
type statement struct {
	line  int
	verb  string
	rest  string
	block []string
}

// parse splits a file into statements. A line that begins with a blank belongs to
// the statement above it; a line that begins with '#' is a comment.
func parse(file, content string) ([]*statement, error) {
	if len(content) > MaxBytes {
		return nil, &Error{File: file, Line: 1, Msg: fmt.Sprintf("the file has more than %d bytes", MaxBytes)}
	}
	var list []*statement
	for i, line := range strings.Split(content, "\n") {
		line = strings.TrimRight(line, " \t\r")
		indented := line != "" && (line[0] == ' ' || line[0] == '\t')
		switch {
		case line == "" && len(list) > 0:
			last := list[len(list)-1]
			last.block = append(last.block, "")
		case line == "", line[0] == '#':
		case indented && len(list) == 0:
			return nil, &Error{File: file, Line: i + 1, Msg: "an indented line belongs to a statement above it, but there is none"}
		case indented:
			last := list[len(list)-1]
			last.block = append(last.block, line)
		default:
			if len(list) == maxStatements {
				return nil, &Error{File: file, Line: i + 1, Msg: fmt.Sprintf("more than %d statements", maxStatements)}
			}
			verb, rest, _ := strings.Cut(line, " ")
			list = append(list, &statement{line: i + 1, verb: verb, rest: strings.TrimSpace(rest)})
		}
	}
	for _, s := range list {
		for len(s.block) > 0 && s.block[len(s.block)-1] == "" {
			s.block = s.block[:len(s.block)-1]
		}
	}
	return list, nil
}

// text is the block without its common indentation.
func (s *statement) text() string {
	indent := -1
	for _, l := range s.block {
		if n := len(l) - len(strings.TrimLeft(l, " \t")); l != "" && (indent < 0 || n < indent) {
			indent = n
		}
	}
	lines := make([]string, len(s.block))
	for i, l := range s.block {
		if l != "" {
			lines[i] = l[indent:]
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// words splits a text at blanks; quotes keep blanks.
func words(s string) ([]string, error) {
	var list []string
	var b strings.Builder
	var quote byte
	started := false
	for i := range len(s) {
		switch c := s[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			b.WriteByte(c)
		case c == '"' || c == '\'':
			quote, started = c, true
		case c == ' ' || c == '\t':
			if started {
				list = append(list, b.String())
				b.Reset()
				started = false
			}
		default:
			b.WriteByte(c)
			started = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("a quote is not closed: %s", s)
	}
	if started {
		list = append(list, b.String())
	}
	return list, nil
}

// unquote takes the quotes around a value away.
func unquote(s string) string {
	if len(s) >= 2 && (s[0] == '"' || s[0] == '\'') && s[len(s)-1] == s[0] {
		return s[1 : len(s)-1]
	}
	return s
}
