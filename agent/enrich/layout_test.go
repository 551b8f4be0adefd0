package enrich

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	hex64  = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	other  = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
	uid    = "2d6a3f0e-1b7c-4c7e-9a51-8f0f3f6f2b11"
	uid_   = "2d6a3f0e_1b7c_4c7e_9a51_8f0f3f6f2b11"
	static = "5f2b0f4b8d3c6a1e9d7c5b3a1f0e2d4c"
)

func TestParseCgroup(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, id, pod, dir string }{
		{path: "/"},
		{path: ""},
		{path: "/init.scope"},
		{path: "/system.slice/docker.service"},
		{path: "/user.slice/user-1000.slice/session-3.scope"},
		// Kubernetes with the cgroupfs driver.
		{"/kubepods/burstable/pod" + uid + "/" + hex64, hex64, uid, "/kubepods/burstable/pod" + uid + "/" + hex64},
		{"/kubepods/pod" + uid + "/" + hex64, hex64, uid, "/kubepods/pod" + uid + "/" + hex64},
		{"/kubepods/besteffort/pod" + static + "/" + hex64 + "/init", hex64, static, "/kubepods/besteffort/pod" + static + "/" + hex64},
		// Kubernetes with systemd: containerd, CRI-O, Docker.
		{
			"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uid_ + ".slice/cri-containerd-" + hex64 + ".scope", hex64, uid,
			"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + uid_ + ".slice/cri-containerd-" + hex64 + ".scope",
		},
		{
			"/kubepods.slice/kubepods-pod" + uid_ + ".slice/crio-" + hex64 + ".scope/container", hex64, uid,
			"/kubepods.slice/kubepods-pod" + uid_ + ".slice/crio-" + hex64 + ".scope",
		},
		{"/kubepods.slice/kubepods-pod" + static + ".slice/docker-" + hex64 + ".scope", hex64, static, "/kubepods.slice/kubepods-pod" + static + ".slice/docker-" + hex64 + ".scope"},
		// kubelet with systemd, containerd without.
		{
			"/system.slice/containerd.service/kubepods-besteffort-pod" + uid_ + ".slice:cri-containerd:" + hex64, hex64, uid,
			"/system.slice/containerd.service/kubepods-besteffort-pod" + uid_ + ".slice:cri-containerd:" + hex64,
		},
		// A pod's own cgroup holds no container, nor does the monitor's.
		{path: "/kubepods/burstable/pod" + uid, pod: uid},
		{path: "/kubepods.slice/kubepods-pod" + uid_ + ".slice/crio-conmon-" + hex64 + ".scope", pod: uid},
		{path: "/machine.slice/libpod-conmon-" + hex64 + ".scope"},
		// Without Kubernetes.
		{"/docker/" + hex64, hex64, "", "/docker/" + hex64},
		{"/system.slice/docker-" + hex64 + ".scope", hex64, "", "/system.slice/docker-" + hex64 + ".scope"},
		{"/machine.slice/libpod-" + hex64 + ".scope/container", hex64, "", "/machine.slice/libpod-" + hex64 + ".scope"},
		{"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + hex64 + ".scope", hex64, "", "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + hex64 + ".scope"},
		{"/riposte/" + hex64 + "/deep/er", hex64, "", "/riposte/" + hex64},
		// containerd by CRI where kubelet names no cgroup; CRI-O with cgroupfs; Bottlerocket, Talos and k3s are as the above.
		{"/k8s.io/" + hex64, hex64, "", "/k8s.io/" + hex64},
		{"/kubepods/besteffort/pod" + uid + "/crio-" + hex64, hex64, uid, "/kubepods/besteffort/pod" + uid + "/crio-" + hex64},
		{path: "/kubepods/besteffort/pod" + uid + "/crio-conmon-" + hex64, pod: uid},
		// A node that is a container itself, with kubelet's cgroups below its own (kind).
		{
			"/docker/" + other + "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod" + uid_ + ".slice/cri-containerd-" + hex64 + ".scope", hex64, uid,
			"/docker/" + other + "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod" + uid_ + ".slice/cri-containerd-" + hex64 + ".scope",
		},
		// Docker below a parent of the user's, and with systemd's names and another driver.
		{"/apps/web/" + hex64, hex64, "", "/apps/web/" + hex64},
		{"/apps.slice/docker-" + hex64 + ".scope/init", hex64, "", "/apps.slice/docker-" + hex64 + ".scope"},
		{"/system.slice:docker:" + hex64, hex64, "", "/system.slice:docker:" + hex64},
		{path: "/system.slice/containerd.service"},
		{path: "/docker/buildkit/3x8k2n4p5q6r7s8t9u0v1w2x3"},
		// Podman: of root and of a user, in a pod, split by a systemd service.
		{"/machine.slice/machine-libpod_pod_" + other + ".slice/libpod-" + hex64 + ".scope", hex64, "", "/machine.slice/machine-libpod_pod_" + other + ".slice/libpod-" + hex64 + ".scope"},
		{path: "/machine.slice/machine-libpod_pod_" + other + ".slice"},
		{
			"/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_" + other + ".slice/libpod-" + hex64 + ".scope/container", hex64, "",
			"/user.slice/user-1000.slice/user@1000.service/user.slice/user-libpod_pod_" + other + ".slice/libpod-" + hex64 + ".scope",
		},
		{"/libpod_parent/libpod-" + hex64, hex64, "", "/libpod_parent/libpod-" + hex64},
		{"/libpod_parent/" + other + "/libpod-" + hex64, hex64, "", "/libpod_parent/" + other + "/libpod-" + hex64},
		{"/system.slice/web.service/libpod-payload-" + hex64, hex64, "", "/system.slice/web.service/libpod-payload-" + hex64},
		{path: "/user.slice/user-1000.slice/user@1000.service/app.slice/podman-1234.scope"},
		// Seen from within another cgroup namespace.
		{"/../../kubepods/pod" + uid + "/" + hex64, hex64, uid, "/../../kubepods/pod" + uid + "/" + hex64},
		// Docker in Docker: the inner counts, though only the outer's runtime is ours.
		{"/docker/" + other + "/docker/" + hex64, hex64, "", "/docker/" + other + "/docker/" + hex64},
		// A cluster in Docker: the inner container counts.
		{
			"/docker/" + other + "/kubelet/kubepods/pod" + uid + "/" + hex64, hex64, uid,
			"/docker/" + other + "/kubelet/kubepods/pod" + uid + "/" + hex64,
		},
		// Nearly.
		{path: "/docker/" + hex64[1:]},
		{path: "/docker/" + hex64 + "0"},
		{path: "/docker/x" + hex64},
		{path: "/docker/" + strings.ToUpper(hex64)},
		{path: "/kubepods/pod" + uid[1:]},
		{path: "/x.slice/x-pod" + uid_ + ".slice"},
	} {
		dir, id, pod := splitCgroup(c.path)
		require.Equal(t, []string{c.dir, c.id, c.pod}, []string{dir, id, pod}, c.path)
		id, pod = ParseCgroup(c.path)
		require.Equal(t, []string{c.id, c.pod}, []string{id, pod}, c.path)
	}
}

