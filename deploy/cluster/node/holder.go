package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// startHolder starts the process that keeps the namespaces open, and returns when
// they are furnished.
func startHolder(ctx context.Context, p place, c cgroup) error {
	dir, err := c.child("holder")
	if err != nil {
		return err
	}
	defer dir.Close()
	log, err := os.Create(p.log("holder"))
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command("/proc/self/exe", "hold", p.state)
	cmd.Args[0] = "holder"
	cmd.Stderr = log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWNET, Setsid: true,
		UseCgroupFD: true, CgroupFD: int(dir.Fd()),
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("namespaces: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	if line, _ := bufio.NewReader(stdout).ReadString('\n'); line != "ready\n" {
		_ = cmd.Wait()
		return fmt.Errorf("namespaces: %s", logTail(p, "holder"))
	}
	return cmd.Process.Release()
}

// hold is the holder: it furnishes its new namespaces, says "ready" on standard
// output and waits for its end.
func hold(state string) int {
	// Terminals' signals do not reach it (a session of its own); SIGTERM does.
	if err := errors.Join(furnish(state), network()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("ready")
	_ = os.Stdout.Close()
	for {
		unix.Pause()
	}
}

// furnish lays the cluster's own folders over the machine's. Nothing that is
// mounted or written there is seen outside, and all of it goes with the namespace:
// what pods keep on their node below /var, too.
func furnish(state string) error {
	// /var may hold the state: what is laid over it must not hide that.
	kept, err := os.Open(state)
	if err != nil {
		return err
	}
	defer kept.Close()
	own := fmt.Sprintf("/proc/self/fd/%d", kept.Fd())

	steps := []struct {
		what, source, target, fstype string
		flags                        uintptr
		data                         string
	}{
		{"private mounts", "none", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{"shared mounts", "none", "/", "", unix.MS_REC | unix.MS_SHARED, ""},
		{"/run", "tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
		{"layers of /var", "tmpfs", "/run/var", "tmpfs", 0, "mode=755"},
		{"/var", "overlay", "/var", "overlay", 0, "lowerdir=/var,upperdir=/run/var/upper,workdir=/run/var/work"},
		{"the state", own, inside, "", unix.MS_BIND, ""},
		// On the disk: containerd's snapshots cannot lie on another overlay.
		{"etcd's data", own + "/etcd", "/var/lib/etcd", "", unix.MS_BIND, ""},
		{"containerd's data", own + "/containerd", "/var/lib/containerd", "", unix.MS_BIND, ""},
		{"kubelet's data", own + "/kubelet", "/var/lib/kubelet", "", unix.MS_BIND, ""},
		{"bpf", "bpf", "/sys/fs/bpf", "bpf", 0, "mode=700"},
	}
	for _, s := range steps {
		if strings.HasPrefix(s.target, "/run/") || strings.HasPrefix(s.target, "/var/lib/") {
			if err := os.MkdirAll(s.target, 0o755); err != nil {
				return err
			}
		}
		if s.fstype == "overlay" {
			for _, dir := range []string{"upper", "work"} {
				if err := os.Mkdir(filepath.Join("/run/var", dir), 0o755); err != nil {
					return err
				}
			}
		}
		if err := unix.Mount(s.source, s.target, s.fstype, s.flags, s.data); err != nil {
			return fmt.Errorf("mount %s: %w", s.what, err)
		}
	}
	// Debian's iptables and nftables keep their lock here, CNI its namespaces.
	return errors.Join(os.MkdirAll("/run/lock", 0o1777), os.MkdirAll("/run/netns", 0o755))
}

// network gives the node its address. There is no way out: no other link and no
// default route.
func network() error {
	for _, args := range []string{
		"link set lo up",
		"addr add " + nodeAddress + "/32 dev lo",
		// So that the node itself, not its pods alone, reaches Services.
		"route add " + serviceCIDR + " dev lo src " + nodeAddress,
	} {
		if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", args, err, out)
		}
	}
	// Both belong to the namespace.
	return errors.Join(
		os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0),
		os.WriteFile("/proc/sys/net/ipv4/conf/all/route_localnet", []byte("1"), 0),
	)
}

// enter becomes a program in the namespaces of the holder, in the folder dir if
// there is one of that name inside.
func enter(holder, dir string, argv []string) error {
	var pid int
	if _, err := fmt.Sscan(holder, &pid); err != nil {
		return err
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return fmt.Errorf("the cluster's namespaces: %w", err)
	}
	// A mount namespace can be entered by a thread that shares its root and working
	// directory with no other; exec ends the others.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	if err := unix.Setns(fd, unix.CLONE_NEWNS|unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("the cluster's namespaces: %w", err)
	}
	if os.Chdir(dir) != nil {
		if err := os.Chdir("/"); err != nil {
			return err
		}
	}
	program, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", program, unix.Exec(program, argv, os.Environ()))
}
