package rules_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/rules"
)

// officialFiles are Falco's own rule files, which are no part of this project.
func officialFiles(t testing.TB) []rules.File {
	dir := os.Getenv("RIPOSTE_FALCO_RULES")
	if dir == "" {
		t.Skip("RIPOSTE_FALCO_RULES does not name the folder of Falco's official rule files")
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, names, "no rule files in %s", dir)
	var files []rules.File
	for _, name := range names {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		files = append(files, rules.File{Name: filepath.Base(name), Content: content})
	}
	return files
}

func TestOfficialFilesLoad(t *testing.T) {
	files := officialFiles(t)
	load := func(t *testing.T, files ...rules.File) {
		rs, err := rules.Load(files...)
		require.NoError(t, err)
		require.Empty(t, rs.Warnings)
		require.NotZero(t, rs.Len())
		for _, r := range rs.Rules() {
			require.NotEmpty(t, r.EventTypes, r.Name)
			require.Less(t, len(r.EventTypes), 20, r.Name)
		}
	}
	for _, f := range files {
		t.Run(f.Name, func(t *testing.T) { load(t, f) })
	}
	t.Run("together", func(t *testing.T) { load(t, files...) })
}
