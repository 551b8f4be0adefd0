package publish

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
)

// Escape makes text that an attacker may have written safe for a terminal and a
// log of lines: what would not be seen as itself is written as JSON writes it, so
// no text can forge a line, move the cursor or turn the direction of writing.
// Bytes that are no UTF-8 become U+FFFD. Text that is escaped stays as it is.
func Escape(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return hidden(r) || r == unicode.ReplacementChar }) < 0 {
		return s
	}
	var b strings.Builder
	b.Grow(len(s) + 16)
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case !hidden(r):
			b.WriteRune(r)
		case r > 0xffff:
			// A JSON escape holds 16 bits, so this takes a pair.
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// escapeJSON writes what would not be seen as itself as JSON may write it: the value
// stays the same, and a terminal that shows the line takes no orders from it. The line
// has control characters in its texts alone, and none below a blank.
func escapeJSON(line []byte) []byte {
	if bytes.IndexFunc(line, hidden) < 0 {
		return line
	}
	return []byte(Escape(string(line)))
}

// hidden says that a character is not seen as itself: control, format (which the
// bidirectional marks are) and the two separators of lines.
func hidden(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
}
