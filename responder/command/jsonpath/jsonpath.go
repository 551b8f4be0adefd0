// Package jsonpath runs Kubernetes' JSONPath templates, which people know from kubectl,
// on resources of the API.
package jsonpath

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/client-go/util/jsonpath"
)

// Template is one template, such as {range [*]}{.id}{"\n"}{end}.
type Template struct{ path *jsonpath.JSONPath }

// Parse reads a template. Without braces it is the path alone: .id means {.id}.
func Parse(text string) (t *Template, err error) {
	defer caught(&err)
	if text == "" {
		return nil, errors.New("the template is empty: give one such as {.id}")
	}
	if !strings.Contains(text, "{") {
		text = "{" + text + "}"
	}
	p := jsonpath.New("output").AllowMissingKeys(true)
	if err := p.Parse(text); err != nil {
		return nil, err
	}
	return &Template{p}, nil
}

// Execute writes what the template makes of a resource's JSON. Strings go through show
// first, so that what an attacker has named cannot tell a terminal what to do.
func (t *Template) Execute(w io.Writer, resource []byte, show func(string) string) (err error) {
	defer caught(&err)
	d := json.NewDecoder(strings.NewReader(string(resource)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return err
	}
	return t.path.Execute(w, shown(v, show))
}

// shown makes numbers comparable and strings harmless.
func shown(v any, show func(string) string) any {
	switch v := v.(type) {
	case map[string]any:
		m := make(map[string]any, len(v))
		for k, item := range v {
			m[show(k)] = shown(item, show)
		}
		return m
	case []any:
		for i, item := range v {
			v[i] = shown(item, show)
		}
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		if f, err := v.Float64(); err == nil {
			return f
		}
		return v.String()
	case string:
		return show(v)
	}
	return v
}

// caught makes an error of a panic: the library was written for templates that its own
// authors test.
func caught(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("the template cannot be run: %v", r)
	}
}
