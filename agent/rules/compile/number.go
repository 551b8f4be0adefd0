package compile

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"riposte/agent/rules/field"
	"riposte/agent/rules/syntax"
)

// parseNumber reads a literal of a number, port or bool.
func parseNumber(typ field.Type, s string) (int64, error) {
	switch typ {
	case field.Bool:
		switch s {
		case "true":
			return 1, nil
		case "false":
			return 0, nil
		}
		return 0, fmt.Errorf("%q is not true or false", s)
	case field.Port:
		if n, ok := field.ServicePort(s); ok {
			return int64(n), nil
		}
		n, err := strconv.ParseUint(s, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is not a port: use a number from 0 to 65535, or a service's name such as https", s)
		}
		return int64(n), nil
	case field.Double:
		x, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return 0, fmt.Errorf("%q is not a number", s)
		}
		return int64(math.Float64bits(x)), nil
	}
	n, err := parseInteger(s)
	switch {
	case err != nil && errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("%q is too large a number", s)
	case err != nil:
		return 0, fmt.Errorf("%q is not a whole number", s)
	case typ == field.Uint32:
		// A negative literal wraps, as in Falco: user.loginuid and the like are compared with -1.
		if n > 1<<32-1 || n < -(1<<32) {
			return 0, fmt.Errorf("%q is too large for a 32-bit number", s)
		}
		return int64(uint32(n)), nil
	case typ == field.Int && n < 0 && !strings.HasPrefix(s, "-"):
		return 0, fmt.Errorf("%q is too large a number", s)
	}
	return n, nil
}

// parseInteger reads decimal and hexadecimal; what exceeds an int64 keeps its bits.
func parseInteger(s string) (int64, error) {
	digits, base := strings.TrimPrefix(s, "+"), 10
	if rest, ok := strings.CutPrefix(strings.ToLower(digits), "0x"); ok {
		digits, base = rest, 16
	}
	if strings.HasPrefix(digits, "-") && base == 10 {
		return strconv.ParseInt(digits, 10, 64)
	}
	n, err := strconv.ParseUint(digits, base, 64)
	return int64(n), err
}

func compareNumbers(typ field.Type, a, b int64) int {
	switch typ {
	case field.Uint64:
		return cmp.Compare(uint64(a), uint64(b))
	case field.Double:
		return cmp.Compare(math.Float64frombits(uint64(a)), math.Float64frombits(uint64(b)))
	}
	return cmp.Compare(a, b)
}

// ordered says whether a comparison's result fulfils the operator.
func ordered(op syntax.Op, r int) bool {
	switch op {
	case syntax.Lt:
		return r < 0
	case syntax.Le:
		return r <= 0
	case syntax.Gt:
		return r > 0
	case syntax.Ge:
		return r >= 0
	case syntax.Ne:
		return r != 0
	}
	return r == 0
}

func parseIP(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return a, fmt.Errorf("%q is not an IP address", s)
	}
	return a.Unmap(), nil
}

func parseNet(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		return netip.Prefix{}, fmt.Errorf("%q is not a network: write it with its prefix, as in %q", s, s+"/32")
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("%q is not a network such as 10.0.0.0/8", s)
	}
	return p.Masked(), nil
}
