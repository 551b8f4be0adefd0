package chart_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	readme = folder + "/README.md"
	begin  = "<!-- Values: made from values.yaml by \"make chart-docs\". -->\n"
)

// The README has a line for each value, with its default and the comment that begins
// with two dashes; a value without such a comment is part of the one above it.
func TestReadme(t *testing.T) {
	b, err := os.ReadFile(folder + "/values.yaml")
	require.NoError(t, err)
	var document yaml.Node
	require.NoError(t, yaml.Unmarshal(b, &document))
	var table strings.Builder
	table.WriteString(begin + "| Value | Default | Meaning |\n| --- | --- | --- |\n")
	values(t, &table, "", document.Content[0])

	text, err := os.ReadFile(readme)
	require.NoError(t, err)
	before, _, found := bytes.Cut(text, []byte(begin))
	require.True(t, found, "the line before the table is missing")
	want := string(before) + table.String()
	if *update {
		require.NoError(t, os.WriteFile(readme, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(text), "run make chart-docs")
}

func values(t *testing.T, w *strings.Builder, prefix string, n *yaml.Node) {
	t.Helper()
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		name := prefix + key.Value
		lines := strings.Split(key.HeadComment, "\n")
		meaning, described := strings.CutPrefix(lines[len(lines)-1], "# -- ")
		if !described {
			require.Equal(t, yaml.MappingNode, value.Kind, "%s has no comment that begins with two dashes", name)
			require.NotEmpty(t, value.Content, "%s has no comment that begins with two dashes", name)
			values(t, w, name+".", value)
			continue
		}
		var v any
		require.NoError(t, value.Decode(&v))
		b, err := json.Marshal(v)
		require.NoError(t, err)
		fmt.Fprintf(w, "| `%s` | `%s` | %s |\n", name, b, strings.ReplaceAll(meaning, "|", "\\|"))
	}
}
