package rules

import (
	"errors"
	"fmt"
)

// Codes of errors and warnings are Falco's.
const (
	CodeFileRead         = "LOAD_ERR_FILE_READ"
	CodeYAMLParse        = "LOAD_ERR_YAML_PARSE"
	CodeYAMLValidate     = "LOAD_ERR_YAML_VALIDATE"
	CodeCompileCondition = "LOAD_ERR_COMPILE_CONDITION"
	CodeCompileOutput    = "LOAD_ERR_COMPILE_OUTPUT"
	CodeValidate         = "LOAD_ERR_VALIDATE"
	// CodeExtension is Falco's for items that its embedders add: there are none here.
	CodeExtension = "LOAD_ERR_EXTENSION"

	CodeUnknownSource  = "LOAD_UNKNOWN_SOURCE"
	CodeNoEventType    = "LOAD_NO_EVTTYPE"
	CodeUnusedMacro    = "LOAD_UNUSED_MACRO"
	CodeUnusedList     = "LOAD_UNUSED_LIST"
	CodeUnknownItem    = "LOAD_UNKNOWN_ITEM"
	CodeDeprecatedItem = "LOAD_DEPRECATED_ITEM"
	CodeUnknownKey     = "LOAD_UNKNOWN_KEY"
	CodeAppendNoValues = "LOAD_APPEND_NO_VALUES"
	CodeInvalidMacro   = "LOAD_INVALID_MACRO_NAME"
	CodeInvalidList    = "LOAD_INVALID_LIST_NAME"
	CodeUnsafeNA       = "LOAD_UNSAFE_NA_CHECK"
	CodeUnknownFilter  = "LOAD_UNKNOWN_FILTER"
	CodeNotUnique      = "LOAD_EXCEPTION_NAME_NOT_UNIQUE"
	CodeCondition      = "LOAD_COMPILE_CONDITION"
	// CodeWarningExtension is the warning beside CodeExtension.
	CodeWarningExtension = "LOAD_WARNING_EXTENSION"
)

var codeTexts = map[string]string{
	CodeFileRead: "File read error", CodeYAMLParse: "YAML parse error", CodeYAMLValidate: "Error validating internal structure of YAML file",
	CodeCompileCondition: "Error compiling condition", CodeCompileOutput: "Error compiling output",
	CodeValidate: "Error validating rule/macro/list/exception objects", CodeExtension: "Error in extension item",
	CodeUnknownSource: "Unknown event source", CodeUnsafeNA: "Unsafe <NA> comparison in condition",
	CodeNoEventType: "Condition has no event-type restriction", CodeUnknownFilter: "Unknown field or event-type in condition or output",
	CodeUnusedMacro: "Unused macro", CodeUnusedList: "Unused list", CodeUnknownItem: "Unknown rules file item",
	CodeDeprecatedItem: "Used deprecated item", CodeWarningExtension: "Warning in extension item",
	CodeAppendNoValues: "Overriding/appending with no values", CodeNotUnique: "Multiple exceptions defined with the same name",
	CodeInvalidMacro: "Invalid macro name", CodeInvalidList: "Invalid list name", CodeCondition: "Warning in rule condition",
	CodeUnknownKey: "Unknown key in item definition",
}

// CodeText is what a code means, in the words that Falco shows beside it.
func CodeText(code string) string { return codeTexts[code] }

// Error is what is wrong with a rules file, and where. Line and Column count
// from 1 and are 0 where the whole file is meant.
type Error struct {
	File         string
	Line, Column int
	Code         string
	// Item names what it is about, such as: rule "Shell in a container".
	Item string
	Msg  string
	// Snippet is the line of the file with a caret below it, or empty.
	Snippet string
	// Locations lead from the file to the place, from the outside in.
	Locations []Location

	at     place
	offset int
}

// Error is file:line:column, the item and the message on one line.
func (e *Error) Error() string {
	s := e.File
	if e.Line > 0 {
		s += fmt.Sprintf(":%d:%d", e.Line, e.Column)
	}
	if e.Item != "" {
		s += ": " + e.Item
	}
	return s + ": " + e.Msg
}

// Errors lists the rule errors that an error of Load holds.
func Errors(err error) []*Error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var list []*Error
		for _, one := range joined.Unwrap() {
			list = append(list, Errors(one)...)
		}
		return list
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return []*Error{e}
	}
	return nil
}

// problems collects errors and warnings, up to a limit. Finding a place means
// reading the file up to it, so it is done for those alone that are kept.
type problems struct {
	errs, warnings []*Error
	full           bool
	// all keeps every error of a file, not the first alone; failed are the files that have one.
	all    bool
	failed map[string]bool
	// within is the item that is being read or compiled.
	within []part
	// schema is what the form of the files is warned about, by file.
	schema map[string][]string
}

func (p *problems) fail(e *Error) {
	if p.failed[e.File] && !p.all {
		return
	}
	if p.full = len(p.errs) == MaxErrors; !p.full {
		p.keep(e)
		p.errs = append(p.errs, e)
		p.failed[e.File] = true
	}
}

func (p *problems) warn(e *Error) {
	if len(p.warnings) < MaxErrors {
		p.keep(e)
		p.warnings = append(p.warnings, e)
	}
}

func (p *problems) keep(e *Error) {
	e.Locations = p.locations(e)
	e.locate()
}

// odd notes that a file is not as the schema of rule files wants it. It loads
// nevertheless.
func (p *problems) odd(at place, msg string) {
	if list := p.schema[at.src.name]; len(list) < MaxErrors {
		p.schema[at.src.name] = append(list, fmt.Sprintf("line %d: %s", at.node.Line, msg))
	}
}

func (p *problems) err() error {
	list := make([]error, len(p.errs), len(p.errs)+1)
	for i, e := range p.errs {
		list[i] = e
	}
	if p.full {
		list = append(list, fmt.Errorf("more than %d errors, the rest is not shown", MaxErrors))
	}
	return errors.Join(list...)
}
