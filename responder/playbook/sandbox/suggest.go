package sandbox

import (
	"github.com/open-policy-agent/opa/v1/ast"
)

// explainRef points at the part of a reference that is wrong, and says what may have
// been meant. OPA's own place is that of the whole expression.
func explainRef(e *Error, details ast.ErrorDetails) {
	d, ok := details.(*ast.RefErrInvalidDetail)
	if !ok || d.Pos >= len(d.Ref) {
		return
	}
	if loc := d.Ref[d.Pos].Location; loc != nil && loc.File == e.File && loc.Row > 0 {
		e.Line, e.Column = loc.Row, loc.Col
	}
	name, ok := d.Ref[d.Pos].Value.(ast.String)
	if !ok {
		return
	}
	known := make([]string, 0, len(d.OneOf))
	for _, v := range d.OneOf {
		if s, ok := v.(ast.String); ok {
			known = append(known, string(s))
		}
	}
	if hint := Suggest(string(name), known); hint != "" {
		e.Message += ": " + hint
	}
}

// nearest is the name with the fewest changed letters, if these are few enough.
func nearest(name string, known []string) string {
	best, most := "", max(1, len(name)/3)+1
	for _, k := range known {
		if d := distance(name, k, most); d < most {
			best, most = k, d
		}
	}
	return best
}

// distance counts inserted, deleted, changed and swapped bytes; it is limit if there
// are that many or more.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return min(rows[len(a)][len(b)], limit)
}
