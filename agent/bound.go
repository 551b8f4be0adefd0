package agent

import "unicode/utf8"

// Bounds of what an attacker can put into one alert. An alert over alert.MaxBytes
// would be dropped, and dropping an alert is what an attacker wants: so together
// these stay below it even where JSON writes six bytes for one.
const (
	maxMessage   = 16 << 10
	maxFields    = 16 << 10
	maxPath      = 4 << 10
	maxArgs      = 64
	maxArgBytes  = 4 << 10
	maxAncestors = 16
	maxLabels    = 64
	// maxLabel is more than Kubernetes allows in a name.
	maxLabel = 320
	maxList  = 64
)

// boundFields shortens the texts of the output fields, each to the same share,
// if all together are too long.
func boundFields(fields map[string]any) {
	size, texts := 0, 0
	count := func(s string) { size += len(s); texts++ }
	for name, v := range fields {
		switch v := v.(type) {
		case string:
			count(v)
		case []string:
			v = v[:min(len(v), maxList)]
			fields[name] = v
			for _, s := range v {
				count(s)
			}
		case []any:
			v = v[:min(len(v), maxList)]
			fields[name] = v
			for _, one := range v {
				if s, ok := one.(string); ok {
					count(s)
				}
			}
		}
	}
	if size <= maxFields {
		return
	}
	share := maxFields / texts
	for name, v := range fields {
		switch v := v.(type) {
		case string:
			fields[name] = shorten(v, share)
		case []string:
			short := make([]string, len(v))
			for i, s := range v {
				short[i] = shorten(s, share)
			}
			fields[name] = short
		case []any:
			short := make([]any, len(v))
			for i, one := range v {
				if s, ok := one.(string); ok {
					one = shorten(s, share)
				}
				short[i] = one
			}
			fields[name] = short
		}
	}
}

// shorten cuts a text that is too long and says so at its end.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit] + "…"
}
