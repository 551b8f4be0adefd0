package sandbox_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/deploy/standalone/sandbox"
)

func TestMain(m *testing.M) {
	sandbox.Init()
	os.Exit(m.Run())
}

// cgroupRoot finds the cgroup v2 mount from the kernel's own list.
func cgroupRoot(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI must run this test as root")
		}
		t.Skip("a sandbox needs root")
	}
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup2" {
			return f[1]
		}
	}
	t.Fatal("no cgroup v2 mount")
	return ""
}

func TestSandboxIsAContainer(t *testing.T) {
	root := cgroupRoot(t)
	before, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	s, err := sandbox.Start(sandbox.Options{Root: root, Cgroup: sandbox.Drills})
	require.NoError(t, err)
	dir := filepath.Join(root, fmt.Sprintf(sandbox.Drills, s.ID))

	require.Len(t, s.ID, 64)
	n, err := s.Processes()
	require.NoError(t, err)
	require.Equal(t, 1, n)
	procs, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	require.NoError(t, err)
	pid := strings.TrimSpace(string(procs))
	for _, ns := range []string{"mnt", "pid", "net", "uts", "ipc"} {
		theirs, err := os.Readlink("/proc/" + pid + "/ns/" + ns)
		require.NoError(t, err)
		ours, err := os.Readlink("/proc/self/ns/" + ns)
		require.NoError(t, err)
		require.NotEqual(t, ours, theirs, ns)
	}
	shadow, err := os.ReadFile("/proc/" + pid + "/root/etc/shadow")
	require.NoError(t, err)
	require.Equal(t, "root:!:20000:0:99999:7:::\n", string(shadow), "the sandbox's own, not the machine's")
	status, err := os.ReadFile("/proc/" + pid + "/status")
	require.NoError(t, err)
	require.Contains(t, string(status), "CapEff:\t0000000000000000")

	require.NoError(t, s.Type("exit 3"))
	select {
	case <-s.Exited():
	case <-time.After(10 * time.Second):
		t.Fatal("the shell did not take the line")
	}
	require.False(t, s.Killed())
	require.NoError(t, s.Close())
	require.NoDirExists(t, dir)
	require.NoDirExists(t, filepath.Dir(dir), "the slice goes with the last drill")
	after, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	require.Equal(t, string(before), string(after), "no mount shows outside")
}

func TestKilledSaysHowItEnded(t *testing.T) {
	root := cgroupRoot(t)
	s, err := sandbox.Start(sandbox.Options{Root: root, Cgroup: sandbox.Drills})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	require.NoError(t, os.WriteFile(filepath.Join(root, fmt.Sprintf(sandbox.Drills, s.ID), "cgroup.kill"), []byte("1"), 0))
	<-s.Exited()
	require.True(t, s.Killed())
}

func TestACgroupThatCannotBeMadeIsNamed(t *testing.T) {
	_, err := sandbox.Start(sandbox.Options{Root: "/proc/nowhere", Cgroup: sandbox.Drills})
	require.ErrorContains(t, err, "make the sandbox's cgroup")
}
