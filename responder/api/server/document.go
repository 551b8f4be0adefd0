package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"riposte/responder/api"
	"riposte/responder/api/access"
)

// object is a JSON object of the document; its keys are written in order.
type object = map[string]any

// Document is the API's description (OpenAPI 3.0), made of the route table and the
// resources' types and comments.
func Document() ([]byte, error) {
	says, err := comments()
	if err != nil {
		return nil, err
	}
	d := describer{schemas: object{}, says: says}
	paths := map[string]object{}
	for _, e := range (&Server{}).table() {
		method, path, _ := strings.Cut(e.pattern, " ")
		if paths[path] == nil {
			paths[path] = object{}
		}
		paths[path][strings.ToLower(method)] = d.operation(e, path)
	}
	d.problem()
	b, err := json.MarshalIndent(object{
		"openapi": "3.0.3",
		"info": object{
			"title": "Riposte", "version": "1", "license": object{"name": "Apache-2.0"},
			"description": "The responder's HTTP API. docs/api.md says what pages, filters, events and repeated requests have in common, docs/access.md who may ask. An unknown query parameter is an error.",
		},
		"paths": paths,
		"components": object{
			"schemas": d.schemas,
			"securitySchemes": object{
				"token":   object{"type": "http", "scheme": "bearer"},
				"session": object{"type": "apiKey", "in": "cookie", "name": sessionCookie},
			},
		},
		"security": []object{{"token": []string{}}, {"session": []string{}}},
	}, "", " ")
	return append(b, '\n'), err
}

func (s *Server) showDocument(w http.ResponseWriter, c *call) {
	b, err := s.document()
	if err != nil {
		s.refuse(w, c.Request, err)
		return
	}
	response{http.StatusOK, "application/json", b}.write(w)
}

// describer collects the schemas that operations name.
type describer struct {
	schemas object
	says    map[string]string
}

var pathName = regexp.MustCompile(`\{([a-z]+)\}`)

func (d describer) operation(e route, path string) object {
	needs := "Needs the role " + e.role.String() + "."
	switch {
	case e.open:
		needs = "Open to everybody."
	case e.role == access.None:
		needs = "Needs to be known, and no role."
	case e.whole:
		needs = "Needs the role " + e.role.String() + " without limits."
	}
	op := object{"operationId": e.name, "summary": e.says, "description": needs, "x-riposte-role": e.role.String(), "responses": d.responses(e)}
	if e.open {
		op["security"] = []object{}
	}
	var parameters []object
	for _, m := range pathName.FindAllStringSubmatch(path, -1) {
		p := object{"name": m[1], "in": "path", "required": true, "schema": object{"type": "string"}}
		if m[1] == "id" {
			p["description"] = "A UUID, or its last twelve digits."
		}
		parameters = append(parameters, p)
	}
	for _, p := range e.parameters() {
		parameters = append(parameters, p.describe())
	}
	for name, says := range e.headers() {
		parameters = append(parameters, object{"name": name, "in": "header", "schema": object{"type": "string"}, "description": says})
	}
	if parameters != nil {
		slices.SortStableFunc(parameters, func(a, b object) int { return strings.Compare(b["in"].(string), a["in"].(string)) })
		op["parameters"] = parameters
	}
	if e.body != nil {
		op["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": d.schema(reflect.TypeOf(e.body), true)}}}
	}
	return op
}

// headers are the request's headers that mean something to a route.
func (e route) headers() map[string]string {
	method, _, _ := strings.Cut(e.pattern, " ")
	switch {
	case e.kind == "text/event-stream":
		return map[string]string{"Last-Event-ID": "The last event's id, to go on after it."}
	case method == "GET" && e.tagged():
		return map[string]string{"If-None-Match": "An ETag: an answer that is still the same is 304."}
	case method == "PUT":
		return map[string]string{"If-Match": "The ETag of the state that is to be replaced: another one is 412."}
	case method == "POST" && !e.open && !e.secret:
		return map[string]string{"Idempotency-Key": "At most 128 printable characters. Within a day the same request with the same key has no second effect and gets the same answer."}
	}
	return nil
}

func (d describer) responses(e route) object {
	all := object{"default": object{"description": "What went wrong.", "content": object{"application/problem+json": object{"schema": ref("Problem")}}}}
	switch {
	case e.answer != nil:
		content := object{"application/json": object{"schema": d.schema(reflect.TypeOf(e.answer), false)}}
		if e.kind != "" {
			content[e.kind] = object{"schema": object{"type": "string"}}
		}
		ok := object{"description": "Done.", "content": content}
		if e.tagged() {
			ok["headers"] = object{"ETag": object{"schema": object{"type": "string"}}}
		}
		all["200"] = ok
		if e.tagged() && e.body == nil {
			all["304"] = object{"description": "Not changed."}
		}
	case e.kind == "application/json":
		all["200"] = object{"description": "Done.", "content": object{e.kind: object{"schema": object{"type": "object"}}}}
	case e.kind != "":
		all["200"] = object{"description": "A stream.", "content": object{e.kind: object{"schema": object{"type": "string"}}}}
	default:
		all["204"] = object{"description": "Done."}
	}
	return all
}

func (p parameter) describe() object {
	schema := object{"type": "string", "maxLength": maxValue}
	one := object{"name": p.name, "in": "query", "schema": schema}
	switch p.kind {
	case wordKind:
		one["schema"] = object{"type": "string", "enum": p.enum}
	case priorityKind:
		schema["description"] = "In any case: " + strings.Join(p.enum, ", ") + "."
	case timeKind:
		one["schema"] = object{"type": "string", "format": "date-time"}
	case countKind:
		one["schema"] = object{"type": "integer", "format": "int64", "minimum": 1}
	case numberKind:
		one["schema"] = object{"type": "integer", "minimum": 1, "maximum": api.MaxPage, "default": api.DefaultPage}
	case boolKind:
		one["schema"] = object{"type": "boolean"}
	case fieldsKind:
		one["schema"] = object{"type": "array", "items": object{"type": "string", "enum": p.enum}}
		one["style"], one["explode"] = "form", false
	}
	if p.says != "" {
		one["description"] = p.says
	}
	return one
}

// problem completes the schema of errors with the codes.
func (d describer) problem() {
	d.schema(reflect.TypeFor[api.Problem](), false)
	byStatus := map[int][]string{}
	for code, status := range codes {
		byStatus[status] = append(byStatus[status], code)
	}
	var says []string
	for _, status := range slices.Sorted(maps.Keys(byStatus)) {
		says = append(says, fmt.Sprintf("%d: %s", status, strings.Join(slices.Sorted(slices.Values(byStatus[status])), ", ")))
	}
	code := d.schemas["Problem"].(object)["properties"].(object)["code"].(object)
	code["enum"] = slices.Sorted(maps.Keys(codes))
	code["description"] = "Stable and for programs. " + strings.Join(says, "; ") + "."
}

func ref(name string) object { return object{"$ref": "#/components/schemas/" + name} }
