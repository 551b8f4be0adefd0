package ruletest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/rules/ruletest"
)

// TestConformance runs the suite of the language, one file a theme.
func TestConformance(t *testing.T) {
	names, err := filepath.Glob("../testdata/conformance/*.ruletest")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(names), 8)
	for _, name := range names {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		t.Run(strings.TrimSuffix(filepath.Base(name), ".ruletest"), func(t *testing.T) {
			results, err := ruletest.Run(ruletest.Options{}, name, content)
			require.NoError(t, err)
			for _, r := range results {
				for _, f := range r.Failures {
					t.Errorf("%s: %s", r.Name, f)
				}
			}
		})
	}
}

const someRules = `rules
  - rule: A
    desc: d
    condition: evt.type = execve and proc.name = a
    output: it was %proc.name
    priority: ERROR
`

func run(t *testing.T, text string) []ruletest.Result {
	t.Helper()
	results, err := ruletest.Run(ruletest.Options{}, "x.test", []byte(text))
	require.NoError(t, err)
	return results
}

// What is not as a test expects it must fail.
func TestFailures(t *testing.T) {
	for text, want := range map[string]string{
		"event execve\n  proc.name = a\nexpect none\n":                 "x.test:9: expected none, got A",
		"event execve\n  proc.name = b\nexpect A\n":                    "x.test:9: expected A, got none",
		"event execve\n  proc.name = a\nexpect A\noutput it was b\n":   `x.test:10: the output does not have "it was b": it was a`,
		"event execve\n  proc.name = b\nexpect none\noutput x\n":       "x.test:10: there is no alert",
		"event execve\ntrue proc.name = b\n":                           "x.test:8: expected true, got false: proc.name = b",
		"event execve\nfalse proc.name = process\n":                    "x.test:8: expected false, got true: proc.name = process",
		"event execve\ntrue proc.nam = b\n":                            "x.test:8: 1:1: unknown field proc.nam",
		"refuse proc.name = b\n  x\n":                                  "x.test:7: this condition should be refused",
		"refuse proc.nam = b\n  nothing of the kind\n":                 "x.test:7: the error is: 1:1: unknown field",
		"load error LOAD_ERR_VALIDATE\n":                               "expected the error LOAD_ERR_VALIDATE, got: nothing else",
		"load warning LOAD_UNUSED_LIST\n":                              "expected the warning LOAD_UNUSED_LIST, got: nothing else",
		"rules\n  - macro: m\n    condition: proc.name = x\nload ok\n": "LOAD_UNUSED_MACRO",
		"rules\n  - rule: x\nevent execve\nexpect none\n":              "the rules do not load",
	} {
		results := run(t, someRules+text)
		require.Len(t, results, 1)
		require.NotEmpty(t, results[0].Failures, text)
		require.Contains(t, results[0].Failures[0].Error(), want, text)
	}
}

// A mistake in the file is an error with its line.
func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"  proc.name = a\n":                          "x.test:1: an indented line belongs to a statement",
		"evnet execve\n":                             `x.test:1: unknown statement "evnet": did you mean event?`,
		"case\n":                                     "x.test:1: case needs a name",
		"process a\n  proc.nam = x\n":                "x.test:1: proc.nam cannot be set here: did you mean proc.name?",
		"process a\n  proc.name\n":                   "x.test:1: expecting name = value",
		"process a\n  parent = b\n":                  `x.test:1: no process is called "b"`,
		"process a\n  fd.name = b\n":                 "x.test:1: fd.name cannot be set here",
		"event nothing\n":                            "x.test:1: event type nothing is not captured",
		"event execve by\n":                          "x.test:1: expecting: event TYPE by PROCESS",
		"event execve\n":                             "x.test:1: nothing is expected of this event",
		"event execve\nevent open\nexpect none\n":    "x.test:1: nothing is expected of this event",
		"expect none\n":                              "x.test:1: expect stands below an event",
		"rules nofile.yaml\n":                        "x.test:1: read rules: ",
		"match some\n":                               "x.test:1: use match all or match first",
		"load odd\n":                                 "x.test:1: use load ok",
		someRules + "event execve\nexpect B\n":       `x.test:8: no rule is called "B": did you mean "A"?`,
		"event connect\n  fd.remote = x\n":           `x.test:1: "x" is not an address with a port`,
		"event execve\n  proc.args = 'x\n":           "x.test:1: a quote is not closed",
		"event execve\n  evt.res = EWHAT\n":          `x.test:1: unknown result "EWHAT"`,
		strings.Repeat("#\n", ruletest.MaxBytes/2+1): "x.test:1: the file has more than",
	} {
		_, err := ruletest.Run(ruletest.Options{}, "x.test", []byte(text))
		require.ErrorContains(t, err, want, text[:min(len(text), 60)])
	}
}

func TestCasesAreIndependent(t *testing.T) {
	results := run(t, someRules+`container c
process p
  container = c
  proc.name = a
case one
event execve by p
  container.name = changed
  proc.tty = 5
true container.name = changed
expect A
case two
event execve by p
false container.name = changed
true proc.tty = 0
expect A
event execve
expect none
`)
	require.Len(t, results, 2)
	require.Empty(t, results[0].Failures)
	require.Empty(t, results[1].Failures)
	require.Equal(t, map[string]int{"A": 1}, results[1].Fired)
	require.Equal(t, 1, results[1].Quiet)
	require.Len(t, results[1].Events, 2)
}

func FuzzRun(f *testing.F) {
	names, err := filepath.Glob("../testdata/conformance/*.ruletest")
	require.NoError(f, err)
	for _, name := range names {
		content, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(content)
	}
	f.Add([]byte("container c\n  k8s.pod.label[x] = y\nevent connect\n  fd.local = [::1]:3\nexpect none\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		results, err := ruletest.Run(ruletest.Options{}, "x.test", content)
		if err != nil && results != nil {
			t.Fatal("results beside an error")
		}
	})
}
