package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNothingIsLeft: with a frozen container and an open shell inside, as after an
// accident.
func TestNothingIsLeft(t *testing.T) {
	needRoot(t)
	cluster(t, "down")
	eventually(t, "no cluster", func() bool {
		return !slices.ContainsFunc(leftovers(t), func(s string) bool { return strings.HasPrefix(s, "/proc/") })
	})
	before := leftovers(t)
	cluster(t, "up")
	pod(t, "default", "frozen", "[sleep]")
	uid := kubectl(t, "get", "pod", "frozen", "-o", "jsonpath={.metadata.uid}")
	freeze(t, uid)
	shell := exec.CommandContext(t.Context(), "../cluster", "run", "sh", "-c", "echo inside; exec sleep 1000")
	stdout, err := shell.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, shell.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "inside\n", line)

	cluster(t, "down")
	require.Error(t, shell.Wait(), "the shell ended with the cluster")
	// Killed is killed; but init may take a moment to bury the dead.
	eventually(t, "nothing is left", func() bool { return slices.Equal(before, leftovers(t)) })
	_, err = try(t, "", "status")
	require.Error(t, err)
	require.Contains(t, cluster(t, "down"), "down", "a second time is no error")
}

// leftovers are what a cluster could leave behind, in so far as it can be told
// from what else happens on the machine meanwhile.
func leftovers(t *testing.T) (all []string) {
	t.Helper()
	for _, pattern := range []string{
		"/sys/fs/cgroup/riposte-cluster-" + testCluster, "/sys/fs/cgroup/*/riposte-cluster-" + testCluster,
		"/run/netns/cni-*", "/run/riposte-cluster", "/run/cni-addresses", "/run/containerd/io.containerd.runtime.v2.task/k8s.io",
		"/var/lib/kubelet", "/var/lib/etcd", "/var/log/pods", "/var/log/containers", "/usr/libexec/kubernetes",
	} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		all = append(all, found...)
	}
	p, err := findPlace()
	require.NoError(t, err)
	mounts, err := os.ReadFile("/proc/self/mounts")
	require.NoError(t, err)
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, p.state) || strings.Contains(line, "kubelet") || strings.Contains(line, "cni-") {
			all = append(all, line)
		}
	}
	addresses, err := exec.CommandContext(t.Context(), "ip", "-oneline", "address").Output()
	require.NoError(t, err)
	for line := range strings.Lines(string(addresses)) {
		if strings.Contains(line, nodeAddress) || strings.Contains(line, "10.244.") {
			all = append(all, line)
		}
	}
	others, err := filepath.Glob("/sys/fs/cgroup/*/riposte-cluster-*")
	require.NoError(t, err)
	if len(others) == 0 { // or another cluster's kubelet has set them
		for _, name := range sysctls {
			value, err := os.ReadFile(filepath.Join("/proc/sys", name))
			require.NoError(t, err)
			all = append(all, name+"="+strings.TrimSpace(string(value)))
		}
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	require.NoError(t, err)
	for _, process := range processes {
		groups, _ := os.ReadFile(filepath.Join(process, "cgroup"))
		if strings.Contains(string(groups), "riposte-cluster-"+testCluster) {
			all = append(all, process)
		}
	}
	return all
}

// freeze stops all containers of a pod, by cgroup v1 if there is one: there not
// even SIGKILL would end them.
func freeze(t *testing.T, uid string) {
	t.Helper()
	p, err := findPlace()
	require.NoError(t, err)
	c, err := findCgroup(p)
	require.NoError(t, err)
	frozen := 0
	for _, dir := range append([]string{c.unified}, c.v1...) {
		walk(dir, func(dir string) {
			if !strings.Contains(dir, uid) {
				return
			}
			if os.WriteFile(filepath.Join(dir, "freezer.state"), []byte("FROZEN"), 0) == nil ||
				os.WriteFile(filepath.Join(dir, "cgroup.freeze"), []byte("1"), 0) == nil {
				frozen++
			}
		})
	}
	require.NotZero(t, frozen)
}

