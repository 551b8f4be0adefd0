package rules

import (
	"slices"
	"strings"

	"riposte/agent/rules/compile"
	"riposte/agent/rules/syntax"
)

// Macro is one loaded macro.
type Macro struct {
	Name, Condition string
	// Used says that another macro or a rule refers to it.
	Used bool
	File string
	Line int

	details details
}

// List is one loaded list.
type List struct {
	Name string
	// Items are as merged from all files, Expanded with the lists among them replaced.
	Items, Expanded []string
	Used            bool
	File            string
	Line            int

	lists []string
}

// Exception is one exception of a rule.
type Exception struct {
	Name   string
	Fields []string
	// Comps are the operators, one for each field.
	Comps []string
}

// details are what a condition consists of.
type details struct {
	macros, lists []string
	exceptions    []Exception
}

// Macros lists the macros in order of definition. It must not be changed.
func (r *Ruleset) Macros() []Macro { return r.macros }

// Lists lists the lists in order of definition. It must not be changed.
func (r *Ruleset) Lists() []List { return r.lists }

// Rule finds a rule by its name.
func (r *Ruleset) Rule(name string) (*Rule, bool) {
	for _, rule := range r.rules {
		if rule.Name == name {
			return rule, true
		}
	}
	return nil, false
}

// Requirements are the language's version and the plugins that the files need.
func (r *Ruleset) Requirements() (engine string, plugins []Requirement) { return r.engine, r.required }

// describe notes what rules, macros and lists refer to.
func (r *Ruleset) describe(l *loader) {
	if len(l.errs) > 0 {
		return
	}
	used := map[string]bool{}
	for _, body := range r.bodies {
		for _, m := range compile.References(body) {
			used[m.Name] = true
		}
	}
	for _, rule := range r.rules {
		d := l.ruleByName[rule.Name]
		rule.details = describe(rule.tree, l.named(d.condition.s))
		for _, m := range compile.References(rule.tree) {
			used[m.Name] = true
		}
		for _, x := range d.exceptions {
			rule.details.exceptions = append(rule.details.exceptions, Exception{Name: x.name, Fields: x.fields, Comps: x.comps})
		}
	}
	for _, d := range l.macros {
		m := Macro{Name: d.name, Condition: d.condition.s, Used: used[d.name], File: d.at.src.name, Line: d.at.node.Line}
		m.details = describe(r.bodies[d.name], l.named(d.condition.s))
		r.macros = append(r.macros, m)
	}
	for _, d := range l.lists {
		list := List{Name: d.name, Items: d.items, Used: d.used, File: d.at.src.name, Line: d.at.node.Line}
		for _, item := range d.items {
			if ref := l.listByName[item]; ref != nil && ref.index < d.visibility {
				list.lists = append(list.lists, item)
				list.Expanded = append(list.Expanded, ref.items...)
			} else {
				list.Expanded = append(list.Expanded, item)
			}
		}
		r.lists = append(r.lists, list)
	}
}

// named lists the lists that a text names.
func (l *loader) named(s string) []string {
	var found []string
	for _, word := range strings.FieldsFunc(s, func(r rune) bool { return r < 0x80 && delimiter(byte(r)) }) {
		if l.listByName[word] != nil && !slices.Contains(found, word) {
			found = append(found, word)
		}
	}
	slices.Sort(found)
	return found
}

func describe(n syntax.Node, lists []string) details {
	macros := map[string]bool{}
	for _, m := range compile.References(n) {
		macros[m.Name] = true
	}
	return details{macros: keys(macros), lists: lists}
}

func keys(m map[string]bool) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}
