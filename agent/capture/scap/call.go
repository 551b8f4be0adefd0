package scap

import (
	_ "embed"
	"strings"
	"sync"

	"riposte/agent/event"
)

//go:embed calls.txt
var callText string

// call is a system call that has no event of its own. Its type is that of the name if
// there is one, for newer recorders give many an event.
type call struct {
	name string
	typ  event.Type
}

var calls = sync.OnceValue(func() []call {
	var all []call
	for line := range strings.Lines(callText) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for name := range strings.FieldsSeq(line) {
			c := call{name, event.Syscall}
			if t, ok := event.TypeOf(name); ok {
				c = call{"", t}
			}
			if name == "-" {
				c.name = ""
			}
			all = append(all, c)
		}
	}
	return all
})

// called is the call of an event that has none of its own.
func (d *decoder) called() call {
	if id, all := d.or(pID, 0), calls(); uint64(id) < uint64(len(all)) {
		return all[id]
	}
	return call{typ: event.Syscall}
}

// callName is the name of a call by its number, empty for none.
func callName(id int64) string {
	all := calls()
	if uint64(id) >= uint64(len(all)) {
		return ""
	}
	if c := all[id]; c.typ != event.Syscall {
		return c.typ.String()
	}
	return all[id].name
}