func TestUpTwiceStartsNothing(t *testing.T) {
	needUp(t)
	require.NotContains(t, cluster(t, "up"), "starting")
}

// TestTwoStartsAtOnce: the second waits for the first and finds all done.
func TestTwoStartsAtOnce(t *testing.T) {
	needRoot(t)
	cluster(t, "down")
	said := make(chan string, 2)
	for range 2 {
		go func() {
			out, err := exec.CommandContext(t.Context(), "../cluster", "up").CombinedOutput()
			said <- fmt.Sprint(string(out), err)
		}()
	}
	started := 0
	for range 2 {
		out := <-said
		require.True(t, strings.HasSuffix(out, "<nil>"), out)
		started += strings.Count(out, "starting etcd")
	}
	require.Equal(t, 1, started)
}

// TestUpStartsWhatWasKilled: and neither objects nor containers are lost by it.
func TestUpStartsWhatWasKilled(t *testing.T) {
	needUp(t)
	namespace(t, "repair", "x")
	pod(t, "repair", "witness", "[sleep]")
	const started = "jsonpath={.metadata.uid} {.status.containerStatuses[0].containerID} {.status.containerStatuses[0].restartCount}"
	before := kubectl(t, "-n", "repair", "get", "pod", "witness", "-o", started)
	p, err := findPlace()
	require.NoError(t, err)
	c, err := findCgroup(p)
	require.NoError(t, err)
	for _, stage := range stages(c) {
		for _, one := range stage {
			t.Run(one.name, func(t *testing.T) {
				kill(t, c, one.name)
				_, err := try(t, "", "status")
				require.Error(t, err)
				require.Contains(t, cluster(t, "up"), "starting "+one.name)
				require.Equal(t, before, kubectl(t, "-n", "repair", "get", "pod", "witness", "-o", started))
			})
		}
	}
	pod(t, "repair", "after", "[sleep]")
}

func TestUpBeginsAgainWithoutItsNamespaces(t *testing.T) {
	needUp(t)
	p, err := findPlace()
	require.NoError(t, err)
	c, err := findCgroup(p)
	require.NoError(t, err)
	kill(t, c, "holder")
	_, err = try(t, "", "kubectl", "get", "nodes")
	require.Error(t, err)
	require.Contains(t, cluster(t, "up"), "starting afresh")
	pod(t, "default", "after", "[sleep]")
}

// TestUpAfterHalfAStart kills the command itself at several points of a start.
func TestUpAfterHalfAStart(t *testing.T) {
	needRoot(t)
	for _, point := range []string{"starting etcd", "starting kube-apiserver", "starting kubelet"} {
		t.Run(point, func(t *testing.T) {
			cluster(t, "down")
			cmd := exec.CommandContext(t.Context(), "../cluster", "up")
			stderr, err := cmd.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			for lines := bufio.NewScanner(stderr); lines.Scan(); {
				if strings.Contains(lines.Text(), point) {
					break
				}
			}
			require.NoError(t, cmd.Process.Kill())
			_ = cmd.Wait()
			cluster(t, "up")
			pod(t, "default", "after", "[sleep]")
		})
	}
}

