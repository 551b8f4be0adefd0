package scap

import (
	"bytes"
	"strings"
)

// seen remembers texts that come again and again: the same few programs run on a
// machine, and a text seen before costs no memory.
type seen struct {
	texts map[string]string
	lists map[string][]string
}

// Bounds of what is remembered: how many texts, and how long each.
const maxSeen, maxSeenText, maxSeenList = 1 << 12, 256, 1024

func newSeen() seen { return seen{texts: map[string]string{}, lists: map[string][]string{}} }

// text is what stands before the first NUL.
func (s *seen) text(b []byte) string {
	b = untilNUL(b)
	if known, ok := s.texts[string(b)]; ok {
		return known
	}
	t := string(b)
	if len(t) <= maxSeenText {
		if len(s.texts) >= maxSeen {
			clear(s.texts)
		}
		s.texts[t] = t
	}
	return t
}

// words are arguments or an environment. The list must not be changed.
func (s *seen) words(b []byte) []string {
	if known, ok := s.lists[string(b)]; ok {
		return known
	}
	list := words(b)
	if len(b) <= maxSeenList {
		if len(s.lists) >= maxSeen {
			clear(s.lists)
		}
		s.lists[string(b)] = list
	}
	return list
}

// keep gives a text its new value, and leaves it where that is the same.
func (s *seen) keep(to *string, b []byte) {
	if b = untilNUL(b); *to != string(b) {
		*to = s.text(b)
	}
}

func untilNUL(b []byte) []byte {
	if before, _, ok := bytes.Cut(b, []byte{0}); ok {
		return before
	}
	return b
}

func cString(b []byte) string { return string(untilNUL(b)) }

// clip bounds a text that is kept, and lets go of what it was cut from.
func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.Clone(s[:most])
}
