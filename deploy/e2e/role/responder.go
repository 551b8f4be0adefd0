package role

import (
	"net/http"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/command"
)

// Unlimited is a guard's file that lifts the budgets, for tests about many effects and
// not about how many there may be.
const Unlimited = `budgets:
  playbook: {count: 100000}
  workload: {count: 100000}
  namespace: {count: 100000}
  node: {count: 100000}
  cluster: {count: 100000}
`

// Responder is a role: `riposte responder` with the flags that it is given.
func Responder() error { return command.NewResponder("test", nil).Execute() }

// Surroundings are what a responder of a test stands between.
type Surroundings struct {
	Cluster, Instance string
	// Listen is the API's address, NATS, NATSKey and Database are as the flags are.
	Listen, NATS, NATSKey, Database, Kubeconfig string
	// Guard is the text of the guard's file.
	Guard string
}

// ResponderFlags are the flags that tell the role [Responder] where it stands.
func (f *Folder) ResponderFlags(t testing.TB, s Surroundings) []string {
	t.Helper()
	guard, killSwitch := f.Path("guard.yaml"), f.Path(s.Instance+".switch")
	require.NoError(t, os.WriteFile(guard, []byte(s.Guard), 0o600))
	return []string{
		"--cluster", s.Cluster, "--instance", s.Instance, "--listen", s.Listen, "--nats", s.NATS, "--nats-key", s.NATSKey, "--database", s.Database,
		"--kubeconfig", s.Kubeconfig, "--order-key", f.orderKey, "--token-file", f.token, "--guard-file", guard, "--kill-switch-file", killSwitch,
	}
}

// Ready asks a responder whether it is.
func Ready(address string) bool {
	answer, err := http.Get("http://" + address + "/readyz") //nolint:noctx // a poll of a local port
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}
