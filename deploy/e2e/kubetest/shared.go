package kubetest

import (
	"os"
	"sync"
	"testing"
)

var shared struct {
	sync.Mutex
	cluster *Cluster
	err     error
}

// Shared is one control plane for every test of a test binary, started when
// the first of them asks. It needs a TestMain that calls [Main]. Skips and
// fails as [Start] does.
func Shared(t testing.TB) *Cluster {
	t.Helper()
	program := program(t, "kube-cp")
	shared.Lock()
	defer shared.Unlock()
	if shared.cluster == nil && shared.err == nil {
		var dir string
		if dir, shared.err = os.MkdirTemp("", "kubetest-"); shared.err == nil {
			shared.cluster, shared.err = start(program, dir)
		}
		if shared.err != nil {
			_ = os.RemoveAll(dir)
		}
	}
	if shared.err != nil {
		t.Fatal("control plane:", shared.err)
	}
	return shared.cluster
}

// Main runs a package's tests and then ends the shared control plane, if one
// was started. It returns the code to exit with:
//
//	func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	if c := shared.cluster; c != nil {
		c.Stop()
		_ = os.RemoveAll(c.dir)
	}
	return code
}
