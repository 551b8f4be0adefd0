package action

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// maxParam bounds one value of the params, in bytes of its JSON.
const maxParam = 16 << 10

// Decode reads the params of a proposal into a struct with json tags, strictly: a
// misspelt key would otherwise silently mean its default. Whether a value makes
// sense is left to the action. Absent params are an empty object.
func (s Spec) Decode(raw json.RawMessage, into any) error {
	given := map[string]json.RawMessage{}
	if len(bytes.TrimSpace(raw)) > 0 {
		if err := json.Unmarshal(raw, &given); err != nil {
			return errors.New("params: is not an object")
		}
	}
	maps.DeleteFunc(given, func(_ string, v json.RawMessage) bool { return string(v) == "null" })
	for _, key := range slices.Sorted(maps.Keys(given)) {
		i := slices.IndexFunc(s.Params, func(p Param) bool { return p.Name == key })
		if i < 0 {
			return fmt.Errorf("params: unknown key %.60q: %s", key, s.knows())
		}
		if err := s.Params[i].check(given[key]); err != nil {
			return fmt.Errorf("params.%s: %w", key, err)
		}
	}
	for _, p := range s.Params {
		if _, ok := given[p.Name]; p.Required && !ok {
			return fmt.Errorf("params.%s: is missing: %s", p.Name, p.Desc)
		}
	}
	if len(given) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fmt.Errorf("params.%s: is a %s", wrong.Field, wrong.Value)
		}
		return fmt.Errorf("params: %w", err)
	}
	return nil
}

func (s Spec) knows() string {
	if len(s.Params) == 0 {
		return s.Type + " has none"
	}
	names := make([]string, len(s.Params))
	for i, p := range s.Params {
		names[i] = p.Name
	}
	return s.Type + " knows " + strings.Join(names, ", ")
}

// check sees that a value is of the param's type.
func (p Param) check(raw json.RawMessage) error {
	if len(raw) > maxParam {
		return fmt.Errorf("has %d bytes, %d are allowed", len(raw), maxParam)
	}
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	ok := false
	switch p.Type {
	case "text":
		_, ok = v.(string)
	case "number":
		_, ok = v.(float64)
	case "bool":
		_, ok = v.(bool)
	case "list":
		_, ok = v.([]any)
	case "map":
		_, ok = v.(map[string]any)
	case "duration":
		var text string
		if text, ok = v.(string); ok {
			if _, err := time.ParseDuration(text); err != nil {
				return fmt.Errorf("%.40q is no duration: write it as 90s, 15m or 2h", text)
			}
		}
	}
	if !ok {
		return fmt.Errorf("is no %s", p.Type)
	}
	return nil
}
