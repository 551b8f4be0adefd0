package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// up starts what does not run and returns when the node is ready for pods.
func up(ctx context.Context, p place, images []string) error {
	begin := time.Now()
	if err := os.MkdirAll(p.state, 0o755); err != nil {
		return err
	}
	c, err := findCgroup(p)
	if err != nil {
		return err
	}
	unlock, err := lock(ctx, p)
	if err != nil {
		return err
	}
	defer unlock()
	if !p.made(c) {
		// A running cluster has its memory and its disk already.
		if err := errors.Join(lacks(p, c), unbuilt()); err != nil {
			return err
		}
		if c.exists() {
			say("what is there is the rest of another start, or of another build: starting afresh")
		}
		if err := p.make(ctx, c); err != nil {
			return err
		}
	}
	if err := p.startParts(ctx, c, images); err != nil {
		return err
	}
	for _, until := range [][]string{
		{"wait", "--for=create", "node/" + nodeName, "--timeout=60s"},
		{"wait", "--for=condition=Ready", "node/" + nodeName, "--timeout=60s"},
		// A pod before it would be refused.
		{"wait", "--for=create", "serviceaccount/default", "--namespace=default", "--timeout=60s"},
		{"apply", "--filename=" + inside + "/dns.yaml"},
		{"rollout", "status", "deployment/coredns", "--namespace=kube-system", "--timeout=60s"},
	} {
		if err := p.wait(ctx, c, "kubelet", append([]string{"kubectl"}, until...)...); err != nil {
			return err
		}
	}
	say("up after %.1f s; try: make cluster-status, make cluster-shell", time.Since(begin).Seconds())
	return nil
}

// check says what up would lack, before anybody builds for a quarter of an hour.
func check(p place) error {
	c, err := findCgroup(p)
	if err != nil {
		return err
	}
	if c.find("holder") != 0 {
		return nil
	}
	return lacks(p, c)
}

// startParts starts each part that does not run, in the order of the stages.
func (p place) startParts(ctx context.Context, c cgroup, images []string) error {
	for number, stage := range stages(c) {
		for _, one := range stage {
			if c.find(one.name) != 0 {
				continue
			}
			say("starting %s", one.name)
			if err := p.start(c, one); err != nil {
				return err
			}
		}
		for _, one := range stage {
			if one.ready == nil {
				continue
			}
			if err := p.wait(ctx, c, one.name, one.ready...); err != nil {
				return err
			}
		}
		if number == 0 {
			// Before the kubelet: it needs the image of pause for every pod.
			if err := p.importImages(ctx, c, images); err != nil {
				return err
			}
		}
	}
	return nil
}

// programs are what this cluster was started with; another build is another cluster.
func programs() string { return os.Getenv("RIPOSTE_KUBE") + "\n" + os.Getenv("RIPOSTE_NETPOLD") + "\n" }

// made says whether the namespaces are there, whole, and of the same build.
func (p place) made(c cgroup) bool {
	text, err := os.ReadFile(p.file("made"))
	return err == nil && string(text) == programs() && c.find("holder") != 0
}

// make begins a new cluster: its folders, keys, configuration and namespaces. What
// was there of an earlier one goes.
func (p place) make(ctx context.Context, c cgroup) error {
	if err := p.clear(ctx, c); err != nil {
		return err
	}
	for _, dir := range []string{"bin", "cni", "containerd", "etcd", "kubeconfig", "kubelet", "log", "pki"} {
		if err := os.MkdirAll(p.file(dir), 0o700); err != nil {
			return err
		}
	}
	for name, from := range map[string]string{
		"kubelet.yaml":         "config/kubelet.yaml",
		"dns.yaml":             "config/dns.yaml",
		"containerd.toml":      "config/containerd.toml",
		"cni/10-pods.conflist": "config/10-pods.conflist",
	} {
		text, err := config.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.WriteFile(p.file(name), text, 0o644); err != nil {
			return err
		}
	}
	links := map[string]string{"netpold": os.Getenv("RIPOSTE_NETPOLD")}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"} {
		links[name] = os.Getenv("RIPOSTE_KUBE")
	}
	for name, program := range links {
		if err := os.Symlink(program, p.file("bin", name)); err != nil {
			return err
		}
	}
	if err := makeKeys(p); err != nil {
		return err
	}
	if err := keepSysctls(); err != nil {
		return err
	}
	if err := c.create(); err != nil {
		return fmt.Errorf("cgroup: %w", err)
	}
	if err := startHolder(ctx, p, c); err != nil {
		return err
	}
	// The last step: without this file, the next start begins here again.
	return os.WriteFile(p.file("made"), []byte(programs()), 0o644)
}

// clear ends the processes and removes every file but those of kept folders.
func (p place) clear(ctx context.Context, c cgroup, kept ...string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := c.kill(ctx); err != nil {
		return err
	}
	entries, err := os.ReadDir(p.state)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if slices.Contains(kept, e.Name()) {
			continue
		}
		if err := os.RemoveAll(p.file(e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// lock waits for other commands that change a cluster of this machine.
func lock(ctx context.Context, p place) (unlock func(), err error) {
	dir, err := os.Open(filepath.Dir(p.state))
	if err != nil {
		return nil, err
	}
	for told := false; ; {
		err := unix.Flock(int(dir.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = dir.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			return nil, err
		}
		if !told {
			say("another command is at work, waiting for it")
			told = true
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// importImages loads archives into containerd, under the names that they carry.
func (p place) importImages(ctx context.Context, c cgroup, archives []string) error {
	for _, name := range archives {
		archive, err := os.Open(name)
		if err != nil {
			return err
		}
		cmd := p.inside(ctx, c, "ctr", "--namespace=k8s.io", "images", "import", "-")
		cmd.Stdin = archive
		out, err := cmd.CombinedOutput()
		_ = archive.Close()
		if err != nil {
			return fmt.Errorf("%s: %w: %s", name, err, tail(out))
		}
	}
	return nil
}

// load is importImages for a user.
func load(ctx context.Context, p place, archives []string) error {
	if len(archives) == 0 {
		return errors.New("load which image? name at least one archive")
	}
	c, err := running(p)
	if err != nil {
		return err
	}
	return p.importImages(ctx, c, archives)
}

var errNotUp = errors.New("the cluster is not up: make cluster-up")

// running finds the cluster, if it runs.
func running(p place) (cgroup, error) {
	c, err := findCgroup(p)
	if err == nil && c.find("holder") == 0 {
		err = errNotUp
	}
	return c, err
}

// run becomes a command inside. It is in the cluster's cgroup, so that a shell
// that is left open does not keep the namespaces after "down".
func run(ctx context.Context, p place, argv ...string) error {
	c, err := running(p)
	if err != nil {
		return err
	}
	cmd := p.inside(ctx, c, argv...)
	dir, err := c.child("run")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir.Name(), "cgroup.procs"), []byte("0"), 0); err != nil {
		return err
	}
	return unix.Exec("/proc/self/exe", cmd.Args, cmd.Env)
}
