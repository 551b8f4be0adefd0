package server

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHasNUL(t *testing.T) {
	for text, want := range map[string]bool{
		`{"a":"\u0000"}`: true, `{"a":"x\\\u0000"}`: true, `{"\u0000":1}`: true, `"\u0000`: true,
		`{"a":"\\u0000"}`: false, `{"a":"\u0001"}`: false, `{"a":"u0000"}`: false, `\u000`: false, ``: false,
	} {
		require.Equal(t, want, hasNUL([]byte(text)), text)
	}
}
