package command

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api"
)

func TestRanges(t *testing.T) {
	for want, lines := range map[string][]int{"": nil, "3": {3}, "3-4": {3, 4}, "1, 3-5, 9": {1, 3, 4, 5, 9}} {
		require.Equal(t, want, ranges(lines))
	}
}

func TestWordsAboutTests(t *testing.T) {
	for want, c := range map[string]api.PlaybookCoverage{
		"cannot run: x": {Error: "x"}, "1 of 2 fail": {Tests: 2, Failed: 1}, "none are loaded": {}, "1 test, all pass": {Tests: 1},
	} {
		require.Equal(t, want, testsOf(c))
	}
}
