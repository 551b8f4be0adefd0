//go:build linux

package agent_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"

	"riposte/agent"
	"riposte/agent/alert"
	"riposte/agent/capture"
	"riposte/agent/enrich"
	"riposte/agent/enrich/runtime/runtimetest"
	"riposte/agent/publish"
)

// lines collects alerts from an output.
type lines struct {
	mu  sync.Mutex
	all []alert.Alert
}

func (l *lines) Write(b []byte) (int, error) {
	var a alert.Alert
	if err := json.Unmarshal(b, &a); err != nil {
		return 0, err
	}
	l.mu.Lock()
	l.all = append(l.all, a)
	l.mu.Unlock()
	return len(b), nil
}

// of waits for the alerts of a rule about a container.
func (l *lines) of(t *testing.T, rule, id string, n int) []alert.Alert {
	t.Helper()
	var found []alert.Alert
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		found = nil
		for _, a := range l.all {
			if a.Rule == rule && a.Riposte.Container != nil && a.Riposte.Container.ID == id {
				found = append(found, a)
			}
		}
		return len(found) >= n
	}, 30*time.Second, 10*time.Millisecond, "no alert of %q about %s", rule, id)
	return found
}

const containerRules = `
- rule: Program in the tiny image
  desc: the first program of a container, known by its image and user
  condition: evt.type in (execve, execveat) and evt.failed = false and container.image.repository = riposte.test:5000/tools/tiny and proc.exepath = /tiny
  output: tiny (name=%container.name tag=%container.image.tag user=%user.name pod=%k8s.pod.name ns=%k8s.ns.name)
  priority: NOTICE
- rule: Program in a foreign image
  desc: what a rule about images says while it knows none
  condition: evt.type in (execve, execveat) and evt.failed = false and container.id != host and not container.image.repository = riposte.test:5000/tools/tiny
  output: foreign (image=%container.image.repository exe=%proc.exepath)
  priority: NOTICE
`

// TestFirstProgramOfAContainer: the metadata is there before the first program is
// looked at, with Docker and with a CRI runtime whose record of a pod comes late.
func TestFirstProgramOfAContainer(t *testing.T) {
	docker, containerd := runtimetest.Docker(t), runtimetest.Containerd(t)
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(containerRules), 0o600))
	out := &lines{}
	opt := agent.Options{
		RuleFiles: []string{file}, DataDir: t.TempDir(), Output: out, Encoding: publish.Encoding{Format: publish.JSON, Riposte: true},
		Containers: &agent.Containers{CRI: []string{containerd.Socket}, Docker: []string{docker.Socket}, Wait: 5 * time.Second},
	}
	skipWithoutCapture(t)
	start(t, opt)
	// The agent attaches when it starts; it is at work when it has told of this one.
	first := strings.TrimSpace(docker.Docker("run", "-d", "--network=none", runtimetest.Image))
	out.of(t, "Program in the tiny image", first, 1)

	web := strings.TrimSpace(docker.Docker("run", "-d", "--name=web", "--network=none", "--user=1234:4321", runtimetest.Image))
	a := out.of(t, "Program in the tiny image", web, 1)[0]
	require.Equal(t, "web", a.OutputFields["container.name"])
	require.Equal(t, "1.0", a.OutputFields["container.image.tag"])
	require.Equal(t, "keeper", a.OutputFields["user.name"])
	require.False(t, a.Riposte.Container.MetadataMissing)
	require.Equal(t, runtimetest.Image, a.Riposte.Container.Image)

	pod := containerd.RunPod(t, "front")
	sandbox := out.of(t, "Program in a foreign image", pod.ID, 1)[0] // a sandbox has no image of its own
	require.Equal(t, &alert.Pod{Namespace: "shop", Name: "front", UID: "uid-of-front", Labels: map[string]string{"app": "front"}}, sandbox.Riposte.Pod)
	id := pod.Create(t, &cri.ContainerConfig{Metadata: &cri.ContainerMetadata{Name: "app"}, Labels: pod.Config.GetLabels()})
	pod.Start(t, id)
	a = out.of(t, "Program in the tiny image", id, 1)[0]
	require.Equal(t, []any{"app", "front", "shop", "root"}, []any{a.OutputFields["container.name"], a.OutputFields["k8s.pod.name"], a.OutputFields["k8s.ns.name"], a.OutputFields["user.name"]})
	require.Equal(t, "uid-of-front", a.Riposte.Pod.UID)

	containerd.Import("default")
	containerd.RunCtr("default", "by-hand")
	a = out.of(t, "Program in the tiny image", "by-hand", 1)[0]
	require.Equal(t, []any{"by-hand", "1.0"}, []any{a.OutputFields["container.name"], a.OutputFields["container.image.tag"]})

	out.mu.Lock()
	defer out.mu.Unlock()
	for _, a := range out.all { // of other containers of this machine nothing is promised
		if a.Rule == "Program in a foreign image" {
			require.NotContains(t, []string{first, web, id, "by-hand"}, a.Riposte.Container.ID, "no program of a container was looked at without its image: %s", a.Output)
		}
	}
	docker.Docker("rm", "-f", first, web)
}

