package main

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"riposte/deploy/logtest"
	"riposte/deploy/standalone/natsd/natsdtest"
	"riposte/responder/store/storetest"
)

// installation is what a responder needs, as the manual says it: keys, a NATS server with
// a configuration file, and a database, on a desk.
type installation struct {
	*desk
	database string
	nats     *server.Server
}

// operator is a user of the NATS server who may do everything there, as whoever runs it.
const operator = "operator:whoever-runs-nats"

func install(t *testing.T) *installation {
	t.Helper()
	i := &installation{desk: newDesk(t), database: storetest.URL(t)}
	_, says, err := i.shell(t, "riposte keys make --dir keys && riposte nodes issue node-1 --cluster prod --keys nats")
	require.NoError(t, err, says)
	users, err := os.ReadFile(i.path("nats/users.conf"))
	require.NoError(t, err)
	name, password, _ := strings.Cut(operator, ":")
	i.write(t, "nats/users.conf", strings.Replace(string(users), "users = [", "users = [\n    { user: "+name+", password: "+password+" }", 1))
	i.nats = natsdtest.Including(t, i.path("nats/users.conf"))
	i.write(t, "database", i.database)
	return i
}

// asOperator connects as whoever runs the server.
func (i *installation) asOperator(t *testing.T) nats.JetStreamContext {
	t.Helper()
	name, password, _ := strings.Cut(operator, ":")
	c, err := nats.Connect(i.nats.ClientURL(), nats.UserInfo(name, password))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	js, err := c.JetStream()
	require.NoError(t, err)
	return js
}

// flags are those that every responder needs.
func (i *installation) flags() string {
	return " --cluster prod --instance one --database-file database --nats " + i.nats.ClientURL() +
		" --nats-key nats/responder.nk --order-key keys/order.key --token-file keys/token --listen 127.0.0.1:0"
}

// replica is a running responder.
type replica struct {
	command *exec.Cmd
	// address is the API's.
	address string
	log     *logtest.Log
	ended   chan struct{}
	err     error
}

var up = regexp.MustCompile(`msg="the responder is up" address=(\S+)`)

// respond runs "riposte responder …" as a shell takes it, until the test ends or stop, and
// lets the desk's command line ask it.
func (i *installation) respond(t *testing.T, command string) *replica {
	t.Helper()
	r := &replica{log: &logtest.Log{}, ended: make(chan struct{})}
	// A shell's "exec" takes no variables in front of a command, but env does.
	r.command = exec.Command("bash", "-c", "exec env "+strings.ReplaceAll(i.translate(command), "\\\n", " ")) //nolint:gosec // the manual's
	r.command.Dir, r.command.Env = i.dir, i.env
	errors, err := r.command.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, r.command.Start())
	address := make(chan string, 1)
	go func() {
		defer close(r.ended)
		for in := bufio.NewScanner(io.TeeReader(errors, r.log)); in.Scan(); {
			if m := up.FindStringSubmatch(in.Text()); m != nil {
				address <- m[1]
			}
		}
		r.err = r.command.Wait()
	}()
	t.Cleanup(func() { r.stop(t) })
	select {
	case r.address = <-address:
	case <-r.ended:
		require.Fail(t, "the responder ended", "%s\n%s", command, r.log)
	}
	token, err := os.ReadFile(i.path("keys/token"))
	require.NoError(t, err)
	endpoint, err := json.Marshal(map[string]string{"url": "http://" + r.address})
	require.NoError(t, err)
	i.write(t, "running/endpoint.json", string(endpoint))
	i.write(t, "running/token", string(token))
	i.env = append(i.env, "RIPOSTE_DATA="+i.path("running"))
	return r
}

func (r *replica) stop(t *testing.T) {
	t.Helper()
	_ = r.command.Process.Signal(syscall.SIGTERM) // or it has ended
	<-r.ended
	require.NoError(t, r.err, "%s", r.log)
}

// freeAddress is an address of this machine that nobody listens on now.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().String()
}
