package audit

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLabelsOfColumnAndBody(t *testing.T) {
	for _, x := range []struct {
		name, column, body string
		same               bool
	}{
		{"none", "", "", true},
		{"one", `{"app": "x"}`, `{"app":"x"}`, true},
		{"in another order", `{"b": "2", "app": "x"}`, `{"app":"x","b":"2"}`, true},
		{"with escapes of either side", `{"a\"": "\n\u0001é"}`, `{"a\"":"\u000a\u0001é"}`, true},
		{"empty texts", `{"": ""}`, `{"":""}`, true},
		{"another value", `{"app": "y"}`, `{"app":"x"}`, false},
		{"another key", `{"apq": "x"}`, `{"app":"x"}`, false},
		{"one more in the column", `{"b": "2", "app": "x"}`, `{"app":"x"}`, false},
		{"one more in the body", `{"app": "x"}`, `{"app":"x","b":"2"}`, false},
		{"none in the column", "", `{"app":"x"}`, false},
		{"none in the body", `{"app": "x"}`, "", false},
		{"an empty object", "{}", "", false},
		{"a number", `{"app": 1}`, `{"app":"1"}`, false},
		{"a list", `["app"]`, `{"app":"x"}`, false},
		{"more behind it", `{"app": "x"} `, `{"app":"x"}`, false},
		{"no end", `{"app": "x"`, `{"app":"x"}`, false},
		{"a comma at the end", `{"app": "x", }`, `{"app":"x"}`, false},
	} {
		t.Run(x.name, func(t *testing.T) { require.Equal(t, x.same, sameLabels(x.column, x.body)) })
	}
}
