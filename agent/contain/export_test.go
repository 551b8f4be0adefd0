package contain

import "testing"

// WithoutTCX has cuts made as on a kernel before 6.6.
func WithoutTCX(t testing.TB) {
	before := hasTCX
	hasTCX = func() bool { return false }
	t.Cleanup(func() { hasTCX = before })
}
