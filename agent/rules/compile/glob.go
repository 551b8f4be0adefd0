package compile

import "strings"

// glob matches as fnmatch without flags does in the C locale: bytewise, '*' and
// '?' also match '/' and a leading dot, '[...]' is a class, '\' quotes. It takes
// at most len(pattern) times len(s) steps.
func glob(pattern, s string, folded bool) bool {
	p, i := 0, 0
	star, retry := -1, 0
	for i < len(s) {
		if p < len(pattern) && pattern[p] == '*' {
			star, retry = p, i
			p++
			continue
		}
		if p < len(pattern) {
			if n, ok := matchOne(pattern[p:], s[i], folded); ok {
				p += n
				i++
				continue
			}
		}
		if star < 0 {
			return false
		}
		retry++
		p, i = star+1, retry
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}

// matchOne matches one byte with the pattern's first element and says how long
// that element is.
func matchOne(pattern string, c byte, folded bool) (int, bool) {
	same := func(a byte) bool { return a == c || folded && fold(a) == fold(c) }
	switch pattern[0] {
	case '?':
		return 1, true
	case '\\':
		if len(pattern) > 1 {
			return 2, same(pattern[1])
		}
	case '[':
		if n, ok := class(pattern, c, folded); n > 0 {
			return n, ok
		}
	}
	return 1, same(pattern[0])
}

// class matches a bracket expression; its length is 0 if the bracket is not closed.
func class(pattern string, c byte, folded bool) (int, bool) {
	i, negative, found := 1, false, false
	if i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^') {
		negative = true
		i++
	}
	for first := true; i < len(pattern); first = false {
		if pattern[i] == ']' && !first {
			return i + 1, found != negative
		}
		if name, ok := strings.CutPrefix(pattern[i:], "[:"); ok {
			if end := strings.Index(name, ":]"); end >= 0 {
				found = found || inClass(name[:end], c) || folded && (inClass(name[:end], fold(c)) || inClass(name[:end], raise(c)))
				i += end + 4
				continue
			}
		}
		low, next := quotedByte(pattern, i)
		high := low
		if next+1 < len(pattern) && pattern[next] == '-' && pattern[next+1] != ']' {
			high, next = quotedByte(pattern, next+1)
		}
		found = found || low <= c && c <= high || folded && (low <= fold(c) && fold(c) <= high || low <= raise(c) && raise(c) <= high)
		i = next
	}
	return 0, false
}

func quotedByte(pattern string, i int) (byte, int) {
	if pattern[i] == '\\' && i+1 < len(pattern) {
		i++
	}
	return pattern[i], i + 1
}

func inClass(name string, c byte) bool {
	lowerCase, upperCase, digit := c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9'
	switch name {
	case "lower":
		return lowerCase
	case "upper":
		return upperCase
	case "digit":
		return digit
	case "alpha":
		return lowerCase || upperCase
	case "alnum":
		return lowerCase || upperCase || digit
	case "xdigit":
		return digit || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
	case "space":
		return c == ' ' || c >= '\t' && c <= '\r'
	case "blank":
		return c == ' ' || c == '\t'
	case "punct":
		return c > ' ' && c < 0x7f && !lowerCase && !upperCase && !digit
	case "print":
		return c >= ' ' && c < 0x7f
	case "graph":
		return c > ' ' && c < 0x7f
	case "cntrl":
		return c < ' ' || c == 0x7f
	}
	return false
}
