package audit

import (
	"slices"
	"strings"
)

// label is one label as it is read.
type label struct{ key, value string }

// sameLabels says whether labels as the column shows them are those of a body.
func sameLabels(column, body string) bool {
	if column == "" || body == "" {
		return column == body
	}
	var room [maxLabels]label
	stored, ok := readLabels(column, room[:0])
	if !ok {
		return false
	}
	slices.SortFunc(stored, func(a, b label) int { return strings.Compare(a.key, b.key) })
	c, n := cursor{json: body}, 0
	for o := c.open(); c.next(&o); n++ {
		var value string
		if c.text(&value) != nil || n == len(stored) || stored[n] != (label{o.key, value}) {
			return false
		}
	}
	return c.err == nil && n == len(stored)
}

// readLabels reads an object of texts as jsonb is written: the keys in an order of its
// own, a space after each colon and comma.
func readLabels(column string, into []label) ([]label, bool) {
	c := cursor{json: column}
	for begin := byte('{'); c.take(begin); begin = ',' {
		var l label
		if begin == ',' && !c.take(' ') || c.text(&l.key) != nil || !c.take(':') || !c.take(' ') || c.text(&l.value) != nil {
			return nil, false
		}
		into = append(into, l)
	}
	return into, c.take('}') && c.at == len(column)
}
