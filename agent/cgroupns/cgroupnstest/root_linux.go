package cgroupnstest

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// Root finds where the cgroup v2 tree is mounted. Without it, or without the rights to
// make cgroups, it ends the test.
func Root(t testing.TB) string {
	t.Helper()
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		var st unix.Statfs_t
		if unix.Statfs(dir, &st) == nil && st.Type == unix.CGROUP2_SUPER_MAGIC && os.Geteuid() == 0 {
			return dir
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs root and a cgroup v2 tree")
	}
	t.Skip("needs root and a cgroup v2 tree")
	return ""
}
