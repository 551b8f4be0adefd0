// Package syntax reads and prints the filter language of Falco's rules: the
// text of one condition becomes a tree, and a tree becomes text again. It knows
// the grammar alone: no field, macro or list. It uses the standard library only.
package syntax

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Pos is a place in a text. Line and Column count from 1, Column in characters;
// Offset counts bytes from 0.
type Pos struct {
	Offset, Line, Column int
}

// String is line:column.
func (p Pos) String() string { return fmt.Sprintf("%d:%d", p.Line, p.Column) }

// PosAt finds the place of a byte offset, clamped to the text.
func PosAt(text string, offset int) Pos {
	offset = min(max(offset, 0), len(text))
	before := text[:offset]
	start := strings.LastIndexByte(before, '\n') + 1
	return Pos{Offset: offset, Line: 1 + strings.Count(before, "\n"), Column: 1 + utf8.RuneCountInString(before[start:])}
}

// Error is what is wrong with a text, and where.
type Error struct {
	Pos Pos
	Msg string
	// Text is the whole text that was read.
	Text string
}

// Error is line:column and the message, on one line.
func (e *Error) Error() string { return e.Pos.String() + ": " + e.Msg }

// Snippet is the line of the error with a caret below it.
func (e *Error) Snippet() string { return Snippet(e.Text, e.Pos) }

// snippetWidth is how many characters of a line are shown around the caret.
const snippetWidth = 120

// Snippet shows the line of a place with a caret below it. A long line is cut
// to the part around the place; control characters are shown as dots, so that
// the caret stands right and nothing in the text can move the cursor.
func Snippet(text string, p Pos) string {
	offset := min(max(p.Offset, 0), len(text))
	start := strings.LastIndexByte(text[:offset], '\n') + 1
	end := len(text)
	if n := strings.IndexByte(text[offset:], '\n'); n >= 0 {
		end = offset + n
	}
	// Only a window of the line is turned into runes: a line may have megabytes.
	const margin = 4 * snippetWidth
	from, to := max(start, offset-margin), min(end, offset+margin)
	line := []rune(printable(text[from:to]))
	caret := utf8.RuneCountInString(printable(text[from:offset]))
	cutLeft, cutRight := from > start, to < end
	if caret > snippetWidth*2/3 {
		line, caret, cutLeft = line[caret-snippetWidth/3:], snippetWidth/3, true
	}
	if len(line) > snippetWidth {
		line, cutRight = line[:snippetWidth], true
	}
	var b strings.Builder
	if cutLeft {
		b.WriteString("...")
		caret += 3
	}
	b.WriteString(strings.TrimRight(string(line), " "))
	if cutRight {
		b.WriteString("...")
	}
	b.WriteByte('\n')
	b.WriteString(strings.Repeat(" ", caret))
	b.WriteByte('^')
	return b.String()
}

// printable keeps one character per character, so that columns agree.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069 || r >= 0x200b && r <= 0x200f:
			return '·'
		}
		return r
	}, s)
}
