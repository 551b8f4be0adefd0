package accept_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"riposte/docs/doctest"
)

// here says what the manual's names are in this cluster, which pulls nothing and has no
// storage class.
var here = strings.NewReplacer(
	"registry.example.com/security/riposte", "riposte.local/riposte", "image.tag=1.0", "image.tag=dev",
	"--set clusterName=trial", "--set clusterName=trial --set nats.bundled.image=riposte.local/nats:1,database.bundled.image=riposte.local/postgres:1"+
		" --set nats.bundled.persistence=false,database.bundled.persistence=false",
	"--image=busybox:1.37", "--image="+image,
)

// TestInstallPage: every command of docs/install.md does what the page says, on this cluster.
func TestInstallPage(t *testing.T) {
	c := inside(t)
	p := doctest.Open(t, "docs/install.md", "sh")
	eventually(t, "no other installation is here, nor what it has left", func() bool {
		_, err := c.CoreV1().Namespaces().Get(t.Context(), namespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err) && len(c.traces(t)) == 0
	})
	before := pinned(t)
	seen := p.In(t, "What you should see", "sh").Text
	function, _, found := strings.Cut(seen, "\nriposte status\n")
	require.True(t, found)
	// page runs a block as a reader would, and says what it printed.
	page := func(b string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "sh", "-ec", function+"\n"+here.Replace(b))
		cmd.Dir = filepath.FromSlash(root)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	must := func(b string) string {
		t.Helper()
		out, err := page(b)
		require.NoError(t, err, "%s\n%s", here.Replace(b), out)
		t.Logf("%s\n%s", b, out)
		return out
	}
	// shows waits until a block prints all of the wanted.
	shows := func(b string, wanted ...string) {
		t.Helper()
		var out string
		var err error
		eventually(t, b+" shows "+strings.Join(wanted, ", "), func() bool {
			out, err = page(b)
			for _, w := range wanted {
				if err != nil || !strings.Contains(out, w) {
					return false
				}
			}
			return true
		})
		t.Logf("%s\n%s", b, out)
	}

	must(p.In(t, "Install", "sh").Text)
	out := must("kubectl get nodes --output=name")
	node := strings.TrimPrefix(strings.TrimSpace(out), "node/")
	shows(seen, "WELL", node, "delete_pod_on_critical")

	attack := p.AllIn(t, "A harmless attack", "sh")
	require.Len(t, attack, 4)
	must(attack[0].Text)
	shows(attack[1].Text, "Sensitive file read by a shell in a container", "delete_pod")
	must(attack[2].Text)
	shows(strings.TrimSuffix(attack[3].Text, "kubectl delete namespace riposte-trial\n"), "succeeded", "verified", "good")
	must("kubectl delete namespace riposte-trial")

	must(p.In(t, "Remove it", "sh").Text)
	eventually(t, "nothing is left", func() bool { return len(c.traces(t)) == 0 && len(running(t)) == 0 })
	require.Equal(t, before, pinned(t))
}
