package campaign

import (
	"os"
	"testing"

	"riposte/deploy/e2e/role"
)

func TestMain(m *testing.M) {
	os.Exit(role.Main(m.Run, map[string]func() error{
		"nats":      role.NATS,
		"agent":     runAgent,
		"responder": role.Responder,
	}))
}