func FuzzParseCgroup(f *testing.F) {
	f.Add("/kubepods/burstable/pod" + uid + "/" + hex64)
	f.Add("/a.slice:cri-containerd:" + hex64)
	f.Add("/kubepods.slice/kubepods-pod" + uid_ + ".slice/crio-" + hex64 + ".scope/container")
	f.Fuzz(func(t *testing.T, path string) {
		dir, id, pod := splitCgroup(path)
		require.Equal(t, id == "", dir == "")
		require.True(t, strings.HasPrefix(path, dir))
		if id != "" {
			require.Len(t, id, idLength)
			require.Contains(t, dir, id)
			_, again, pod2 := splitCgroup(dir)
			require.Equal(t, []string{id, pod}, []string{again, pod2})
		}
		require.Contains(t, []int{0, 32, 36}, len(pod))
	})
}

func TestCgroupMount(t *testing.T) {
	t.Parallel()
	const (
		proc   = "22 1 0:5 / /proc rw - proc proc rw\n"
		v1     = "30 1 0:26 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
		hybrid = "31 1 0:27 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw\n"
		usual  = "31 1 0:27 / /sys/fs/cgroup rw shared:10 master:1 - cgroup2 cgroup2 rw\n"
		own    = `31 1 0:27 / /my\040cgroups rw - cgroup2 none rw` + "\n"
		below  = "31 1 0:27 /../.. /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
		beside = "32 1 0:27 /../pod2 /mnt rw - cgroup2 cgroup2 rw\n"
		part   = "32 1 0:27 /docker /mnt rw - cgroup2 cgroup2 rw\n"
	)
	for text, want := range map[string]string{
		proc + v1:            "",
		proc + v1 + hybrid:   "/sys/fs/cgroup/unified",
		own + proc + usual:   "/sys/fs/cgroup",
		part + own:           "/my cgroups",
		part:                 "",
		beside + below:       "/sys/fs/cgroup", // from a cgroup namespace of its own
		beside:               "",
		"- cgroup2":          "",
		"1 2 3 / - cgroup2 ": "",
	} {
		got, ok := cgroupMount(text)
		require.Equal(t, want, got, text)
		require.Equal(t, want != "", ok)
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add("1 (init) S 0 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 7 0 0")
	f.Add("9 (a) (b) c) R 1 9 9 34816 9 4194560 0 0 0 0 0 0 0 0 20 0 1 0 1234 0 0")
	f.Add("9 )(")
	f.Fuzz(func(t *testing.T, line string) {
		if st, ok := parseStat(line); ok {
			require.Contains(t, line, st.comm)
		}
	})
}

func TestParseStat(t *testing.T) {
	t.Parallel()
	st, ok := parseStat("9 (a) (b) c) R 1 8 7 34816 9 4194560 0 0 0 0 0 0 0 0 20 0 1 0 1234 0 0\n")
	require.True(t, ok)
	require.Equal(t, stat{comm: "a) (b) c", ppid: 1, pgid: 8, sid: 7, tty: 34816, start: 12_340_000_000}, st)
	_, ok = parseStat("9 (a) R 1")
	require.False(t, ok)
}
