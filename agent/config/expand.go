package config

import "strings"

// expand replaces ${NAME} by the environment's value, nothing if it is not set;
// missing names those. "$${NAME}" stands for "${NAME}". What is put in is not
// looked at again: a value cannot bring in a further variable.
func expand(s string, lookup func(string) (string, bool)) (out string, missing []string) {
	if !strings.Contains(s, "${") {
		return s, nil
	}
	var b strings.Builder
	for {
		i := strings.Index(s, "${")
		if i < 0 {
			break
		}
		end := strings.IndexByte(s[i:], '}')
		if end < 0 {
			break // there is no end: it stays as it is
		}
		name := s[i+2 : i+end]
		if strings.HasSuffix(s[:i], "$") {
			b.WriteString(s[:i-1])
			b.WriteString(s[i : i+end+1])
		} else {
			b.WriteString(s[:i])
			value, ok := lookup(name)
			if !ok {
				missing = append(missing, name)
			}
			b.WriteString(value)
		}
		s = s[i+end+1:]
	}
	b.WriteString(s)
	return b.String(), missing
}
