package compile

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

// comparator compares two values of one type that are both known at the event alone.
func comparator(op syntax.Op, typ field.Type) (func(a, b field.Value) bool, error) {
	switch typ {
	case field.Text, field.Bytes:
		return textComparator(op)
	case field.Texts:
		return func(a, b field.Value) bool {
			has := func(s string) bool { return slices.Contains(b.List(), s) }
			if op == syntax.Intersects {
				return slices.ContainsFunc(a.List(), has)
			}
			return len(a.List()) > 0 && !slices.ContainsFunc(a.List(), func(s string) bool { return !has(s) })
		}, nil
	case field.IP:
		return func(a, b field.Value) bool { return (a.Addr == b.Addr) == (op != syntax.Ne) }, nil
	}
	return func(a, b field.Value) bool { return ordered(op, compareNumbers(typ, a.Int, b.Int)) }, nil
}

func textComparator(op syntax.Op) (func(a, b field.Value) bool, error) {
	switch op {
	case syntax.Eq, syntax.Eq2, syntax.In, syntax.Intersects, syntax.Ne, syntax.Lt, syntax.Le, syntax.Gt, syntax.Ge:
		return func(a, b field.Value) bool { return ordered(op, cmp.Compare(a.Text, b.Text)) }, nil
	case syntax.Contains:
		return func(a, b field.Value) bool { return strings.Contains(a.Text, b.Text) }, nil
	case syntax.IContains:
		return func(a, b field.Value) bool { return containsFold(a.Text, lower(b.Text)) }, nil
	case syntax.StartsWith:
		return func(a, b field.Value) bool { return strings.HasPrefix(a.Text, b.Text) }, nil
	case syntax.EndsWith:
		return func(a, b field.Value) bool { return strings.HasSuffix(a.Text, b.Text) }, nil
	case syntax.Glob, syntax.IGlob:
		return func(a, b field.Value) bool { return glob(b.Text, a.Text, op == syntax.IGlob) }, nil
	case syntax.BContains, syntax.BStartsWith:
		return func(a, b field.Value) bool {
			want, err := hex.DecodeString(b.Text)
			if err != nil {
				return false
			}
			if op == syntax.BContains {
				return strings.Contains(a.Text, string(want))
			}
			return strings.HasPrefix(a.Text, string(want))
		}, nil
	}
	return nil, fmt.Errorf("operator %s cannot compare two fields", op)
}
