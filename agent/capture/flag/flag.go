// Package flag gives the numbers of flag and enumeration parameters the names that
// Falco gives them. The numbers are Falco's, which differ from the kernel's for some.
package flag

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
)

//go:embed flags.txt
var list string

// Name is one name with its number.
type Name struct {
	name string
	bits uint32
}

// Table is in the order of the text.
type Table []Name

// Tables are all tables by Falco's name for them, such as file_flags.
var Tables = sync.OnceValue(func() map[string]Table {
	all := map[string]Table{}
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		if len(f) < 2 || f[0] == "#" {
			continue
		}
		for _, pair := range f[1:] {
			name, value, _ := strings.Cut(pair, "=")
			bits, err := strconv.ParseUint(value, 10, 32)
			if err != nil {
				panic(err)
			}
			all[f[0]] = append(all[f[0]], Name{name, uint32(bits)})
		}
	}
	return all
})

// Text joins the names of the bits that are set. A name takes its bits away, so that
// O_RDWR is not followed by O_RDONLY; the name for 0 stands alone.
func (t Table) Text(bits uint32) string {
	s, left := "", bits
	for _, f := range t {
		if f.bits == 0 && bits != 0 || left&f.bits != f.bits {
			continue
		}
		left &^= f.bits
		if s != "" {
			s += "|"
		}
		s += f.name
	}
	return s
}

// Exact is the name of one value, or of several names for it all, joined.
func (t Table) Exact(value uint32) string {
	s := ""
	for _, f := range t {
		if f.bits != value {
			continue
		}
		if s != "" {
			s += "|"
		}
		s += f.name
	}
	return s
}
