package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"riposte/agent"
	"riposte/agent/enrich/runtime/runtimetest"
	"riposte/agent/publish"
)

const checkRules = `
- rule: A check
  desc: what a runtime or kubelet starts to see whether a container is well
  condition: >
    evt.type in (execve, execveat) and evt.failed = false and
    (proc.is_container_healthcheck = true or proc.is_container_liveness_probe = true or proc.is_container_readiness_probe = true)
  output: check (%proc.exe %proc.args health=%proc.is_container_healthcheck live=%proc.is_container_liveness_probe ready=%proc.is_container_readiness_probe)
  priority: NOTICE
- rule: No check
  desc: any other program of a container
  condition: evt.type in (execve, execveat) and evt.failed = false and container.id != host and proc.vpid exists
  output: program (%proc.exe %proc.args)
  priority: NOTICE
`

// TestChecks are a real health check of Docker and probes as kubelet starts them. The
// container's own first process, with the same command line, is none.
func TestChecks(t *testing.T) {
	skipWithoutCapture(t)
	docker, containerd := runtimetest.Docker(t), runtimetest.Containerd(t)
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(checkRules), 0o600))
	out := &lines{}
	start(t, agent.Options{
		RuleFiles: []string{file}, DataDir: t.TempDir(), Output: out, Encoding: publish.Encoding{Format: publish.JSON, Riposte: true},
		Containers: &agent.Containers{CRI: []string{containerd.Socket}, Docker: []string{docker.Socket}, Wait: 5 * time.Second},
	})
	// The agent attaches when it starts; it is at work when it has told of this one.
	ready := strings.TrimSpace(docker.Docker("run", "-d", "--network=none", runtimetest.Image))
	out.of(t, "No check", ready, 1)
	docker.Docker("rm", "-f", ready)

	web := strings.TrimSpace(docker.Docker("run", "-d", "--network=none", "-v", "/bin:/bin:ro", "-v", "/lib:/lib:ro", "-v", "/lib64:/lib64:ro",
		"--health-cmd", "exit 0", "--health-interval", "1s", runtimetest.Image))
	require.Contains(t, out.of(t, "A check", web, 2)[1].Output, "(/bin/sh -c exit 0 health=true live=false ready=false)")
	docker.Docker("rm", "-f", web)

	pod := containerd.RunPod(t, "probed", func(c *cri.PodSandboxConfig) {
		c.Annotations = map[string]string{"kubectl.kubernetes.io/last-applied-configuration": `{"kind":"Pod","spec":{"containers":[
			{"name":"other","livenessProbe":{"exec":{"command":["/tiny","/none"]}}},
			{"name":"app","livenessProbe":{"exec":{"command":["/tiny","/etc/group"]}},"readinessProbe":{"exec":{"command":["/tiny","/etc/passwd"]}}}]}}`}
		c.Linux.SecurityContext.NamespaceOptions.Pid = cri.NamespaceMode_CONTAINER // as kubelet has it
	})
	id := pod.Create(t, &cri.ContainerConfig{
		Metadata: &cri.ContainerMetadata{Name: "app"}, Labels: pod.Config.GetLabels(), Args: []string{"/etc/group"},
		Linux: &cri.LinuxContainerConfig{SecurityContext: &cri.LinuxContainerSecurityContext{NamespaceOptions: &cri.NamespaceOption{
			Network: cri.NamespaceMode_NODE, Pid: cri.NamespaceMode_CONTAINER,
		}}},
	})
	pod.Start(t, id)
	require.Contains(t, out.of(t, "No check", id, 1)[0].Output, "(/tiny /etc/group)", "its own first process is none")
	for i, c := range []struct{ file, want string }{{"/etc/group", "live=true ready=false"}, {"/etc/passwd", "live=false ready=true"}} {
		pod.Exec(t, id, "/tiny", c.file)
		require.Contains(t, out.of(t, "A check", id, i+1)[i].Output, "(/tiny "+c.file+" health=false "+c.want+")")
	}
	before := len(out.of(t, "No check", id, 1))
	pod.Exec(t, id, "/tiny", "/none")
	require.Contains(t, out.of(t, "No check", id, before+1)[before].Output, "(/tiny /none)", "the probe of another container is none here")
}

// The built-in rules are loaded before files of one's own, where those say so.
func TestEmbeddedRulesComeFirst(t *testing.T) {
	own := rulesFile(t, "- rule: Mine\n  desc: x\n  condition: evt.type = open\n  output: x\n  priority: INFO\n")
	count := func(files ...string) int {
		set, _, err := (&agent.Options{RuleFiles: files}).LoadRules()
		require.NoError(t, err, files)
		return len(set.Rules())
	}
	require.Equal(t, count()+1, count(agent.EmbeddedRules, own))
	require.Equal(t, count(), count(agent.EmbeddedRules))
	require.Equal(t, 1, count(own))
	_, _, err := (&agent.Options{RuleFiles: []string{own, agent.EmbeddedRules}}).LoadRules()
	require.ErrorContains(t, err, "embedded: no such file", "anywhere else it is a file's name")
}
