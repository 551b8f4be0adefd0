package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"riposte/agent/rules/compile"
	"riposte/agent/rules/syntax"
)

// Description is a ruleset in the JSON form of falco -L.
type Description struct {
	EngineVersion string            `json:"required_engine_version"`
	Plugins       []Requirement     `json:"required_plugin_versions"`
	Rules         []RuleDescription `json:"rules"`
	Macros        []MacroEntry      `json:"macros"`
	Lists         []ListEntry       `json:"lists"`
}

// RuleDescription is one rule of a Description.
type RuleDescription struct {
	Info struct {
		Name        string   `json:"name"`
		Condition   string   `json:"condition"`
		Description string   `json:"description"`
		Output      string   `json:"output"`
		Enabled     bool     `json:"enabled"`
		Source      string   `json:"source"`
		Priority    string   `json:"priority"`
		Tags        []string `json:"tags"`
		File        string   `json:"file"`
		Line        int      `json:"line"`
	} `json:"info"`
	Details struct {
		conditionEntry
		OutputFields       []string `json:"output_fields"`
		OutputCompiled     string   `json:"output_compiled"`
		ExceptionNames     []string `json:"exception_names"`
		ExceptionFields    []string `json:"exception_fields"`
		ExceptionOperators []string `json:"exception_operators"`
	} `json:"details"`
}

type conditionEntry struct {
	Macros    []string `json:"macros"`
	Lists     []string `json:"lists"`
	Operators []string `json:"condition_operators"`
	Fields    []string `json:"condition_fields"`
	Compiled  string   `json:"condition_compiled"`
	Events    []string `json:"events"`
	Plugins   []string `json:"plugins"`
}

// MacroEntry is one macro of a Description.
type MacroEntry struct {
	Info struct {
		Name      string `json:"name"`
		Condition string `json:"condition"`
	} `json:"info"`
	Details struct {
		conditionEntry
		Used bool `json:"used"`
	} `json:"details"`
}

// ListEntry is one list of a Description.
type ListEntry struct {
	Info struct {
		Name  string   `json:"name"`
		Items []string `json:"items"`
	} `json:"info"`
	Details struct {
		Used     bool     `json:"used"`
		Compiled []string `json:"items_compiled"`
		Lists    []string `json:"lists"`
		Plugins  []string `json:"plugins"`
	} `json:"details"`
}

// anyRule is the event type that Falco puts into every condition's list.
const anyRule = "asyncevent"

// entry describes a condition as Falco does: the macros and lists that it names,
// and all else with the macros in place.
func (r *Ruleset) entry(n syntax.Node, d *details) conditionEntry {
	operators, fields, events := map[string]bool{}, map[string]bool{}, map[string]bool{anyRule: true}
	whole := r.Expand(n)
	syntax.Walk(whole, func(n syntax.Node) {
		if n, ok := n.(*syntax.Check); ok {
			operators[string(n.Op)] = true
			for _, f := range append(syntax.Fields(n.Left), syntax.Fields(n.Right)...) {
				fields[f.String()] = true
			}
		}
	})
	// A condition that was loaded compiles; one that is too long to expand has no list.
	if p, err := compile.New(nil).Compile(whole); err == nil {
		for _, name := range p.Types.Names() {
			events[name] = true
		}
	}
	return conditionEntry{
		Macros: list(d.macros), Lists: list(d.lists), Operators: keys(operators), Fields: keys(fields), Compiled: whole.String(),
		Events: keys(events), Plugins: []string{},
	}
}

// pluginsOf are the plugins that would give these fields to Falco. A macro has
// none: it is its rule that says whose fields are meant.
func pluginsOf(fields ...string) []string {
	for _, f := range fields {
		if strings.HasPrefix(f, "container.") || strings.HasPrefix(f, "k8s.") || strings.HasPrefix(f, "proc.is_container_") {
			return []string{"container"}
		}
	}
	return []string{}
}

// list makes sure that JSON has an array.
func list(s []string) []string { return append([]string{}, s...) }

// Describe lists rules, macros and lists with what each of them refers to, in
// the form of Falco's describe_rule; file and line of a rule are ours.
func (r *Ruleset) Describe() *Description {
	d := &Description{EngineVersion: cmp.Or(r.engine, "0.0.0"), Plugins: []Requirement{}, Rules: []RuleDescription{}, Macros: []MacroEntry{}, Lists: []ListEntry{}}
	for _, p := range r.required {
		p.Alternatives = append([]Plugin{}, p.Alternatives...)
		d.Plugins = append(d.Plugins, p)
	}
	for _, rule := range r.rules {
		var x RuleDescription
		x.Info.Name, x.Info.Condition, x.Info.Description, x.Info.Output = rule.Name, rule.Condition, rule.Desc, rule.Output
		x.Info.Enabled, x.Info.Source, x.Info.Priority, x.Info.Tags = rule.Enabled, rule.Source, rule.Priority.String(), list(rule.Tags)
		x.Info.File, x.Info.Line = rule.File, rule.Line
		x.Details.conditionEntry = r.entry(rule.tree, &rule.details)
		x.Details.OutputFields = rule.output.fields()
		x.Details.Plugins = pluginsOf(slices.Concat(x.Details.Fields, x.Details.OutputFields)...)
		x.Details.OutputCompiled = rule.output.String()
		x.Details.ExceptionNames, x.Details.ExceptionFields, x.Details.ExceptionOperators = []string{}, []string{}, []string{}
		for _, e := range rule.details.exceptions {
			x.Details.ExceptionNames = append(x.Details.ExceptionNames, e.Name)
			x.Details.ExceptionFields = append(x.Details.ExceptionFields, e.Fields...)
			x.Details.ExceptionOperators = append(x.Details.ExceptionOperators, e.Comps...)
		}
		for _, s := range []*[]string{&x.Details.ExceptionFields, &x.Details.ExceptionOperators} {
			slices.Sort(*s)
			*s = slices.Compact(*s)
		}
		d.Rules = append(d.Rules, x)
	}
	for i := range r.macros {
		m := &r.macros[i]
		var x MacroEntry
		x.Info.Name, x.Info.Condition = m.Name, m.Condition
		x.Details.conditionEntry, x.Details.Used = r.entry(r.bodies[m.Name], &m.details), m.Used
		d.Macros = append(d.Macros, x)
	}
	for _, l := range r.lists {
		var x ListEntry
		x.Info.Name, x.Info.Items = l.Name, []string{}
		for _, item := range l.Items {
			if !slices.Contains(l.lists, item) {
				x.Info.Items = append(x.Info.Items, item)
			}
		}
		x.Details.Used, x.Details.Compiled, x.Details.Lists, x.Details.Plugins = l.Used, list(l.Expanded), list(l.lists), []string{}
		d.Lists = append(d.Lists, x)
	}
	return d
}

func (o output) fields() []string {
	found := map[string]bool{}
	for _, s := range o {
		if s.key != "" {
			found[s.key] = true
		}
	}
	return keys(found)
}

// String is the output with everything that is added to it.
func (o output) String() string {
	var b strings.Builder
	for _, s := range o {
		switch {
		case s.key == "":
			b.WriteString(s.literal)
		case s.width > 0:
			fmt.Fprintf(&b, "%%%d%s", s.width, s.key)
		default:
			b.WriteString("%" + s.key)
		}
	}
	return b.String()
}
