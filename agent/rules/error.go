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
)

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
}

func (p *problems) fail(e *Error) {
	if p.full = len(p.errs) == MaxErrors; !p.full {
		e.locate()
		p.errs = append(p.errs, e)
	}
}

func (p *problems) warn(e *Error) {
	if len(p.warnings) < MaxErrors {
		e.locate()
		p.warnings = append(p.warnings, e)
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
