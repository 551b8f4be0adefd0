package syntax

// Nearest finds the name that was probably meant: the one with the fewest
// changed characters, or "" if none is close.
func Nearest(name string, candidates []string) string {
	const maxLen = 80
	if len(name) > maxLen {
		return ""
	}
	best, limit := "", max(1, len(name)/3)+1
	for _, c := range candidates {
		if len(c) > maxLen || len(c)-len(name) >= limit || len(name)-len(c) >= limit {
			continue
		}
		if d := distance(name, c); d < limit {
			best, limit = c, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of neighbours
// between two texts.
func distance(a, b string) int {
	before, prev, cur := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], before[j-2]+1)
			}
		}
		before, prev, cur = prev, cur, before
	}
	return prev[len(b)]
}
