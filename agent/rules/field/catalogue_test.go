package field_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/rules/field"
)

// TestClassesAreComplete compares the sizes with those of Falco's own classes.
func TestClassesAreComplete(t *testing.T) {
	sizes := map[string]int{}
	for _, c := range field.Classes() {
		sizes[c.Name] = len(c.Fields)
	}
	require.Equal(t, map[string]int{
		"evt": 18, "syscall": 58, "process": 90, "user": 6, "group": 2, "fd": 46, "fs.path": 6, "fdlist": 6, "util": 1,
		"container": 61, "k8smeta": 25, "k8saudit": 60, "riposte": 2,
	}, sizes)
}

func TestReferenceIsCurrent(t *testing.T) {
	var want bytes.Buffer
	require.NoError(t, field.WriteReference(&want))
	got, err := os.ReadFile("../../../docs/fields.md")
	require.NoError(t, err)
	require.Equal(t, want.String(), string(got), "run: go generate ./agent/rules/field")
}
