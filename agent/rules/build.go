package rules

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"riposte/agent/rules/compile"
	"riposte/agent/rules/syntax"
)

// manyTypes is how many event types a condition may ask for before it is warned about.
const manyTypes = 100

// build compiles what was collected.
func (l *loader) build() *Ruleset {
	rs := &Ruleset{}
	if len(l.errs) > 0 {
		return rs
	}
	l.resolveLists()
	macroText := map[string]*text{}
	var macros []compile.Macro
	for _, d := range l.macros {
		if l.full {
			return rs
		}
		n, t := l.parse(d.condition, d.label())
		if n == nil {
			continue
		}
		macroText[d.name] = t
		macros = append(macros, compile.Macro{Name: d.name, Body: n, Index: d.index, Visibility: d.visibility})
	}
	if len(l.errs) > 0 {
		// Without its macros a rule cannot be compiled, but it can be parsed.
		for _, d := range l.rules {
			if l.full {
				return rs
			}
			l.parse(d.condition, d.label())
		}
		return rs
	}
	b := &builder{loader: l, compiler: compile.New(macros), macroText: macroText, reported: map[string]bool{}}
	for _, d := range l.rules {
		if l.full {
			return rs
		}
		if d.unknown {
			continue
		}
		if r := b.rule(d); r != nil {
			rs.rules = append(rs.rules, r)
		}
	}
	b.unused()
	rs.Warnings = l.warnings
	return rs
}

// parse expands the lists of a condition and parses it.
func (l *loader) parse(t text, item string) (syntax.Node, *text) {
	x, ok := l.expand(t, item)
	if !ok {
		return nil, nil
	}
	n, err := syntax.Parse(x.s)
	if err != nil {
		l.fail(conditionError(&x, item, err))
		return nil, nil
	}
	return n, &x
}

func conditionError(t *text, item string, err error) *Error {
	if se, ok := errors.AsType[*syntax.Error](err); ok {
		return t.error(CodeCompileCondition, item, se.Pos.Offset, se.Msg)
	}
	return t.error(CodeCompileCondition, item, 0, err.Error())
}

type builder struct {
	*loader
	compiler  *compile.Compiler
	macroText map[string]*text
	// reported are the errors inside macros that were told already: many rules may use one macro.
	reported map[string]bool
}

func (b *builder) rule(d *ruleDef) *Rule {
	n, t := b.parse(d.withExceptions(), d.label())
	if n == nil {
		return nil
	}
	program, err := b.compiler.Compile(n)
	if err != nil {
		b.compileError(d, t, err)
		return nil
	}
	out, err := b.parseOutput(d)
	if err != nil {
		return nil
	}
	r := &Rule{
		Name: d.name, Desc: d.desc, Source: d.source, Priority: d.priority, Tags: d.tags, Enabled: d.enabled,
		Condition: d.condition.s, Output: d.output.s, Types: program.Types.Captured(), EventTypes: program.Types.Names(),
		File: d.at.src.name, Line: d.at.node.Line, program: program, output: out,
	}
	if len(r.EventTypes) > manyTypes && d.warnTypes {
		b.warn(d.condition.error(CodeNoEventType, d.label(), 0, fmt.Sprintf("the condition can be true for %d event types: begin it with evt.type, every event is evaluated now", len(r.EventTypes))))
	}
	return r
}

func (b *builder) compileError(d *ruleDef, t *text, err error) {
	var ce *compile.Error
	if !errors.As(err, &ce) {
		b.fail(t.error(CodeCompileCondition, d.label(), 0, err.Error()))
		return
	}
	code := CodeCompileCondition
	if strings.HasPrefix(ce.Msg, "undefined macro") {
		code = CodeValidate
	}
	item := d.label()
	if ce.Macro != "" {
		key := ce.Macro + "\x00" + ce.Error()
		if b.reported[key] {
			return
		}
		b.reported[key] = true
		item += ": " + b.macroByName[ce.Macro].label()
		t = b.macroText[ce.Macro]
	}
	b.fail(t.error(code, item, ce.Pos.Offset, ce.Msg))
}

// unused warns about macros and lists that nothing refers to.
func (b *builder) unused() {
	if len(b.errs) > 0 {
		return
	}
	for _, d := range b.macros {
		if !b.compiler.Used(d.name) {
			b.warn(d.at.error(CodeUnusedMacro, d.label(), 0, "the macro is not used"))
		}
	}
	for _, d := range b.lists {
		if !d.used {
			b.warn(d.at.error(CodeUnusedList, d.label(), 0, "the list is not used"))
		}
	}
	slices.SortStableFunc(b.warnings, func(x, y *Error) int {
		if c := strings.Compare(x.File, y.File); c != 0 {
			return c
		}
		return x.Line - y.Line
	})
}
