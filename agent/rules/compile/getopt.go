package compile

import (
	"strings"

	"riposte/agent/event"
	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

// argumentList reads proc.args as a list, for the transformers that take one.
var argumentList = source{typ: field.Texts, read: func(e *event.Event, _ int) field.Value {
	if e.Proc == nil {
		return field.Value{}
	}
	return field.ListOf(e.Proc.Args)
}}

// getopt compiles getopt(list, options) as Falco means it: the options are written as
// for the C function, a colon after a letter says that a value follows. The result is
// each option's letter, with its value behind it, and "?" for one that is not among
// the options; a value that is missing is empty, without its letter. What begins with
// "--" is passed over; "--" itself, or the first word that is no option, is the end.
// With an option in brackets the result is the last such option's value, or its letter
// if it takes none, and NULL if it is not there.
func (c *Compiler) getopt(call *syntax.Call, args []source) (source, error) {
	if err := c.want(call, args, field.Texts, field.Text); err != nil {
		return source{}, err
	}
	literal, ok := call.Args[1].(*syntax.Value)
	if !ok {
		return source{}, c.errorAt(call.Args[1].Start(), "the options of getopt() must be a quoted text")
	}
	list, options := args[0], strings.TrimPrefix(literal.Text, ":")
	if !call.HasArg {
		return source{typ: field.Texts, read: func(e *event.Event, _ int) field.Value {
			v := list.read(e, 0)
			if !v.OK {
				return field.Value{}
			}
			var found []string
			parseOptions(v.List(), options, func(o option) {
				if o.kind != valueMissing {
					found = append(found, o.letter)
				}
				if o.kind == valueMissing || o.kind == withValue {
					found = append(found, o.value)
				}
			})
			return field.ListOf(found)
		}}, nil
	}
	if len(call.Arg) != 1 || strings.IndexByte(options, call.Arg[0]) < 0 || call.Arg == ":" {
		return source{}, c.errorAt(call.Pos, "getopt()[%s]: the options %q have no such letter", call.Arg, options)
	}
	want := call.Arg
	return source{typ: field.Text, read: func(e *event.Event, _ int) field.Value {
		v := list.read(e, 0)
		if !v.OK {
			return field.Value{}
		}
		var value field.Value
		parseOptions(v.List(), options, func(o option) {
			if o.letter != want || o.kind == unknownOption {
				return
			}
			value = field.Value{OK: true, Text: o.value}
			if o.kind == withoutValue {
				value.Text = o.letter
			}
		})
		return value
	}}, nil
}

// option is one that was found among arguments.
type option struct {
	letter, value string
	kind          optionKind
}

type optionKind uint8

const (
	withoutValue optionKind = iota
	withValue
	valueMissing
	// unknownOption has "?" for its letter.
	unknownOption
)

func parseOptions(args []string, options string, found func(option)) {
	for i := 0; i < len(args); i++ {
		word := args[i]
		if len(word) < 2 || word[0] != '-' || word == "--" {
			return
		}
		if word[1] == '-' {
			continue
		}
		for j := 1; j < len(word); j++ {
			o := option{letter: word[j : j+1]}
			at := strings.IndexByte(options, word[j])
			if at < 0 || word[j] == ':' {
				found(option{letter: "?", kind: unknownOption})
				continue
			}
			takes := at+1 < len(options) && options[at+1] == ':'
			switch {
			case !takes:
			case j+1 < len(word):
				o.kind, o.value = withValue, word[j+1:]
			case i+1 < len(args):
				i++
				o.kind, o.value = withValue, args[i]
			default:
				o.kind = valueMissing
			}
			found(o)
			if takes {
				break
			}
		}
	}
}