// TestRuntimeThatHangs: a container's events wait for its metadata for their time and
// no longer, and nobody else's wait with them.
func TestRuntimeThatHangs(t *testing.T) {
	skipWithoutCapture(t)
	docker := runtimetest.Docker(t)
	file := filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(file, []byte(containerRules+`
- rule: On the host
  desc: a program of the host
  condition: evt.type in (execve, execveat) and container.id = host and proc.args = riposte-hangs
  output: host
  priority: NOTICE
`), 0o600))
	out := &lines{}
	start(t, agent.Options{
		RuleFiles: []string{file}, DataDir: t.TempDir(), Output: out, Encoding: publish.Encoding{Format: publish.JSON, Riposte: true},
		Containers: &agent.Containers{CRI: []string{}, Docker: []string{docker.Socket}, Wait: 2 * time.Second},
	})
	ready := strings.TrimSpace(docker.Docker("run", "-d", "--network=none", runtimetest.Image))
	out.of(t, "Program in the tiny image", ready, 1)
	docker.Docker("rm", "-f", ready)

	defer docker.Pause()()
	root, err := enrich.CgroupRoot()
	require.NoError(t, err)
	id := strings.Repeat("0badc0de", 8)
	dir := filepath.Join(root, "riposte-hangs", id)
	require.NoError(t, os.MkdirAll(dir, 0o755))
	t.Cleanup(func() {
		require.Eventually(t, func() bool { return os.Remove(dir) == nil }, 10*time.Second, 10*time.Millisecond)
		require.NoError(t, os.Remove(filepath.Dir(dir)))
	})
	group, err := os.Open(dir)
	require.NoError(t, err)
	defer group.Close()
	inside := exec.Command("/bin/true")
	inside.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(group.Fd())}
	require.NoError(t, inside.Run())
	require.NoError(t, exec.Command("/bin/true", "riposte-hangs").Run())

	require.True(t, out.of(t, "Program in a foreign image", id, 1)[0].Riposte.Container.MetadataMissing)
	out.mu.Lock()
	defer out.mu.Unlock()
	onHost := slices.IndexFunc(out.all, func(a alert.Alert) bool { return a.Rule == "On the host" })
	inContainer := slices.IndexFunc(out.all, func(a alert.Alert) bool { return a.Riposte.Container != nil && a.Riposte.Container.ID == id })
	require.GreaterOrEqual(t, onHost, 0)
	require.Less(t, onHost, inContainer, "the host's comes first, though it happened later")
}

func skipWithoutCapture(t *testing.T) {
	src, err := capture.Open(capture.Options{})
	if err != nil && os.Getenv("CI") != "true" {
		t.Skip("needs eBPF: ", err)
	}
	require.NoError(t, err)
	require.NoError(t, src.Close())
}
