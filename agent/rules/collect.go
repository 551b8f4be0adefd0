package rules

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"riposte/agent/alert"
	"riposte/agent/rules/syntax"
)

// loader merges the items of all files into definitions.
type loader struct {
	problems
	// count is the items read, clock gives each definition and change its index.
	count, clock int
	// expanded is the bytes of all conditions with their lists in place.
	expanded int

	lists       []*listDef
	listByName  map[string]*listDef
	macros      []*macroDef
	macroByName map[string]*macroDef
	rules       []*ruleDef
	ruleByName  map[string]*ruleDef

	engine   string
	required []Requirement
	// foreign marks a rule of another source, whose fields are not known.
	foreign bool
}

func newLoader() *loader {
	return &loader{
		problems:   problems{failed: map[string]bool{}, schema: map[string][]string{}},
		listByName: map[string]*listDef{}, macroByName: map[string]*macroDef{}, ruleByName: map[string]*ruleDef{},
	}
}

type macroDef struct {
	name              string
	at                place
	condition         text
	index, visibility int
}

func (d *macroDef) label() string { return fmt.Sprintf("macro %q", d.name) }

type ruleDef struct {
	name         string
	at           place
	condition    text
	output       text
	desc, source string
	priority     alert.Priority
	tags         []string
	enabled      bool
	warnTypes    bool
	skipUnknown  bool
	capture      bool
	duration     time.Duration
	exceptions   []*exception
	unknown      bool // the source is not ours
	keys         map[string]*yaml.Node
}

func (d *ruleDef) label() string { return fmt.Sprintf("rule %q", d.name) }

func (l *loader) tick() int {
	l.clock++
	return l.clock
}

// validMacro is what a condition can refer to as a macro; a list's name is
// replaced as text, so that it may be any word.
var (
	validMacro = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9_]*$`)
	validList  = regexp.MustCompile(`^[^()"'\s=,]+$`)
)

func (l *loader) list(it *item) {
	items, ok := it.texts(l, "items")
	if !ok {
		if _, present := it.key("items"); !present {
			it.lacks(l, "items")
		}
		return
	}
	how, ok := l.changes(it, []string{"items"}, nil)
	if !ok {
		return
	}
	prev := l.listByName[it.name]
	if how["items"] != "" && prev == nil {
		l.fail(it.at.error(CodeValidate, it.label(), 0, "the list is not defined before, so it cannot be changed"))
		return
	}
	if !validList.MatchString(it.name) {
		l.warn(it.at.error(CodeInvalidList, it.label(), 0, "a list's name cannot hold blanks, quotes, parentheses, '=' or ',': no condition can refer to it"))
	}
	now := l.tick()
	if prev == nil {
		prev = &listDef{name: it.name, index: now}
		l.lists = append(l.lists, prev)
		l.listByName[it.name] = prev
	}
	if how["items"] == appendTo {
		items = append(slices.Clip(prev.items), items...)
	}
	prev.at, prev.items, prev.visibility = it.at, items, now
}

func (l *loader) macro(it *item) {
	if _, ok := it.text(l, "condition"); !ok {
		if _, present := it.key("condition"); !present {
			it.lacks(l, "condition")
		}
		return
	}
	p, _ := it.key("condition")
	how, ok := l.changes(it, []string{"condition"}, nil)
	if !ok {
		return
	}
	prev := l.macroByName[it.name]
	if how["condition"] != "" && prev == nil {
		l.fail(it.at.error(CodeValidate, it.label(), 0, "the macro is not defined before, so it cannot be changed"))
		return
	}
	if !validMacro.MatchString(it.name) {
		l.warn(it.at.error(CodeInvalidMacro, it.label(), 0, "a macro's name must be letters, digits and '_', beginning with a letter: no condition can refer to it"))
	}
	now, condition := l.tick(), newText(p)
	if prev == nil {
		prev = &macroDef{name: it.name, index: now}
		l.macros = append(l.macros, prev)
		l.macroByName[it.name] = prev
	}
	if how["condition"] == appendTo {
		condition = joined(prev.condition, condition)
	}
	prev.at, prev.condition, prev.visibility = it.at, condition, now
}

// joined is two conditions with a blank between them.
func joined(a, b text) text {
	p, at, _ := b.lookup(0)
	t := text{s: a.s, spans: slices.Clone(a.spans)}
	t.add(" ", p, at)
	t.join(b)
	return t
}

