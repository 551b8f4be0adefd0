package selector_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/labels"

	"riposte/responder/selector"
)

var good = map[string]string{
	"":                                   "",
	" \t":                                "",
	"app":                                "app",
	"!app":                               "!app",
	" ! app ":                            "!app",
	"app=cart":                           "app=cart",
	"app==cart":                          "app=cart",
	"app = cart , tier != web":           "app=cart,tier!=web",
	"app=":                               "app=",
	"app=,tier":                          "app=,tier",
	"env in (test,dev,test)":             "env in (dev,test)",
	"env in (dev)":                       "env=dev",
	"env notin (prod , dev)":             "env notin (dev,prod)",
	"env notin(prod)":                    "env!=prod",
	"in in (in)":                         "in=in",
	"notin,in,!notin":                    "notin,in,!notin",
	"app.kubernetes.io/name=cart_1.2-x":  "app.kubernetes.io/name=cart_1.2-x",
	"app in (a),app notin (b,c),x!=y,!z": "app=a,app notin (b,c),x!=y,!z",
}

var bad = map[string]string{
	",":                            `column 1: there is ',' where a label's key is expected, such as app`,
	"app,":                         `column 5: there is the end where a label's key is expected, such as app`,
	"=cart":                        `column 1: there is '=' where a label's key is expected, such as app`,
	"app cart":                     `column 5: there is 'c' after the key app: use =, !=, in (…) or notin (…)`,
	"app in cart":                  `column 8: there is 'c' where the values are expected: write them as (a, b)`,
	"app in ()":                    `column 9: there is ')' where a value is expected`,
	"app in (a,":                   `column 11: there is the end where a value is expected`,
	"app in (a":                    `column 10: there is the end among the values: join them by commas and end them by ")"`,
	"app in (a b)":                 `column 11: there is 'b' among the values: join them by commas and end them by ")"`,
	"app=cart tier=web":            `column 10: there is 't' after a requirement: join them by commas`,
	"app=a=b":                      `column 6: there is '=' after a requirement: join them by commas`,
	"!app=cart":                    `column 5: there is '=' after a requirement: join them by commas`,
	"!!app":                        `column 2: there is '!' where a label's key is expected, such as app`,
	"app>3":                        `column 1: "app>3" is no label's key: letters, digits, '-', '_' and '.', with a domain and '/' before it or without`,
	"ä=b":                          `column 1: "ä" is no label's key: letters, digits, '-', '_' and '.', with a domain and '/' before it or without`,
	"a=é,b=ü":                      `column 3: "é" is no label's value: at most 63 letters, digits, '-', '_' and '.'`,
	"a=b,c=-":                      `column 7: "-" is no label's value: at most 63 letters, digits, '-', '_' and '.'`,
	"a=\x1b[2J":                    `column 3: "\x1b[2J" is no label's value: at most 63 letters, digits, '-', '_' and '.'`,
	strings.Repeat("a,", 16) + "a": `column 33: more than 16 requirements`,
	"a in (" + strings.Repeat("a,", 32) + "a)": `column 71: more than 32 values`,
}

func TestParse(t *testing.T) {
	for text, want := range good {
		s, err := selector.Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, s.String(), text)
	}
	for text, want := range bad {
		_, err := selector.Parse(text)
		require.EqualError(t, err, want, text)
	}
}

var sets = []map[string]string{
	nil, {"app": "cart"}, {"app": ""}, {"app": "web", "tier": "front"}, {"env": "dev"}, {"env": "prod", "app": "a"}, {"in": "in"}, {"app.kubernetes.io/name": "cart_1.2-x"},
}

// What is read means what it means to Kubernetes.
func TestMatchesAsKubernetesDoes(t *testing.T) {
	for text := range good {
		s, err := selector.Parse(text)
		require.NoError(t, err)
		same(t, text, s)
	}
}

func same(t *testing.T, text string, s selector.Selector) {
	t.Helper()
	theirs, err := labels.Parse(text)
	require.NoError(t, err, "%q", text)
	for _, set := range sets {
		require.Equal(t, theirs.Matches(labels.Set(set)), s.Matches(set), "%q of %v", text, set)
	}
}

func FuzzParse(f *testing.F) {
	for text := range good {
		f.Add(text)
	}
	for text := range bad {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := selector.Parse(text)
		if err != nil {
			var at *selector.Error
			require.ErrorAs(t, err, &at)
			require.True(t, at.Column >= 1 && at.Column <= len(text)+1, "%d", at.Column)
			return
		}
		again, err := selector.Parse(s.String())
		require.NoError(t, err)
		require.Equal(t, s, again)
		same(t, text, s)
	})
}
