package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// dataFile is a document of data, as in OPA's bundles: a/b/data.json is data.a.b.
const dataFile = "data.json"

// MaxDataBytes bounds one document of data.
const MaxDataBytes = 4 << 20

// Document is data that Rego reads as data.<path>.
type Document struct {
	// At is the path below data; empty for a document that names its own roots.
	At    []string
	Value any
	// at finds the place of a root in the file.
	at map[string]int64
}

// parseData reads a data.json; rel is its path in the source.
func (f *File) parseData(rel string) error {
	d := &Document{}
	if dir := path.Dir(rel); dir != "." {
		d.At = strings.Split(dir, "/")
	}
	dec := json.NewDecoder(bytes.NewReader(f.Text))
	dec.UseNumber()
	if err := dec.Decode(&d.Value); err != nil {
		return f.dataError(dec, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return f.errorAt(dec.InputOffset(), "there is more than one JSON value")
	}
	if _, ok := d.Value.(map[string]any); !ok && len(d.At) == 0 {
		return f.errorAt(0, "must be an object, for instance {\"allowed_images\": [...]}")
	}
	d.at = keys(f.Text)
	f.Data = d
	return nil
}

func (f *File) dataError(dec *json.Decoder, err error) error {
	at := dec.InputOffset()
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		at = e.Offset - 1
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return f.errorAt(int64(len(f.Text)), "ends in the middle of a value")
	}
	return f.errorAt(at, "is no JSON: %v", err)
}

// errorAt makes an error at a place of the file's text.
func (f *File) errorAt(offset int64, format string, args ...any) *Error {
	before := f.Text[:max(0, min(int(offset), len(f.Text)))]
	line := bytes.LastIndexByte(before, '\n') + 1
	return &Error{File: f.Path, Line: 1 + bytes.Count(before, []byte("\n")), Column: 1 + len(before) - line, Message: fmt.Sprintf(format, args...)}
}

// keys are the places of an object's own keys.
func keys(text []byte) map[string]int64 {
	out := map[string]int64{}
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return out
	}
	for dec.More() {
		t, err := dec.Token()
		key, ok := t.(string)
		if err != nil || !ok {
			return out
		}
		// The place of the key's first character: its encoded form may be longer.
		end := dec.InputOffset()
		out[key] = max(0, end-int64(len(key))-2)
		var skip json.RawMessage
		if dec.Decode(&skip) != nil {
			return out
		}
	}
	return out
}

// Roots are the first parts of the paths at which a file's data stands.
func (f *File) Roots() []string {
	if len(f.Data.At) > 0 {
		return f.Data.At[:1]
	}
	object, _ := f.Data.Value.(map[string]any)
	return slices.Sorted(maps.Keys(object))
}

// RootError makes an error at the place of one of the file's Roots.
func (f *File) RootError(root, format string, args ...any) *Error {
	if len(f.Data.At) > 0 {
		return f.errorAt(0, format, args...)
	}
	return f.errorAt(f.Data.at[root], format, args...)
}

// documents merges the data of files into one tree. Two files must not say the same.
func documents(files []*File) (map[string]any, error) {
	root := map[string]any{}
	var errs Errors
	var merged []*File
	for _, f := range files {
		if f.Data == nil {
			continue
		}
		if at := merge(root, f.Data.tree()); at != "" {
			other := slices.IndexFunc(merged, func(o *File) bool { return merge(maps.Clone(o.Data.tree()), f.Data.tree()) != "" })
			errs = append(errs, f.errorAt(0, "data.%s is there already, from %s", at, merged[max(other, 0)].Path))
			continue
		}
		merged = append(merged, f)
	}
	return root, errs.Err()
}

// tree is the document as part of data.
func (d *Document) tree() map[string]any {
	value := d.Value
	for _, part := range slices.Backward(d.At) {
		value = map[string]any{part: value}
	}
	object, _ := value.(map[string]any)
	return object
}

// merge adds an object to another one and returns the path that both have.
func merge(to, from map[string]any) string {
	for _, key := range slices.Sorted(maps.Keys(from)) {
		value := from[key]
		have, taken := to[key]
		if !taken {
			if object, ok := value.(map[string]any); ok {
				value = maps.Clone(object) // what is added later must not change the file's own
			}
			to[key] = value
			continue
		}
		a, aok := have.(map[string]any)
		b, bok := value.(map[string]any)
		if !aok || !bok {
			return key
		}
		a = maps.Clone(a)
		to[key] = a
		if at := merge(a, b); at != "" {
			return key + "." + at
		}
	}
	return ""
}

// lookup finds what a reference leads to, as far as it is ground.
func lookup(root map[string]any, ref ast.Ref) (any, bool) {
	var value any = root
	for _, t := range ref[1:] {
		object, ok := value.(map[string]any)
		if !ok {
			// Within a list any further part may be there.
			_, list := value.([]any)
			return value, list
		}
		key, ok := t.Value.(ast.String)
		if !ok {
			return nil, false
		}
		if value, ok = object[string(key)]; !ok {
			return nil, false
		}
	}
	return value, true
}
