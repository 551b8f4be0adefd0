package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// needed are Debian's programs, and the package that has each.
var needed = []struct{ program, pkg string }{
	{"containerd", "containerd"},
	{"containerd-shim-runc-v2", "containerd"},
	{"ctr", "containerd"},
	{"runc", "runc"},
	{"nft", "nftables"},
	{"ip", "iproute2"},
	{"/usr/lib/cni/ptp", "containernetworking-plugins"},
	{"/usr/lib/cni/host-local", "containernetworking-plugins"},
	{"/usr/lib/cni/loopback", "containernetworking-plugins"},
}

// lacks says everything that this machine does not have and the cluster needs,
// in one error, each with what to do about it.
func lacks(p place, c cgroup) error {
	if os.Geteuid() != 0 {
		return errors.New("a cluster needs root: it makes namespaces, mounts and cgroups")
	}
	var all []error
	missing := map[string]bool{}
	for _, n := range needed {
		if _, err := exec.LookPath(n.program); err != nil && !missing[n.pkg] {
			missing[n.pkg] = true
			all = append(all, fmt.Errorf("%s is not installed: apt-get install %s", n.program, n.pkg))
		}
	}
	if strings.HasPrefix(p.state, "/run/") {
		all = append(all, fmt.Errorf("%s is below /run, which the cluster has for itself: set RIPOSTE_CACHE to another folder", p.state))
	}
	if err := os.MkdirAll(p.state, 0o755); err != nil {
		return err
	}
	if err := tryNamespaces(p.state); err != nil {
		all = append(all, err)
	}
	if err := tryCgroup(c); err != nil {
		all = append(all, err)
	}
	all = append(all, tooSmall(p.state)...)
	if len(all) > 0 {
		return fmt.Errorf("this machine lacks something:\n%w", errors.Join(all...))
	}
	return nil
}

// unbuilt says which program of this repository is not there.
func unbuilt() error {
	for _, name := range []string{"RIPOSTE_KUBE", "RIPOSTE_NETPOLD"} {
		if _, err := os.Stat(os.Getenv(name)); err != nil {
			return fmt.Errorf("%s=%q is no program: start with deploy/cluster/cluster, which builds it", name, os.Getenv(name))
		}
	}
	return nil
}

// tryNamespaces mounts an overlay on the state's disk, in a mount namespace that
// ends with the command.
func tryNamespaces(state string) error {
	dir, err := os.MkdirTemp(state, "try-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, name := range []string{"lower", "upper", "work", "at"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return err
		}
	}
	out, err := exec.Command("unshare", "--mount", "--net", "true").CombinedOutput()
	if err != nil {
		return fmt.Errorf("a mount and a network namespace cannot be made (in a container? it needs --privileged): %s", tail(out))
	}
	out, err = exec.Command("unshare", "--mount", "--",
		"mount", "-t", "overlay", "overlay", "-o", fmt.Sprintf("lowerdir=%[1]s/lower,upperdir=%[1]s/upper,workdir=%[1]s/work", dir), filepath.Join(dir, "at")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("an overlay cannot be mounted on %s (modprobe overlay; or set RIPOSTE_CACHE to a folder on ext4 or xfs): %s", state, tail(out))
	}
	return nil
}

func tail(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return lines[len(lines)-1]
}

// tryCgroup looks for cgroup.kill in a cgroup of its own, since the root has none.
func tryCgroup(c cgroup) error {
	dir, err := os.MkdirTemp(filepath.Dir(c.unified), "riposte-try-")
	if err != nil {
		return fmt.Errorf("no cgroup can be made: %w", err)
	}
	defer os.Remove(dir)
	if _, err := os.Stat(filepath.Join(dir, "cgroup.kill")); err != nil {
		return errors.New("this kernel has no cgroup.kill: it needs Linux 5.14 or newer")
	}
	return nil
}

// tooSmall compares memory and disk with what an idle cluster takes.
func tooSmall(state string) (all []error) {
	const memory, disk = 1500, 2000 // MiB
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return []error{err}
	}
	for line := range strings.Lines(string(text)) {
		var kib int
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); n == 1 && kib>>10 < memory {
			all = append(all, fmt.Errorf("%d MiB of memory are free, a cluster takes %d", kib>>10, memory))
		}
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(state, &fs); err != nil {
		return append(all, err)
	}
	if free := int(fs.Bavail * uint64(fs.Bsize) >> 20); free < disk {
		all = append(all, fmt.Errorf("%d MiB are free in %s, a cluster takes %d", free, state, disk))
	}
	return all
}