func TestDeploymentServiceExec(t *testing.T) {
	needUp(t)
	namespace(t, "shop", "x")
	pod(t, "shop", "client", "[sleep]")
	apply(t, `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: web, image: "riposte.local/probe:1", args: [serve, ":8080"]}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
`)
	kubectl(t, "-n", "shop", "rollout", "status", "deployment/web", "--timeout=60s")
	service := kubectl(t, "-n", "shop", "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
	eventually(t, "the Service answers a pod", func() bool {
		out, _ := try(t, "", "kubectl", "-n", "shop", "exec", "client", "--", "probe", "get", "http://"+service+"/")
		return strings.Contains(out, "hello from web-")
	})

	eventually(t, "and by its name", func() bool {
		out, _ := try(t, "", "kubectl", "-n", "shop", "exec", "client", "--", "probe", "get", "http://web.shop.svc.cluster.local/")
		return strings.Contains(out, "hello from web-")
	})

	victim := strings.Fields(kubectl(t, "-n", "shop", "get", "pods", "-l", "app=web", "-o", "jsonpath={.items[*].metadata.name}"))[0]
	kubectl(t, "-n", "shop", "delete", "pod", victim)
	kubectl(t, "-n", "shop", "wait", "--for=jsonpath={.status.readyReplicas}=2", "deployment/web", "--timeout=60s")
	require.Contains(t, kubectl(t, "-n", "shop", "exec", "client", "--", "sh", "-c", "echo a shell runs"), "a shell runs")
	require.NotContains(t, kubectl(t, "-n", "shop", "get", "pods"), victim)
}

// TestPodsAreWhereAnAgentLooks: in the unified hierarchy, by pod and container.
func TestPodsAreWhereAnAgentLooks(t *testing.T) {
	needUp(t)
	namespace(t, "look", "x")
	pod(t, "look", "one", "[sleep]")
	uid := kubectl(t, "-n", "look", "get", "pod", "one", "-o", "jsonpath={.metadata.uid}")
	container := strings.TrimPrefix(kubectl(t, "-n", "look", "get", "pod", "one", "-o", "jsonpath={.status.containerStatuses[0].containerID}"), "containerd://")
	groups := strings.Split(kubectl(t, "-n", "look", "exec", "one", "--", "cat", "/proc/self/cgroup"), "\n")
	i := slices.IndexFunc(groups, func(line string) bool { return strings.HasPrefix(line, "0::") })
	require.GreaterOrEqual(t, i, 0, groups)
	require.Equal(t, "0::/riposte-cluster-test/kubepods/besteffort/pod"+uid+"/"+container, groups[i])
	require.Contains(t, cluster(t, "run", "ctr", "-n", "k8s.io", "containers", "ls"), container, "containerd is at its usual socket")
}

func TestDownFromInsideIsRefused(t *testing.T) {
	needUp(t)
	out, err := try(t, "", "run", "../cluster", "down")
	require.Error(t, err)
	require.Contains(t, out, "leave it first")
	cluster(t, "status")
}

func TestRunHasTheCommandsExitStatus(t *testing.T) {
	needUp(t)
	_, err := try(t, "", "run", "sh", "-c", "exit 7")
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 7, exit.ExitCode())
}

func TestWhatTheMachineLacksIsSaid(t *testing.T) {
	needRoot(t)
	node := strings.TrimSpace(output(t, nil, nil, "../build.sh", "node"))
	env := func(more ...string) []string {
		return append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "RIPOSTE_CLUSTER=lacks"}, more...)
	}
	out := output(t, env("PATH=/nowhere"), nil, node, "up")
	for _, want := range []string{"apt-get install containerd", "apt-get install nftables", "RIPOSTE_KUBE"} {
		require.Contains(t, out, want)
	}
	require.Contains(t, output(t, env("RIPOSTE_CACHE=/run/riposte-cache"), nil, node, "up"), "set RIPOSTE_CACHE")
	require.NoError(t, os.RemoveAll("/run/riposte-cache"))
	require.Contains(t, output(t, env("RIPOSTE_CLUSTER=../x"), nil, node, "up"), "a name is at most")

	// Another user reaches neither the cache of root nor this folder.
	dir, err := os.MkdirTemp("", "cluster-test-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o777))
	program, err := os.ReadFile(node)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "node"), program, 0o755))
	nobody := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	require.Contains(t, output(t, env("RIPOSTE_CACHE="+dir), nobody, filepath.Join(dir, "node"), "up"), "needs root")
}

func output(t *testing.T, env []string, attr *syscall.SysProcAttr, argv ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Env, cmd.SysProcAttr = env, attr
	if attr != nil {
		cmd.Dir = "/"
	}
	out, _ := cmd.CombinedOutput()
	return string(out)
}

// kill ends one program, without those that it has started.
func kill(t *testing.T, c cgroup, name string) {
	t.Helper()
	pid := c.find(name)
	require.NotZero(t, pid, "%s does not run", name)
	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	eventually(t, name+" is gone", func() bool { return c.find(name) != pid })
}
