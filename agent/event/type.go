package event

// Type is the kind of an event. The names are Falco's.
type Type uint8

// Types of events that this version captures.
const (
	Unknown Type = iota
	Execve
	Execveat
	Open
	Openat
	Openat2
	Creat
	Connect
	// Clone is a new process or thread, by whichever call.
	Clone
	// ProcExit is a process's end.
	ProcExit
	typeEnd
)

var typeNames = [typeEnd]string{"unknown", "execve", "execveat", "open", "openat", "openat2", "creat", "connect", "clone", "procexit"}

// Types lists every type but Unknown.
func Types() []Type {
	all := make([]Type, 0, typeEnd-1)
	for t := Execve; t < typeEnd; t++ {
		all = append(all, t)
	}
	return all
}

// TypeOf finds a type by Falco's name.
func TypeOf(name string) (Type, bool) {
	for t := Execve; t < typeEnd; t++ {
		if typeNames[t] == name {
			return t, true
		}
	}
	return Unknown, false
}

// String is Falco's name.
func (t Type) String() string {
	if t < typeEnd {
		return typeNames[t]
	}
	return typeNames[Unknown]
}

// State says that the event changes the process table and must never be shed.
func (t Type) State() bool {
	return t == Execve || t == Execveat || t == Clone || t == ProcExit
}