// How an item changes a key of an earlier definition.
const (
	appendTo = "append"
	replace  = "replace"
)

// changes reads override and append: for each key of the item that may change
// an earlier definition, how it does. It is empty for a plain definition.
func (l *loader) changes(it *item, canAppend, canReplace []string) (map[string]string, bool) {
	how := map[string]string{}
	override, overrides := it.key("override")
	legacy, given := it.truth(l, "append")
	if given && legacy {
		p, _ := it.key("append")
		if overrides {
			l.fail(p.error(CodeYAMLValidate, it.label(), 0, "append and override cannot be used together"))
			return nil, false
		}
		l.warn(p.error(CodeDeprecatedItem, it.label(), 0, "append: true is deprecated: use override with the keys to append to"))
		for _, k := range []string{"items", "condition", "exceptions"} {
			if slices.Contains(canAppend, k) && it.keys[k] != nil {
				how[k] = appendTo
			}
		}
		if len(how) == 0 {
			how[canAppend[0]] = appendTo
		}
		return how, true
	}
	if !overrides {
		return how, true
	}
	if override.node.Kind != yaml.MappingNode {
		l.fail(override.error(CodeYAMLValidate, it.label(), 0, "override must name keys, each with append or replace"))
		return nil, false
	}
	for i := 0; i+1 < len(override.node.Content); i += 2 {
		k, v := override.node.Content[i], resolve(override.node.Content[i+1])
		at := place{override.src, k}
		switch {
		case !slices.Contains(canAppend, k.Value) && !slices.Contains(canReplace, k.Value):
			l.fail(at.error(CodeYAMLValidate, it.label(), 0, fmt.Sprintf("key %s cannot be overridden", k.Value)))
			return nil, false
		case it.keys[k.Value] == nil:
			l.fail(at.error(CodeYAMLValidate, it.label(), 0, fmt.Sprintf("override names %s, but the item has no such key", k.Value)))
			return nil, false
		case v.Value != appendTo && v.Value != replace:
			l.fail(place{override.src, v}.error(CodeYAMLValidate, it.label(), 0, "use append or replace"))
			return nil, false
		case v.Value == appendTo && !slices.Contains(canAppend, k.Value):
			l.fail(at.error(CodeYAMLValidate, it.label(), 0, fmt.Sprintf("key %s can be replaced, but not appended to", k.Value)))
			return nil, false
		}
		how[k.Value] = v.Value
	}
	for _, k := range slices.Concat(canAppend, canReplace) {
		if it.keys[k] != nil && how[k] == "" {
			l.fail(place{it.at.src, it.keys[k]}.error(CodeYAMLValidate, it.label(), 0, fmt.Sprintf("key %s must be named in override, with append or replace", k)))
			return nil, false
		}
	}
	if len(how) == 0 {
		l.fail(override.error(CodeYAMLValidate, it.label(), 0, "override names no key"))
		return nil, false
	}
	return how, true
}

var (
	ruleAppend  = []string{"condition", "output", "desc", "tags", "exceptions"}
	ruleReplace = []string{"priority", "capture", "capture_duration", "enabled", "warn_evttypes", "skip-if-unknown-filter"}
	ruleNeeds   = []string{"condition", "output", "desc", "priority"}
)

func (l *loader) rule(it *item) {
	how, ok := l.changes(it, ruleAppend, ruleReplace)
	if !ok {
		return
	}
	prev := l.ruleByName[it.name]
	if len(how) > 0 {
		if prev == nil {
			l.fail(it.at.error(CodeValidate, it.label(), 0, "the rule is not defined before, so it cannot be changed"))
			return
		}
		d := *prev
		if l.fill(&d, it, how) {
			*prev = d
		}
		return
	}
	present := 0
	for _, k := range ruleNeeds {
		if it.keys[k] != nil {
			present++
		}
	}
	if p, given := it.key("enabled"); present == 0 && given {
		enabled, ok := it.truth(l, "enabled")
		switch {
		case !ok:
		case prev == nil:
			l.fail(it.at.error(CodeValidate, it.label(), 0, "the rule is not defined before, so it cannot be enabled or disabled"))
		default:
			l.warn(p.error(CodeDeprecatedItem, it.label(), 0, "enabled alone is deprecated: use override: {enabled: replace}"))
			prev.enabled = enabled
		}
		return
	}
	for _, k := range ruleNeeds {
		if it.keys[k] == nil {
			it.lacks(l, k)
			return
		}
	}
	d := &ruleDef{name: it.name, at: it.at, keys: it.keys, source: "syscall", enabled: true, warnTypes: true}
	if !l.fill(d, it, how) {
		return
	}
	if prev == nil {
		l.tick()
		l.rules = append(l.rules, d)
		l.ruleByName[it.name] = d
		return
	}
	if p, given := it.key("source"); given && d.source != prev.source {
		l.fail(p.error(CodeValidate, it.label(), 0, fmt.Sprintf("the rule was defined before with source %s", prev.source)))
		return
	}
	*prev = *d
}

