package command

import (
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// isTerminal says that a person looks at what is written there.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// coloured follows no-color.org and bixense.com/clicolors.
func coloured(w io.Writer, env func(string) string) bool {
	if env("NO_COLOR") != "" {
		return false
	}
	if force := env("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	name := env("TERM")
	return name != "" && name != "dumb" && env("CLICOLOR") != "0" && isTerminal(w)
}

// Colours of a terminal, by what they say.
const (
	plain  = ""
	grave  = "\x1b[31m"
	doubt  = "\x1b[33m"
	well   = "\x1b[32m"
	strong = "\x1b[1m"
	reset  = "\x1b[0m"
)

// wordColours are those of words in the columns PRIORITY, STATE and MODE, and in the lines of the
// same names. Every other text has none.
var wordColours = map[string]string{
	"emergency": grave, "alert": grave, "critical": grave, "error": doubt, "warning": doubt,
	"failed": grave, "unknown": grave, "refused": doubt, "waiting": doubt, "dead": grave, "open": doubt, "silent": grave, "losing": doubt,
	"succeeded": well, "contained": well, "well": well, "approve": doubt, "enforce": strong,
}

// colourOf is a cell's, by its column and its first word.
func colourOf(column, cell string) string {
	switch column {
	case "PRIORITY", "STATE", "MODE":
		word := cell
		if i := strings.IndexAny(cell, " ,"); i > 0 {
			word = cell[:i]
		}
		return wordColours[strings.ToLower(word)]
	}
	return plain
}

// paint writes a text, which must be visible already, in a colour.
func (p *printer) paint(colour, text string) string {
	if colour == plain || !p.colour {
		return text
	}
	return colour + text + reset
}
