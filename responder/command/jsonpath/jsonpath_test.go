package jsonpath

import (
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const resource = `[{"id":"a","count":12345678901,"pod":{"name":"x\u001b[2J"},"tags":["t","u"],"big":123456789012345678901},{"id":"b","count":2}]`

func TestExecute(t *testing.T) {
	quote := func(s string) string { return strings.Trim(strconv.Quote(s), `"`) }
	for text, want := range map[string]string{
		"[*].id":   "a b",
		"{[0].id}": "a",
		`{range [*]}{.id}{"\t"}{.count}{"\n"}{end}`: "a\t12345678901\nb\t2\n",
		"{[?(@.count>3)].id}":                       "a",
		"{[*].pod.name}":                            `x\x1b[2J`,
		"{[*].nothing}":                             "",
		"{[0].tags}":                                `["t","u"]`,
		"{[0].pod}":                                 `{"name":"x\\x1b[2J"}`,
	} {
		p, err := Parse(text)
		require.NoError(t, err, text)
		var out strings.Builder
		require.NoError(t, p.Execute(&out, []byte(resource), quote), text)
		require.Equal(t, want, out.String(), text)
	}
	for _, bad := range []string{"", "{", "{.a", "{end}{end}", "{.a[}"} {
		p, err := Parse(bad)
		if err == nil {
			err = p.Execute(new(strings.Builder), []byte(resource), quote)
		}
		require.Error(t, err, bad)
	}
}

// Whatever is typed, it is an answer or an error.
func FuzzTemplate(f *testing.F) {
	for _, seed := range []string{"{[*].id}", "{range [*]}{.a}{end}", "{..x}", "{[?(@.count>3)].id}", "{[-1:0:2]}", `{"\n"}`, "{.a['b','c']}"} {
		f.Add(seed)
	}
	f.Fuzz(func(_ *testing.T, text string) {
		if p, err := Parse(text); err == nil {
			_ = p.Execute(new(strings.Builder), []byte(`[{"id":"a","count":3,"pod":{"name":"x"}}]`), func(s string) string { return s })
		}
	})
}
