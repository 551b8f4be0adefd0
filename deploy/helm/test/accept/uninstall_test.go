package accept_test

import (
	"bufio"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// uninstall is the README's, after which nothing is left in the API server or on the node.
func (c *cluster) uninstall(t *testing.T, pinnedBefore []string) {
	require.NotEmpty(t, c.traces(t), "the search finds what is there")
	require.NotEmpty(t, running(t))
	shell(t, readme(t, "Uninstall"))
	eventually(t, "nothing is left in the API server", func() bool { return len(c.traces(t)) == 0 })
	eventually(t, "nothing runs on the node", func() bool { return len(running(t)) == 0 })
	require.Empty(t, frozen(t))
	require.Equal(t, pinnedBefore, pinned(t))
	for _, name := range []string{"trial-nats", "trial-postgres"} {
		require.NoError(t, c.CoreV1().PersistentVolumes().Delete(t.Context(), name, metav1.DeleteOptions{}))
	}
}

// traces are the objects of whatever kind that are an installation's, or that carry a mark
// of it.
func (c *cluster) traces(t *testing.T) (all []string) {
	t.Helper()
	client, err := dynamic.NewForConfig(c.config)
	require.NoError(t, err)
	lists, err := c.Discovery().ServerPreferredResources()
	require.NoError(t, err)
	for _, list := range lists {
		version, err := schema.ParseGroupVersion(list.GroupVersion)
		require.NoError(t, err)
		for _, r := range list.APIResources {
			// Events tell what was; they go by themselves.
			if !slices.Contains(r.Verbs, "list") || r.Kind == "Event" {
				continue
			}
			objects, err := client.Resource(version.WithResource(r.Name)).List(t.Context(), metav1.ListOptions{})
			require.NoError(t, err, r.Name)
			for _, o := range objects.Items {
				if ours(o) {
					all = append(all, strings.Join([]string{r.Kind, o.GetNamespace(), o.GetName()}, " "))
				}
			}
		}
	}
	return all
}

func ours(o unstructured.Unstructured) bool {
	if o.GetKind() == "Namespace" {
		return false // the user's: helm leaves it
	}
	if strings.Contains(o.GetName(), "riposte") {
		return true
	}
	for _, marks := range []map[string]string{o.GetLabels(), o.GetAnnotations()} {
		for key, value := range marks {
			if strings.HasPrefix(key, "riposte.dev/") || value == "riposte" {
				return true
			}
		}
	}
	return slices.ContainsFunc(o.GetFinalizers(), func(f string) bool { return strings.Contains(f, "riposte") })
}

// groups are the cgroups of this cluster, in every hierarchy.
func groups(t *testing.T) (all []string) {
	t.Helper()
	own, err := os.ReadFile("/proc/self/cgroup")
	require.NoError(t, err)
	_, name, found := strings.Cut(string(own), "0::/")
	require.True(t, found)
	name, _, _ = strings.Cut(strings.TrimSpace(name), "/")
	require.True(t, strings.HasPrefix(name, "riposte-cluster-"), name)
	mounts, err := os.Open("/proc/self/mounts")
	require.NoError(t, err)
	defer mounts.Close()
	for lines := bufio.NewScanner(mounts); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if f[2] != "cgroup" && f[2] != "cgroup2" {
			continue
		}
		_ = filepath.WalkDir(filepath.Join(f[1], name), func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				all = append(all, path)
			}
			return nil // one that goes while we look is none
		})
	}
	return all
}

// running are the processes of agent and responders.
func running(t *testing.T) (all []string) {
	t.Helper()
	for _, group := range groups(t) {
		pids, _ := os.ReadFile(filepath.Join(group, "cgroup.procs"))
		for pid := range strings.FieldsSeq(string(pids)) {
			if exe, _ := os.Readlink(filepath.Join("/proc", pid, "exe")); filepath.Base(exe) == "riposte" {
				all = append(all, pid)
			}
		}
	}
	return all
}

// pinned are the kernel's programs and maps that would outlive the process that loaded them.
func pinned(t *testing.T) []string {
	t.Helper()
	pins, err := filepath.Glob("/sys/fs/bpf/*")
	require.NoError(t, err)
	return pins
}

func frozen(t *testing.T) (all []string) {
	t.Helper()
	for _, group := range groups(t) {
		for _, file := range []string{"cgroup.freeze", "freezer.state"} {
			state, _ := os.ReadFile(filepath.Join(group, file))
			if s := strings.TrimSpace(string(state)); s == "1" || s == "FROZEN" || s == "FREEZING" {
				all = append(all, group)
			}
		}
	}
	return all
}
