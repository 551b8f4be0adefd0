package server

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"time"

	"riposte/responder/api"
)

// schema describes a type; a closed one may hold nothing else. Structs are described
// once, by their name.
func (d describer) schema(t reflect.Type, closed bool) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[json.RawMessage]():
		return object{"nullable": true}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return d.schema(t.Elem(), closed)
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64:
		return object{"type": "integer", "format": "int64"}
	case reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		return object{"type": "array", "items": d.schema(t.Elem(), closed)}
	case reflect.Map:
		return object{"type": "object", "additionalProperties": d.schema(t.Elem(), closed)}
	case reflect.Struct:
		return d.object(t, closed)
	}
	panic(fmt.Sprintf("the document cannot describe %s", t)) // a resource was written that nobody can read
}

func (d describer) object(t reflect.Type, closed bool) object {
	name := t.Name()
	if isPage(t) {
		name = resourceOf(t).Name() + "Page"
	}
	if d.schemas[name] == nil {
		s := object{"type": "object"}
		d.schemas[name] = s // before its fields: a KillSwitch holds others
		properties, required := object{}, []string{}
		d.properties(t, closed, properties, &required)
		s["properties"] = properties
		if len(required) > 0 {
			s["required"] = required
		}
		if closed {
			s["additionalProperties"] = false
		}
		if generic, _, _ := strings.Cut(t.Name(), "["); d.says[generic] != "" {
			s["description"] = d.says[generic]
		}
	}
	return ref(name)
}

func (d describer) properties(t reflect.Type, closed bool, into object, required *[]string) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" {
			d.properties(f.Type, closed, into, required)
			continue
		}
		s := d.schema(f.Type, closed)
		if says := d.says[t.Name()+"."+f.Name]; says != "" {
			if s["$ref"] != nil { // beside a reference nothing counts
				s = object{"allOf": []object{s}}
			}
			s["description"] = says
		}
		into[name] = s
		if !strings.Contains(options, "omitempty") {
			*required = append(*required, name)
		}
	}
}

// comments are what the package api says of its types ("Alert") and fields
// ("Alert.Count").
func comments() (map[string]string, error) {
	files, err := api.Source.ReadDir(".")
	if err != nil {
		return nil, err
	}
	says := map[string]string{}
	for _, file := range files {
		b, err := api.Source.ReadFile(file.Name())
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(token.NewFileSet(), file.Name(), b, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		for _, decl := range f.Decls {
			if g, ok := decl.(*ast.GenDecl); ok && g.Tok == token.TYPE {
				typeComments(g, says)
			}
		}
	}
	return says, nil
}

func typeComments(g *ast.GenDecl, says map[string]string) {
	line := func(c *ast.CommentGroup) string { return strings.Join(strings.Fields(c.Text()), " ") }
	for _, spec := range g.Specs {
		t := spec.(*ast.TypeSpec)
		says[t.Name.Name] = line(g.Doc)
		s, ok := t.Type.(*ast.StructType)
		if !ok {
			continue
		}
		for _, f := range s.Fields.List {
			for _, name := range f.Names {
				says[t.Name.Name+"."+name.Name] = line(f.Doc)
			}
		}
	}
}
