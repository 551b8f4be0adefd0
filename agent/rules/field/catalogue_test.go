package field_test

import (
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
