package main

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// config has the files that programs read at their start. The paths in them are
// those inside the cluster, which are the same for every cluster.
//
//go:embed config
var config embed.FS

// part is one program of the cluster.
type part struct {
	name string
	args []string
	// ready is a command that succeeds when the part answers; none means that
	// nobody has to wait for it.
	ready []string
}

// stages are all programs but the holder. Those of a stage start together, after
// those before them have said that they are ready. Each is found by its name, in
// bin/ or among Debian's programs.
func stages(c cgroup) [][]part {
	const pki = inside + "/pki/"
	kubeconfig := func(user string) string { return "--kubeconfig=" + inside + "/kubeconfig/" + user }
	// The only instance needs no election; tests do much at once.
	controller := []string{"--leader-elect=false", "--kube-api-qps=1000", "--kube-api-burst=2000"}
	return [][]part{{
		{name: "etcd", args: []string{
			"--data-dir=/var/lib/etcd", "--unsafe-no-fsync", "--log-level=warn",
			"--listen-client-urls=http://127.0.0.1:2379", "--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380", "--initial-advertise-peer-urls=http://127.0.0.1:2380",
			"--initial-cluster=default=http://127.0.0.1:2380",
		}},
		{name: "containerd", args: []string{"--config=" + inside + "/containerd.toml"}, ready: []string{"ctr", "version"}},
		{name: "kube-apiserver", args: []string{
			"--etcd-servers=http://127.0.0.1:2379", "--advertise-address=" + nodeAddress, "--allow-privileged",
			"--service-cluster-ip-range=" + serviceCIDR,
			"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
			"--client-ca-file=" + pki + "ca.crt", "--tls-cert-file=" + pki + "apiserver.crt", "--tls-private-key-file=" + pki + "apiserver.key",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file=" + pki + "service-accounts.key", "--service-account-signing-key-file=" + pki + "service-accounts.key",
			"--kubelet-certificate-authority=" + pki + "ca.crt", "--kubelet-preferred-address-types=InternalIP",
			"--kubelet-client-certificate=" + pki + "apiserver-client.crt", "--kubelet-client-key=" + pki + "apiserver-client.key",
		}, ready: []string{"kubectl", "get", "--raw=/readyz"}},
	}, {
		{name: "kube-controller-manager", args: append([]string{
			kubeconfig("kube-controller-manager"), "--use-service-account-credentials",
			"--service-account-private-key-file=" + pki + "service-accounts.key", "--root-ca-file=" + pki + "ca.crt",
			"--cluster-signing-cert-file=" + pki + "ca.crt", "--cluster-signing-key-file=" + pki + "ca.key",
			// It would make the default one on the machine.
			"--flex-volume-plugin-dir=/var/lib/kubelet/volume-plugins",
		}, controller...)},
		{name: "kube-scheduler", args: append([]string{kubeconfig("kube-scheduler")}, controller...)},
		{name: "kubelet", args: []string{
			"--config=" + inside + "/kubelet.yaml", kubeconfig("node"), "--hostname-override=" + nodeName, "--node-ip=" + nodeAddress,
			"--cgroup-root=/" + filepath.Base(c.unified),
		}, ready: []string{"kubectl", "get", "--raw=/api/v1/nodes/" + nodeName + "/proxy/healthz"}},
		{name: "kube-proxy", args: []string{
			kubeconfig("kube-proxy"), "--proxy-mode=nftables", "--cluster-cidr=" + podCIDR, "--hostname-override=" + nodeName,
			// The table of connections is the machine's, so its size is not ours to set.
			"--conntrack-max-per-core=0",
		}, ready: []string{"nft", "list", "table", "ip", "kube-proxy"}},
		{name: "netpold", args: []string{kubeconfig("admin"), "--node=" + nodeName}, ready: []string{"nft", "list", "table", "inet", "netpold"}},
	}}
}

// start starts the part inside, in a cgroup of its own, and does not wait for it.
func (p place) start(c cgroup, one part) error {
	dir, err := c.child(one.name)
	if err != nil {
		return err
	}
	defer dir.Close()
	// What an earlier start said stays: it may say why there has to be another.
	log, err := os.OpenFile(p.log(one.name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	// It outlives this command, and so its context.
	cmd := p.inside(context.Background(), c, append([]string{one.name}, one.args...)...)
	cmd.Args[0] = one.name // so that it is found from the first moment
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, UseCgroupFD: true, CgroupFD: int(dir.Fd())}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s: %w", one.name, err)
	}
	return cmd.Process.Release()
}

// inside is a command that runs in the cluster's namespaces, and outside its
// cgroup.
func (p place) inside(ctx context.Context, c cgroup, argv ...string) *exec.Cmd {
	dir, err := os.Getwd()
	if err != nil {
		dir = "/"
	}
	cmd := exec.CommandContext(ctx, "/proc/self/exe", append([]string{"enter", strconv.Itoa(c.find("holder")), dir}, argv...)...)
	cmd.Env = append(os.Environ(),
		"PATH="+inside+"/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:"+os.Getenv("PATH"),
		"KUBECONFIG="+inside+"/kubeconfig/admin", "RIPOSTE_CLUSTER="+p.name,
		// From in here no proxy can be reached, and nothing that needs one.
		"NO_PROXY=*", "no_proxy=*")
	return cmd
}

// wait returns when the command succeeds, and fails when the part has ended or
// the time is over.
func (p place) wait(ctx context.Context, c cgroup, part string, argv ...string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		out, err := p.inside(ctx, c, argv...).CombinedOutput()
		if err == nil {
			return nil
		}
		if c.find(part) == 0 {
			return fmt.Errorf("%s has ended:\n%s", part, logTail(p, part))
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %q: %w: %s\n%s", part, strings.Join(argv, " "), ctx.Err(), strings.TrimSpace(string(out)), logTail(p, part))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// logTail is the end of a part's log: where it says why it ended.
func logTail(p place, part string) string {
	text, err := os.ReadFile(p.log(part))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}
