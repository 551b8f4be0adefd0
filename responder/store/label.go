package store

import (
	"encoding/json"
	"strings"

	"riposte/responder/selector"
)

// labelsJSON is nil, for NULL, where there are none.
func labelsJSON(labels map[string]string) []byte {
	if len(labels) == 0 {
		return nil
	}
	b, _ := json.Marshal(labels) // texts always can be
	return b
}

// selector adds that a column of labels is as the selector says. What asks for values is
// found by the column's index; the rest only leaves out.
func (w *where) selector(column string, s selector.Selector) {
	for _, r := range s {
		switch r.Op {
		case selector.In:
			either := make([]string, len(r.Values))
			args := make([]any, len(r.Values))
			for i, v := range r.Values {
				either[i], args[i] = column+" @> ?::text::jsonb", string(labelsJSON(map[string]string{r.Key: v}))
			}
			w.add("("+strings.Join(either, " OR ")+")", args...)
		case selector.NotIn:
			w.add("coalesce("+column+"->>? <> ALL(?), true)", r.Key, r.Values)
		case selector.Exists:
			w.add(column+"->>? IS NOT NULL", r.Key)
		case selector.Missing:
			w.add(column+"->>? IS NULL", r.Key)
		}
	}
}
