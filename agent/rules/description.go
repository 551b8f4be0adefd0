package rules

import (
	"fmt"
	"slices"
	"strings"
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

func (d *details) entry(compiled string) conditionEntry {
	plugins := []string{}
	for _, f := range d.fields {
		if strings.HasPrefix(f, "container.") || strings.HasPrefix(f, "k8s.") {
			plugins = []string{"container"}
			break
		}
	}
	return conditionEntry{
		Macros: list(d.macros), Lists: list(d.lists), Operators: list(d.operators), Fields: list(d.fields), Compiled: compiled,
		Events: list(d.events), Plugins: plugins,
	}
}

// list makes sure that JSON has an array.
func list(s []string) []string { return append([]string{}, s...) }

// Describe lists rules, macros and lists with what each of them refers to.
func (r *Ruleset) Describe() *Description {
	d := &Description{EngineVersion: r.engine, Plugins: append([]Requirement{}, r.required...), Rules: []RuleDescription{}, Macros: []MacroEntry{}, Lists: []ListEntry{}}
	for _, rule := range r.rules {
		var x RuleDescription
		x.Info.Name, x.Info.Condition, x.Info.Description, x.Info.Output = rule.Name, rule.Condition, rule.Desc, rule.Output
		x.Info.Enabled, x.Info.Source, x.Info.Priority, x.Info.Tags = rule.Enabled, rule.Source, rule.Priority.String(), list(rule.Tags)
		x.Info.File, x.Info.Line = rule.File, rule.Line
		x.Details.conditionEntry = rule.details.entry(r.Expand(rule.tree).String())
		x.Details.OutputFields = rule.output.fields()
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
		x.Details.conditionEntry, x.Details.Used = m.details.entry(r.Expand(r.bodies[m.Name]).String()), m.Used
		d.Macros = append(d.Macros, x)
	}
	for _, l := range r.lists {
		var x ListEntry
		x.Info.Name, x.Info.Items = l.Name, list(l.Items)
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
