package action

import "encoding/json"

// ParamNamed is the param of that name, nil if there is none.
func (s Spec) ParamNamed(name string) *Param {
	for i := range s.Params {
		if s.Params[i].Name == name {
			return &s.Params[i]
		}
	}
	return nil
}

// CheckValue says why a value cannot be this param's, as Decode does.
func (p Param) CheckValue(raw json.RawMessage) error { return p.check(raw) }
