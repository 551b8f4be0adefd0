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

// build compiles what was collected, and adds to the outputs.
func (l *loader) build(static map[string]string, more []addition) *Ruleset {
	rs := &Ruleset{engine: l.engine, required: l.required, bodies: map[string]syntax.Node{}}
	if len(l.errs) > 0 {
		return rs
	}
	l.resolveLists()
	b := &builder{loader: l, additions: more, macroText: map[string]*text{}, reported: map[string]bool{}}
	var macros []compile.Macro
	for _, d := range l.macros {
		l.within = []part{d.part()}
		n, t := l.parse(d.condition, d.label())
		if n == nil {
			continue
		}
		b.macroText[d.name] = t
		rs.bodies[d.name] = n
		macros = append(macros, compile.Macro{Name: d.name, Body: n, Index: d.index, Visibility: d.visibility})
	}
	if len(l.errs) > 0 {
		// Without its macros a rule cannot be compiled, but it can be parsed.
		for _, d := range l.rules {
			l.within = []part{d.part()}
			l.parse(d.condition, d.label())
		}
		return rs
	}
	b.compiler = compile.New(macros)
	rs.compiler = b.compiler
	b.formatter = &formatter{compiler: b.compiler, static: static}
	for _, d := range l.macros {
		l.within = []part{d.part()}
		if err := b.compiler.Resolve(d.name); err != nil {
			b.compileError(d.label(), b.macroText[d.name], err)
		}
	}
	for _, d := range l.rules {
		if l.full {
			return rs
		}
		if d.unknown {
			continue
		}
		l.within = []part{d.part()}
		if r := b.rule(d); r != nil {
			rs.rules = append(rs.rules, r)
		}
	}
	b.unused()
	l.within = nil
	rs.describe(l)
	return rs
}

func (d *macroDef) part() part { return part{typ: "macro", name: d.name, at: d.at} }
func (d *listDef) part() part  { return part{typ: "list", name: d.name, at: d.at} }
func (d *ruleDef) part() part {
	return part{typ: "rule", name: d.name, at: d.at, keys: d.keys}
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
	formatter *formatter
	additions []addition
	compiler  *compile.Compiler
	macroText map[string]*text
	// reported are the errors inside macros that were told already: many rules may use one macro.
	reported map[string]bool
}

// rule compiles one rule, or reports why it cannot.
func (b *builder) rule(d *ruleDef) *Rule {
	n, t := b.parse(d.withExceptions(), d.label())
	if n == nil {
		return nil
	}
	b.compiler.Use(n)
	program, err := b.compiler.Compile(n)
	if err != nil {
		if !b.skip(d, t, err) {
			b.compileError(d.label(), t, err)
		}
		return nil
	}
	b.conditionWarnings(d.label(), t)
	out, err := b.parseOutput(d)
	if err != nil {
		return nil
	}
	r := &Rule{
		Name: d.name, Desc: d.desc, Source: d.source, Priority: d.priority, Tags: d.tags, Enabled: d.enabled,
		Capture: d.capture, CaptureDuration: d.duration,
		Condition: d.condition.s, Output: d.output.s, Types: program.Types.Captured(), EventTypes: program.Types.Names(),
		File: d.at.src.name, Line: d.at.node.Line, program: program, output: out, tree: n,
	}
	r.extend(d, b.additions)
	if len(r.EventTypes) > manyTypes && d.warnTypes {
		b.warn(d.condition.error(CodeNoEventType, d.label(), 0, fmt.Sprintf("the condition can be true for %d event types: begin it with evt.type, every event is evaluated now", len(r.EventTypes))))
	}
	return r
}

// skip leaves a rule out that asked for it, should it name something unknown.
func (b *builder) skip(d *ruleDef, t *text, err error) bool {
	var ce *compile.Error
	if !d.skipUnknown || !errors.As(err, &ce) || ce.Kind != compile.Unknown {
		return false
	}
	b.compiler.Warnings()
	label, t := b.inMacro(d.label(), t, ce)
	b.warn(t.error(CodeUnknownFilter, label, ce.Pos.Offset, ce.Msg+" (the rule is left out)"))
	return true
}

// inMacro finds the item and text that an error's place is in.
func (b *builder) inMacro(item string, t *text, ce *compile.Error) (string, *text) {
	if ce.Macro == "" {
		return item, t
	}
	if label := b.macroByName[ce.Macro].label(); label != item {
		item += ": " + label
	}
	return item, b.macroText[ce.Macro]
}

var warningCodes = map[compile.Kind]string{compile.Deprecated: CodeDeprecatedItem, compile.Unsafe: CodeUnsafeNA, compile.Odd: CodeCondition}

func (b *builder) conditionWarnings(item string, t *text) {
	for _, w := range b.compiler.Warnings() {
		label, t := b.inMacro(item, t, w)
		b.warn(t.error(warningCodes[w.Kind], label, w.Pos.Offset, w.Msg))
	}
}

func (b *builder) compileError(item string, t *text, err error) {
	b.compiler.Warnings()
	var ce *compile.Error
	if !errors.As(err, &ce) {
		b.fail(t.error(CodeCompileCondition, item, 0, err.Error()))
		return
	}
	code := CodeCompileCondition
	if ce.Kind == compile.Undefined {
		code = CodeValidate
	}
	if ce.Macro != "" {
		key := ce.Macro + "\x00" + ce.Error()
		if b.reported[key] {
			return
		}
		b.reported[key] = true
	}
	item, t = b.inMacro(item, t, ce)
	b.fail(t.error(code, item, ce.Pos.Offset, ce.Msg))
}

// unused warns about macros and lists that nothing refers to.
func (b *builder) unused() {
	if len(b.errs) > 0 {
		return
	}
	for _, d := range b.macros {
		if !b.compiler.Used(d.name) {
			b.within = []part{d.part()}
			b.warn(d.at.error(CodeUnusedMacro, d.label(), 0, "the macro is not used"))
		}
	}
	for _, d := range b.lists {
		if !d.used {
			b.within = []part{d.part()}
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
