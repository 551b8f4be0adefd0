package syntax

import (
	"fmt"
	"strconv"
	"strings"
)

// scanner reads tokens where the parser asks for them: what a run of characters
// is depends on the place ("/etc/passwd" is a value, "a" a macro or a value).
type scanner struct {
	text string
	at   int
	// line and column, from 0, belong to marked, which pos moves forward.
	marked, line, column int
}

// pos is the current place. It must be asked for in ascending order to stay
// linear in the length of the text, which the parser does but for errors.
func (s *scanner) pos() Pos {
	if s.at < s.marked {
		return PosAt(s.text, s.at)
	}
	for ; s.marked < s.at; s.marked++ {
		switch c := s.text[s.marked]; {
		case c == '\n':
			s.line++
			s.column = 0
		case c&0xc0 != 0x80:
			s.column++
		}
	}
	return Pos{Offset: s.at, Line: s.line + 1, Column: s.column + 1}
}

func (s *scanner) errorAt(p Pos, format string, args ...any) error {
	return &Error{Pos: p, Msg: fmt.Sprintf(format, args...), Text: s.text}
}

func (s *scanner) errorHere(format string, args ...any) error {
	return s.errorAt(PosAt(s.text, s.at), format, args...)
}

func (s *scanner) blanks() {
	for s.at < len(s.text) && isBlank(s.text[s.at]) {
		s.at++
	}
}

// peek is the current byte, 0 at the end.
func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// take consumes one given byte.
func (s *scanner) take(c byte) bool {
	if s.peek() == c && c != 0 {
		s.at++
		return true
	}
	return false
}

// keyword consumes a word that a blank, a parenthesis or the end must follow.
func (s *scanner) keyword(word string) bool {
	if !strings.HasPrefix(s.text[s.at:], word) {
		return false
	}
	if end := s.at + len(word); end == len(s.text) || isBlank(s.text[end]) || s.text[end] == '(' {
		s.at = end
		return true
	}
	return false
}

// ident consumes a name: a letter, then letters, digits and '_'.
func (s *scanner) ident() string {
	start := s.at
	if !isLetter(s.peek()) {
		return ""
	}
	for s.at < len(s.text) && isIdent(s.text[s.at]) {
		s.at++
	}
	return s.text[start:s.at]
}

// fieldName consumes names joined by dots; it is a plain name if there is no dot.
func (s *scanner) fieldName() string {
	start := s.at
	if s.ident() == "" {
		return ""
	}
	for s.peek() == '.' && s.at+1 < len(s.text) && isLetter(s.text[s.at+1]) {
		s.at++
		s.ident()
	}
	return s.text[start:s.at]
}

// number consumes a number of the grammar and returns its text.
func (s *scanner) number() string {
	start := s.at
	rest := s.text[s.at:]
	if len(rest) > 2 && rest[0] == '0' && (rest[1] == 'x' || rest[1] == 'X') && isHex(rest[2]) {
		for s.at += 2; isHex(s.peek()); s.at++ {
		}
		return s.text[start:s.at]
	}
	if c := s.peek(); c == '+' || c == '-' {
		s.at++
	}
	digits := s.at
	s.digits()
	if s.at == digits {
		s.at = start
		return ""
	}
	if s.take('.') {
		s.digits()
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		mantissa := s.at
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		exponent := s.at
		if s.digits(); s.at == exponent {
			s.at = mantissa
		}
	}
	return s.text[start:s.at]
}

func (s *scanner) digits() {
	for isDigit(s.peek()) {
		s.at++
	}
}

// bare consumes an unquoted value.
func (s *scanner) bare() string {
	start := s.at
	for s.at < len(s.text) && isBare(s.text[s.at]) {
		s.at++
	}
	return s.text[start:s.at]
}

// quoted consumes a quoted value; the current byte is its quote.
func (s *scanner) quoted() (string, error) {
	open := PosAt(s.text, s.at)
	q := s.text[s.at]
	s.at++
	// Most values have no escape and are a part of the text.
	if n := strings.IndexAny(s.text[s.at:], string([]byte{q, '\\', 0})); n >= 0 && s.text[s.at+n] == q {
		v := s.text[s.at : s.at+n]
		s.at += n + 1
		return v, nil
	}
	var b strings.Builder
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case q:
			s.at++
			return b.String(), nil
		case 0:
			return "", s.errorHere("a value cannot contain a NUL byte")
		case '\\':
			v, err := s.escape(q)
			if err != nil {
				return "", err
			}
			b.WriteByte(v)
		default:
			b.WriteByte(c)
			s.at++
		}
	}
	return "", s.errorAt(open, "this quote is not closed")
}

// escape consumes one backslash escape.
func (s *scanner) escape(q byte) (byte, error) {
	if s.at+1 >= len(s.text) {
		return 0, s.errorHere("the text ends inside an escape")
	}
	c := s.text[s.at+1]
	switch {
	case c == 'x':
		if s.at+4 > len(s.text) {
			return 0, s.errorHere(`\x needs two hexadecimal digits`)
		}
		v, err := strconv.ParseUint(s.text[s.at+2:s.at+4], 16, 8)
		if err != nil {
			return 0, s.errorHere(`\x needs two hexadecimal digits`)
		}
		if v == 0 {
			return 0, s.errorHere("a value cannot contain a NUL byte")
		}
		s.at += 4
		return byte(v), nil
	case c == ' ':
		// Rules written before escapes existed have this; Falco reads a backslash.
		c = '\\'
	case c == q || c == '\\' || c == '/':
	case strings.IndexByte("bfnrt", c) >= 0:
		c = "\b\f\n\r\t"[strings.IndexByte("bfnrt", c)]
	default:
		return 0, s.errorHere(`unknown escape \%s: use \\ for a backslash; known are \b \f \n \r \t \/ \xHH and \%s`, string(rune(c)), string(rune(q)))
	}
	s.at += 2
	return c, nil
}

func isBlank(c byte) bool {
	return c == ' ' || c == '\t' || c == '\b' || c == '\r' || c == '\n'
}
func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isHex(c byte) bool    { return isDigit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' }
func isIdent(c byte) bool  { return isLetter(c) || isDigit(c) || c == '_' }
func isBare(c byte) bool {
	return c != 0 && !isBlank(c) && strings.IndexByte(`()"'=,`, c) < 0
}

func isArgByte(c byte) bool {
	return c != 0 && !isBlank(c) && strings.IndexByte(`[]"'`, c) < 0
}
