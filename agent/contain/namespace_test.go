package contain_test

import (
	"testing"

	"riposte/agent/cgroupns/cgroupnstest"
)

// TestInACgroupNamespace contains what it must, and refuses what it must, from a cgroup
// namespace of its own, as agents have one on nodes with cgroup v2 alone.
func TestInACgroupNamespace(t *testing.T) {
	cgroupnstest.Again(t, cgroupnstest.Root(t), "^(TestKillProcess.*|TestKillEndsTheContainerAndNothingElse|TestFreeze.*|TestARepeatedOrderHasOneEffect)$")
}
