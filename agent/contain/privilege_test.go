package contain

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestKillNeedsNoMoreThanItSays runs the tests of killing as root with the
// capabilities that the manual names and no other one: CAP_DAC_OVERRIDE is for the tests,
// which make their cgroups in a folder that not even its owner may write.
func TestKillNeedsNoMoreThanItSays(t *testing.T) {
	setpriv, err := exec.LookPath("setpriv")
	if err != nil || os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs root and setpriv")
		}
		t.Skip("needs root and setpriv")
	}
	c := exec.Command(setpriv, "--bounding-set=-all,+kill,+net_admin,+dac_override", "--inh-caps=-all", os.Args[0],
		"-test.v", "-test.run=^(TestKillEndsTheContainerAndNothingElse|TestKillEach|TestARepeatedOrderHasOneEffect)$")
	c.Env = append(os.Environ(), "CI=true")
	out, err := c.CombinedOutput()
	require.NoError(t, err, string(out))
	require.Contains(t, string(out), "--- PASS: TestKillEach")
	require.NotContains(t, string(out), "--- SKIP")
}