// fill sets what the item gives; how says which of it is appended.
func (l *loader) fill(d *ruleDef, it *item, how map[string]string) bool {
	before := len(l.errs)
	if _, ok := it.text(l, "condition"); ok {
		p, _ := it.key("condition")
		if t := newText(p); how["condition"] == appendTo {
			d.condition = joined(d.condition, t)
		} else {
			d.condition = t
		}
	}
	if _, ok := it.text(l, "output"); ok {
		p, _ := it.key("output")
		if t := newText(p); how["output"] == appendTo {
			d.output = joined(d.output, t)
		} else {
			d.output = t
		}
	}
	if s, ok := it.text(l, "desc"); ok {
		if s = strings.TrimSpace(s); how["desc"] == appendTo {
			s = d.desc + " " + s
		}
		d.desc = s
	}
	if tags, ok := it.texts(l, "tags"); ok {
		if how["tags"] == appendTo {
			tags = append(slices.Clone(d.tags), tags...)
		}
		tags = slices.Clone(tags)
		slices.Sort(tags)
		d.tags = slices.Compact(tags)
	}
	if s, ok := it.text(l, "priority"); ok {
		p, err := alert.ParsePriority(s)
		if err != nil {
			at, _ := it.key("priority")
			l.fail(at.error(CodeYAMLValidate, it.label(), 0, err.Error()))
		}
		if s != strings.ToUpper(s) {
			at, _ := it.key("priority")
			l.odd(at, fmt.Sprintf("priority %s should be written %s", s, strings.ToUpper(s)))
		}
		d.priority = p
	}
	if s, ok := it.text(l, "source"); ok {
		d.source = s
		if d.unknown = s != "syscall"; d.unknown {
			at, _ := it.key("source")
			l.warn(at.error(CodeUnknownSource, it.label(), 0, fmt.Sprintf("unknown source %q: the rule is left out, known is syscall", s)))
		}
	}
	for key, set := range map[string]*bool{"enabled": &d.enabled, "warn_evttypes": &d.warnTypes, "skip-if-unknown-filter": &d.skipUnknown, "capture": &d.capture} {
		if v, ok := it.truth(l, key); ok {
			*set = v
		}
	}
	if s, ok := it.text(l, "capture_duration"); ok {
		ms, err := strconv.ParseUint(s, 10, 32)
		if err != nil {
			at, _ := it.key("capture_duration")
			l.fail(at.error(CodeYAMLValidate, it.label(), 0, "capture_duration must be a number of milliseconds"))
		}
		d.duration = time.Duration(ms) * time.Millisecond
	}
	if p, ok := it.key("exceptions"); ok {
		l.foreign = d.unknown
		d.exceptions = l.exceptions(p, it.label(), d.exceptions, how["exceptions"] == appendTo)
	}
	return len(l.errs) == before
}

// operator reads an operator, with a modifier if it has one, of an exception.
func operator(s string) (op syntax.Op, mod syntax.Modifier, ok bool) {
	parts := strings.Fields(s)
	if len(parts) == 0 || len(parts) > 2 {
		return "", "", false
	}
	op = syntax.Op(parts[0])
	if !slices.Contains(syntax.Ops(), op) {
		return "", "", false
	}
	if len(parts) == 2 {
		mod = syntax.Modifier(parts[1])
		if mod != syntax.OneOf && mod != syntax.AnyOf && mod != syntax.AllOf {
			return "", "", false
		}
	}
	return op, mod, true
}
