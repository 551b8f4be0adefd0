package natsdtest

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
)

// Configured runs a server with a configuration file. The options are what the
// file came to.
func Configured(t testing.TB, file string) (*server.Server, *server.Options) {
	t.Helper()
	o, err := server.ProcessConfigFile(file)
	require.NoError(t, err)
	o.NoSigs, o.NoLog = true, true
	s, err := server.NewServer(o)
	require.NoError(t, err)
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	s.Start()
	require.True(t, s.ReadyForConnections(time.Minute))
	return s, o
}

// Including runs a server with JetStream whose configuration includes this file,
// which says who may enter, and stands beside it.
func Including(t testing.TB, file string) *server.Server {
	t.Helper()
	configuration := filepath.Join(filepath.Dir(file), "nats-server.conf")
	text := fmt.Sprintf("listen: 127.0.0.1:-1\njetstream { store_dir: %q, sync_interval: always }\ninclude %s\n", t.TempDir(), filepath.Base(file))
	require.NoError(t, os.WriteFile(configuration, []byte(text), 0o600))
	s, _ := Configured(t, configuration)
	return s
}
