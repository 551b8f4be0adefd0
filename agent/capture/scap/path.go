package scap

import (
	"hash/maphash"
	"path"
	"strings"
)

// unknownDir stands for the directory of a descriptor that nobody knows, as in Falco.
const unknownDir = "<UNKNOWN>"

// missing is what the recorder writes for a path that it could not read.
const missing = "<NA>"

// absolute joins a path with its base and resolves "." and ".." by their text alone.
func absolute(name, base string) string {
	switch {
	case strings.HasPrefix(name, "/"):
		return path.Clean(name)
	case base == "" || base == unknownDir:
		return unknownDir + "/" + name
	}
	return path.Join(base, name)
}

// paths remembers absolute paths that are clean: the same are opened again and again.
// A path has one place, by its hash; the next with that place takes it.
type paths struct {
	seed  maphash.Seed
	slots []pathSlot
	used  int
}

type pathSlot struct {
	hash uint64
	name string
}

// The number of places, at first and at most, and the length of each path that is
// remembered.
const fewPaths, maxPaths, maxPathKept = 1 << 9, 1 << 15, 256

func newPaths() *paths { return &paths{seed: maphash.MakeSeed(), slots: make([]pathSlot, fewPaths)} }

func (p *paths) place(hash uint64) *pathSlot { return &p.slots[hash&uint64(len(p.slots)-1)] }

// put remembers a path.
func (p *paths) put(s pathSlot) {
	if p.place(s.hash).name == "" {
		p.used++
	}
	*p.place(s.hash) = s
	if 2*p.used < len(p.slots) || len(p.slots) >= maxPaths {
		return
	}
	before := p.slots
	p.slots, p.used = make([]pathSlot, 4*len(before)), 0
	for _, s := range before {
		if s.name != "" {
			p.put(s)
		}
	}
}

// name gives a path as it was passed and made absolute. base is asked for the
// directory that a relative one counts from.
func (p *paths) name(b []byte, base func() string) (raw, full string) {
	b = untilNUL(b)
	if len(b) == 0 || b[0] != '/' {
		if raw = string(b); raw == "" || raw == missing {
			return raw, raw
		}
		return raw, absolute(raw, base())
	}
	if len(b) > maxPathKept {
		raw = string(b)
		return raw, absolute(raw, "")
	}
	h := maphash.Bytes(p.seed, b)
	if s := p.place(h); s.hash == h && s.name == string(b) {
		return s.name, s.name
	}
	raw = string(b)
	if full = absolute(raw, ""); full == raw {
		p.put(pathSlot{h, raw})
	}
	return raw, full
}
