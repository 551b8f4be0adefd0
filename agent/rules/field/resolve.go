package field

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"riposte/agent/rules/syntax"
)

// UnknownError is about a name that the catalogue does not have. A rule may ask
// to be left out because of it, which it cannot of any other mistake.
type UnknownError struct {
	Name string
	// Near is the name that was probably meant, or empty.
	Near string
}

// Error names the field and the nearest one.
func (e *UnknownError) Error() string {
	if e.Near != "" {
		return fmt.Sprintf("unknown field %s: did you mean %s?", e.Name, e.Near)
	}
	return "unknown field " + e.Name
}

// dotted are the fields whose argument may follow after a dot: evt.arg.name.
var dotted = []string{"evt.arg", "evt.rawarg", "evt.type.is", "evt.abspath", "thread.cgroup"}

// Resolve finds the field that a rule names. The error is an *UnknownError if
// there is none of that name.
func Resolve(f *syntax.Field) (Ref, error) {
	name, arg, given := f.Name, f.Arg, f.HasArg
	if !given && byName[name] == nil {
		for _, prefix := range dotted {
			if rest, ok := strings.CutPrefix(name, prefix+"."); ok {
				name, arg, given = prefix, rest, true
				break
			}
		}
	}
	entry := byName[name]
	if entry == nil {
		return Ref{}, &UnknownError{Name: f.Name, Near: syntax.Nearest(f.Name, Names())}
	}
	a, err := entry.Bind(arg, given)
	if err != nil {
		return Ref{}, err
	}
	switch name {
	case "evt.arg":
		a.Index, err = argIndex(a.Text)
	case "evt.rawarg":
		if a.Index, err = argIndex(a.Text); err == nil {
			entry = rawArg(entry, a.Text)
		}
	case "evt.type.is":
		if _, ok := slices.BinarySearch(eventNames, a.Text); !ok {
			err = fmt.Errorf("unknown event type %s", a.Text)
		}
	case "evt.abspath":
		if given && arg != "src" && arg != "dst" {
			err = fmt.Errorf("field evt.abspath is followed by src or dst, not by %q", arg)
		}
	}
	if err != nil {
		return Ref{}, err
	}
	return Ref{Field: entry, Argument: a}, nil
}

// argNames are the names of all parameters of all events.
var argNames = strings.Fields(argNameList)

// argIndex is the number that a parameter is named by, or -1 if it is named by a
// name, which must be one of Falco's.
func argIndex(name string) (int, error) {
	if n, err := strconv.ParseUint(name, 10, 8); err == nil {
		return int(n), nil
	}
	if slices.Contains(argNames, name) {
		return -1, nil
	}
	if near := syntax.Nearest(name, argNames); near != "" {
		return 0, fmt.Errorf("unknown event argument %s: did you mean %s?", name, near)
	}
	return 0, fmt.Errorf("unknown event argument %s", name)
}

// textArgs are the parameters that are text without being looked up anywhere.
var textArgs = strings.Fields(`args cgroups comm container_id cwd data desc description env exe filename home image json linkpath name
newpath oldpath optval path pathname quotafilepath resource shell source special tags target trusted_exepath tuple type uargs value_charbuf`)

// rawArg is evt.rawarg with the type that the named parameter has.
func rawArg(entry *Field, name string) *Field {
	f := *entry
	f.Type = Int
	if slices.Contains(textArgs, name) {
		f.Type = Text
	}
	return &f
}
