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

// getopt compiles getopt(list, options): the letters of the options that are in
// the list. With an option in brackets it is that option's value, NULL if the
// option is not there. The options are written as for the C function: a colon
// after a letter says that a value follows.
func (c *Compiler) getopt(call *syntax.Call, list source, options string) (source, error) {
	options = strings.TrimLeft(options, ":+-")
	if !call.HasArg {
		return source{typ: field.Texts, read: func(e *event.Event, _ int) field.Value {
			v := list.read(e, 0)
			if !v.OK {
				return field.Value{}
			}
			var found []string
			parseOptions(v.List(), options, func(letter byte, _ string) bool {
				found = append(found, string(letter))
				return true
			})
			return field.ListOf(found)
		}}, nil
	}
	if len(call.Arg) != 1 || strings.IndexByte(options, call.Arg[0]) < 0 || call.Arg == ":" {
		return source{}, c.errorAt(call.Pos, "getopt()[%s]: the options %q have no such letter", call.Arg, options)
	}
	want := call.Arg[0]
	return source{typ: field.Text, read: func(e *event.Event, _ int) field.Value {
		v := list.read(e, 0)
		if !v.OK {
			return field.Value{}
		}
		var value field.Value
		parseOptions(v.List(), options, func(letter byte, arg string) bool {
			if letter == want {
				value = field.Value{OK: true, Text: arg}
			}
			return letter != want
		})
		return value
	}}, nil
}

// parseOptions calls found for each known option until it says false.
func parseOptions(args []string, options string, found func(letter byte, value string) bool) {
	for i := 0; i < len(args); i++ {
		word := args[i]
		if word == "--" || len(word) < 2 || word[0] != '-' || word[1] == '-' {
			if word == "--" {
				return
			}
			continue
		}
		for j := 1; j < len(word); j++ {
			at := strings.IndexByte(options, word[j])
			if at < 0 || word[j] == ':' {
				continue
			}
			value := ""
			takes := at+1 < len(options) && options[at+1] == ':'
			if takes {
				if value = word[j+1:]; value == "" && i+1 < len(args) {
					i++
					value = args[i]
				}
			}
			if !found(word[j], value) {
				return
			}
			if takes {
				break
			}
		}
	}
}
