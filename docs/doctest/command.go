package doctest

import "strings"

// Command is one command of a block for a shell, with what it prints where the block
// shows that.
type Command struct {
	Line   string
	Output string
}

// Commands are the block's commands: of "console" what stands behind a "$ ", and the
// lines below are its output; of any other language each line. Lines that end with a
// backslash go on, and comments are left out.
func (b *Block) Commands() (all []Command) {
	text := strings.ReplaceAll(b.Text, "\\\n", " ")
	for line := range strings.Lines(text) {
		command := line
		if b.Lang == "console" {
			var ok bool
			if command, ok = strings.CutPrefix(line, "$ "); !ok {
				if len(all) > 0 {
					all[len(all)-1].Output += line
				}
				continue
			}
		}
		command, _, _ = strings.Cut(" "+command, " #")
		if command = strings.TrimSpace(command); command != "" {
			all = append(all, Command{Line: command})
		}
	}
	return all
}

// Words splits a command at spaces outside of quotation marks, as a shell does.
func Words(line string) (words []string) {
	var word strings.Builder
	quote, had := rune(0), false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote == 0 && (r == '"' || r == '\''):
			quote, had = r, true
		case quote == 0 && (r == ' ' || r == '\t'):
			if word.Len() > 0 || had {
				words = append(words, word.String())
			}
			word.Reset()
			had = false
		default:
			word.WriteRune(r)
		}
	}
	if word.Len() > 0 || had {
		words = append(words, word.String())
	}
	return words
}
