package compile

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"regexp"
	resyntax "regexp/syntax"
	"strings"
	"unicode/utf8"

	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

// textTest compiles a comparison of text or bytes with one literal.
func textTest(op syntax.Op, s string) (test, error) {
	switch op {
	case syntax.Eq, syntax.Eq2:
		return func(v field.Value) bool { return v.Text == s }, nil
	case syntax.Ne:
		return func(v field.Value) bool { return v.Text != s }, nil
	case syntax.Lt, syntax.Le, syntax.Gt, syntax.Ge:
		return func(v field.Value) bool { return ordered(op, cmp.Compare(v.Text, s)) }, nil
	case syntax.Contains:
		return func(v field.Value) bool { return strings.Contains(v.Text, s) }, nil
	case syntax.StartsWith:
		return func(v field.Value) bool { return strings.HasPrefix(v.Text, s) }, nil
	case syntax.EndsWith:
		return func(v field.Value) bool { return strings.HasSuffix(v.Text, s) }, nil
	case syntax.IContains:
		s = lower(s)
		return func(v field.Value) bool { return containsFold(v.Text, s) }, nil
	case syntax.Glob:
		return func(v field.Value) bool { return glob(s, v.Text, false) }, nil
	case syntax.IGlob:
		return func(v field.Value) bool { return glob(s, v.Text, true) }, nil
	case syntax.BContains, syntax.BStartsWith:
		b, err := hex.DecodeString(s)
		if err != nil {
			return nil, fmt.Errorf("operator %s needs bytes as hexadecimal digits, as in 7f454c46", op)
		}
		want := string(b)
		if op == syntax.BContains {
			return func(v field.Value) bool { return strings.Contains(v.Text, want) }, nil
		}
		return func(v field.Value) bool { return strings.HasPrefix(v.Text, want) }, nil
	case syntax.Regex:
		return regexTest(s)
	}
	return nil, fmt.Errorf("operator %s is not supported", op)
}

// regexTest matches the whole text by POSIX syntax: no \d, \w, \b, lazy repeats or flags.
func regexTest(s string) (test, error) {
	tree, err := resyntax.Parse(s, resyntax.POSIX)
	if err != nil {
		return nil, fmt.Errorf("regular expression: %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	// The parsed tree prints with its POSIX meaning spelt out, so it can be
	// anchored at the text's ends, which POSIX syntax has no sign for.
	re, err := regexp.Compile(`\A(?:` + tree.String() + `)\z`)
	if err != nil {
		return nil, fmt.Errorf("regular expression: %w", err)
	}
	return func(v field.Value) bool {
		if utf8.ValidString(v.Text) {
			return re.MatchString(v.Text)
		}
		return re.MatchString(strings.ToValidUTF8(v.Text, "\uFFFD"))
	}, nil
}

// lower folds ASCII alone, whatever bytes are around it.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = fold(c)
	}
	return string(b)
}

func upper(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = raise(c)
	}
	return string(b)
}

func fold(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c - 'A' + 'a'
	}
	return c
}

func raise(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}

// containsFold looks for a text that is lower-case already.
func containsFold(s, want string) bool {
	for i := 0; i+len(want) <= len(s); i++ {
		j := 0
		for j < len(want) && fold(s[i+j]) == want[j] {
			j++
		}
		if j == len(want) {
			return true
		}
	}
	return false
}

// pathMatch compiles pmatch: the value is one of the paths or lies below it.
// The parts of a path may be patterns.
func pathMatch(paths []string) test {
	parts := make([][]string, len(paths))
	for i, p := range paths {
		parts[i] = strings.FieldsFunc(p, func(r rune) bool { return r == '/' })
	}
	return func(v field.Value) bool {
		for _, p := range parts {
			if below(v.Text, p) {
				return true
			}
		}
		return false
	}
}

func below(path string, parts []string) bool {
	for _, want := range parts {
		path = strings.TrimLeft(path, "/")
		if path == "" {
			return false
		}
		part, rest, _ := strings.Cut(path, "/")
		if part != want && !glob(want, part, false) {
			return false
		}
		path = rest
	}
	return len(parts) > 0 || strings.HasPrefix(path, "/")
}
