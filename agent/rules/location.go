package rules

import "go.yaml.in/yaml/v3"

// Location is one step on the way to an error.
type Location struct {
	// Type is Falco's word for what this is a part of, such as "rule" or "condition
	// expression"; Name is the item's name, if it has one.
	Type, Name string
	File       string
	// Line and Column count from 1, Offset counts bytes from 0. A whole file has 0.
	Line, Column, Offset int
}

// The types of locations, in Falco's words.
const (
	partValue      = "value for"
	partExceptions = "exceptions"
	partException  = "exception"
	partContent    = "rules content"
	partItem       = "rules content item"
	partCondition  = "condition expression"
	partOutput     = "rule output expression"
	partOverrides  = "overrides"
)

// part is a location that was not looked up yet.
type part struct {
	typ, name string
	at        place
	keys      map[string]*yaml.Node
}

func (it *item) part() part {
	typ := it.kind
	switch typ {
	case "":
		typ = partItem
	case "required_plugin_versions":
		typ = "required plugin versions"
	}
	return part{typ: typ, name: it.name, at: it.at, keys: it.keys}
}

// locations are the file, the item, and what in it the error is about.
func (p *problems) locations(e *Error) []Location {
	list := []Location{{Type: partContent, File: e.File}}
	add := func(typ, name string, at place) {
		if at.node == nil || at.src.name != e.File {
			return
		}
		offset := at.src.offset(at.node.Line, at.node.Column)
		list = append(list, Location{Type: typ, Name: name, File: e.File, Line: at.node.Line, Column: at.node.Column, Offset: offset})
	}
	for _, w := range p.within {
		add(w.typ, w.name, w.at)
	}
	if e.at.node == nil {
		return list
	}
	expression := func(typ string) {
		at := e.at.pos(e.offset)
		list = append(list, Location{Type: typ, File: e.File, Line: at.Line, Column: at.Column, Offset: at.Offset})
	}
	switch {
	case e.Code == CodeCompileCondition || e.Code == CodeCondition || e.Code == CodeUnsafeNA || e.Code == CodeNoEventType:
		kind := "rule"
		if len(p.within) > 0 && p.within[0].typ == "macro" {
			kind = "macro"
		}
		add(kind+" condition", "", e.at)
		expression(partCondition)
	case e.Code == CodeCompileOutput:
		add("rule output", "", e.at)
		expression(partOutput)
	case len(p.within) > 0:
		for key, node := range p.within[0].keys {
			if node == e.at.node || node.Kind == yaml.AliasNode && node.Alias == e.at.node {
				add(partValue, key, e.at)
			}
		}
	}
	return list
}
