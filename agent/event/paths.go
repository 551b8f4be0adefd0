package event

import "strings"

// Paths is what the path of a file that was opened for reading alone must have, one or
// another of it, for any rule to match the open. What has none of it no rule can match.
type Paths struct {
	// Types are the opens that it holds for; of others nothing is known.
	Types []Type
	// Prefixes are beginnings of paths.
	Prefixes []string
	// Bytes are sets of bytes that occur somewhere in a path; see PathBytes.
	Bytes []uint64
}

// PathBytes is the set of a text's bytes, each standing for three others too: enough to
// say for certain that a path does not contain a text.
func PathBytes(s string) (set uint64) {
	for i := range len(s) {
		set |= 1 << (s[i] & 63)
	}
	return set
}

// Has says whether a path has one of them.
func (p *Paths) Has(path string) bool {
	for _, s := range p.Prefixes {
		if strings.HasPrefix(path, s) {
			return true
		}
	}
	set := PathBytes(path)
	for _, b := range p.Bytes {
		if b&^set == 0 {
			return true
		}
	}
	return false
}
