package playbooks

import (
	"encoding/json"
	"fmt"
)

// Schema returns the JSON schema of that name ("input", "guard") as one
// document: a reference to another of our schemas is replaced by it.
func Schema(name string) ([]byte, error) {
	v, err := schema(name+".json", 0)
	if err != nil {
		return nil, err
	}
	return json.MarshalIndent(v, "", "  ")
}

func schema(file string, depth int) (any, error) {
	// Ours are two deep; a file that includes itself ends here.
	if depth > 4 {
		return nil, fmt.Errorf("schema %s is included too deep", file)
	}
	b, err := FS.ReadFile("schemas/" + file)
	if err != nil {
		return nil, fmt.Errorf("read a schema: %w", err)
	}
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, fmt.Errorf("read schema %s: %w", file, err)
	}
	return include(v, depth)
}

func include(v any, depth int) (any, error) {
	var err error
	switch x := v.(type) {
	case map[string]any:
		if ref, ok := x["$ref"].(string); ok {
			return schema(ref, depth+1)
		}
		for k := range x {
			if x[k], err = include(x[k], depth); err != nil {
				return nil, err
			}
		}
	case []any:
		for i := range x {
			if x[i], err = include(x[i], depth); err != nil {
				return nil, err
			}
		}
	}
	return v, nil
}
