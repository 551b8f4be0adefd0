package compile

import (
	"slices"

	"riposte/agent/event"
	"riposte/agent/rules/field"
)

// Set is a set of event types. It knows all of Falco's, captured here or not.
type Set [8]uint64

var allEvents = func() (s Set) {
	for i := range field.EventNames() {
		s.add(i)
	}
	return s
}()

func (s *Set) add(i int) { s[i/64] |= 1 << (i % 64) }

func (s Set) has(i int) bool { return s[i/64]&(1<<(i%64)) != 0 }

// Has says that an event's name is in the set.
func (s Set) Has(name string) bool {
	i, ok := slices.BinarySearch(field.EventNames(), name)
	return ok && s.has(i)
}

// Union is what is in either set.
func (s Set) Union(t Set) Set {
	for i := range s {
		s[i] |= t[i]
	}
	return s
}

// Intersect is what is in both sets.
func (s Set) Intersect(t Set) Set {
	for i := range s {
		s[i] &= t[i]
	}
	return s
}

// Complement is all other events.
func (s Set) Complement() Set {
	for i := range s {
		s[i] = allEvents[i] &^ s[i]
	}
	return s
}

// Names lists the members in order.
func (s Set) Names() []string {
	var names []string
	for i, name := range field.EventNames() {
		if s.has(i) {
			names = append(names, name)
		}
	}
	return names
}

// All says that the set has every event.
func (s Set) All() bool { return s == allEvents }

// untyped are the system calls that have no type of their own: event.Syscall is theirs.
var untyped = func() (s Set) {
	for i, name := range field.EventNames() {
		if _, ok := event.TypeOf(name); !ok {
			s.add(i)
		}
	}
	return s
}()

// Captured lists the members that this version captures.
func (s Set) Captured() []event.Type {
	var types []event.Type
	for _, t := range event.Types() {
		if s.Has(t.String()) || t == event.Syscall && s.Intersect(untyped) != (Set{}) {
			types = append(types, t)
		}
	}
	return types
}

func eventIndex(name string) (int, bool) { return slices.BinarySearch(field.EventNames(), name) }
