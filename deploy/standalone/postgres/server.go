// Package postgres runs a private PostgreSQL from the system's binaries: its own
// data folder, a unix socket and no network, as an unprivileged user.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"riposte/deploy/standalone/child"
)

// Options says where the server lives.
type Options struct {
	// Dir is made if missing; data, socket and log lie in it.
	Dir string
	// Throwaway trades durability for speed: for data that nobody will miss.
	Throwaway bool
	// Progress is told what takes time, if not nil.
	Progress func(string)
}

// Server is a running server.
type Server struct {
	socket  string
	process *child.Process
	once    sync.Once
}

// database and its owner have the product's name; the application's role owns nothing.
const (
	database    = "riposte"
	application = "riposte_app"
)

// Start returns when the server takes connections and the database exists.
func Start(ctx context.Context, o Options) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	who, err := runAs()
	if err != nil {
		return nil, err
	}
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, err
	}
	if err := who.own(o.Dir); err != nil {
		return nil, err
	}
	c := cluster{Options: o, bin: bin, user: who, data: filepath.Join(o.Dir, "data")}
	if c.socket, err = socketDir(o.Dir, who); err != nil {
		return nil, err
	}
	if err := c.init(ctx); err != nil {
		return nil, err
	}
	if err := c.admit(); err != nil {
		return nil, err
	}
	s, err := c.start(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.create(ctx, "created", "createdb", database); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	if err := c.create(ctx, "created-role", "createuser", application); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// URL is the connection string of the database's owner. It holds no secret: the server
// knows its client by the operating system's user.
func (s *Server) URL() string { return s.url(database) }

// AppURL is that of the role that may do what a responder needs, once it was granted
// (store.Grant), and no more.
func (s *Server) AppURL() string { return s.url(application) }

func (s *Server) url(role string) string {
	return "postgres:///" + database + "?host=" + s.socket + "&user=" + role
}

// Exited is closed when the server has ended, wanted or not.
func (s *Server) Exited() <-chan struct{} { return s.process.Exited() }

// PID is the postmaster's process id.
func (s *Server) PID() int { return s.process.Pid }

// Stop ends the server in order, within 5 s, else at once.
func (s *Server) Stop() error {
	s.once.Do(func() {
		_ = s.process.Signal(syscall.SIGINT) // fast shutdown: clients are cut off, data is written
		select {
		case <-s.process.Exited():
		case <-time.After(5 * time.Second):
			_ = s.process.Signal(syscall.SIGQUIT)
			<-s.process.Exited()
		}
	})
	return s.process.Err()
}

type cluster struct {
	Options
	bin, data, socket string
	user              user
}

// init makes the data folder, in one step: a folder that initdb left half-done
// is never taken for a database.
func (c *cluster) init(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(c.data, "PG_VERSION")); err == nil {
		return nil
	}
	c.Progress("creating the database")
	fresh := c.data + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	args := []string{"-D", fresh, "-U", database, "-A", "peer", "-E", "UTF8", "--no-locale"}
	if c.Throwaway {
		args = append(args, "--no-sync")
	}
	if out, err := c.command(ctx, "initdb", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w: %s", err, lastLine(out))
	}
	return os.Rename(fresh, c.data)
}

// admit says who may connect, at each start: whoever runs Riposte, and nobody else, is
// the database's owner and the application.
func (c *cluster) admit() error {
	hba := "local all " + database + "," + application + " peer map=owner\n"
	ident := fmt.Sprintf("owner %[1]q %[2]s\nowner %[1]q %[3]s\n", c.user.client, database, application)
	for name, text := range map[string]string{"pg_hba.conf": hba, "pg_ident.conf": ident} {
		if err := os.WriteFile(filepath.Join(c.data, name), []byte(text), 0o600); err != nil { // the file and its owner are the server's
			return err
		}
	}
	return nil
}

func (c *cluster) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin, program), args...)
	cmd.Dir = c.Dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: c.user.credential, Setpgid: true}
	return cmd
}

func (c *cluster) start(ctx context.Context) (*Server, error) {
	if err := c.awaitPredecessor(ctx); err != nil {
		return nil, err
	}
	args := []string{
		"-D", c.data, "-k", c.socket, "-c", "listen_addresses=", "-c", "unix_socket_permissions=0777", "-c", "max_connections=60",
		"-c", "shared_buffers=64MB", "-c", "jit=off", "-c", "logging_collector=off", "-c", "log_min_messages=warning", "-c", "timezone=UTC",
	}
	if c.Throwaway {
		args = append(args, "-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "max_connections=200")
	}
	log, err := os.OpenFile(filepath.Join(c.Dir, "postgres.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	at, err := log.Seek(0, 2)
	if err != nil {
		return nil, err
	}
	cmd := c.command(context.Background(), "postgres", args...)
	cmd.Stdout, cmd.Stderr = log, log
	// Should this process be killed, the server ends in order by itself.
	process, err := child.Start(cmd, syscall.SIGINT)
	if err != nil {
		return nil, fmt.Errorf("start postgres: %w", err)
	}
	s := &Server{socket: c.socket, process: process}
	if err := c.ready(ctx, s); err != nil {
		stopped := s.Stop()
		text, _ := os.ReadFile(log.Name())
		if at < int64(len(text)) {
			err = fmt.Errorf("%w: %s (more in %s)", err, lastLine(text[at:]), log.Name())
		}
		return nil, errors.Join(err, stopped)
	}
	return s, nil
}

// ready waits for the line that the postmaster writes into its pid file.
func (c *cluster) ready(ctx context.Context, s *Server) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if pid, status := c.postmaster(); pid == s.process.Pid && status == "ready" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for PostgreSQL: %w", ctx.Err())
		case <-s.process.Exited():
			return errors.New("PostgreSQL ended at its start")
		case <-tick.C:
		}
	}
}

// create makes a database or a role, once: the file made remembers that it is there.
func (c *cluster) create(ctx context.Context, made, program, name string) error {
	made = filepath.Join(c.Dir, made)
	if _, err := os.Stat(made); err == nil {
		return nil
	}
	cmd := c.command(ctx, program, "-h", c.socket, "-U", database, name)
	cmd.SysProcAttr.Credential = nil // as the client, whom the server trusts
	if out, err := cmd.CombinedOutput(); err != nil && !strings.Contains(string(out), "already exists") {
		return fmt.Errorf("%s: %w: %s", program, err, lastLine(out))
	}
	return os.WriteFile(made, nil, 0o600)
}

func lastLine(out []byte) string {
	text := strings.TrimSpace(string(out))
	return text[strings.LastIndexByte(text, '\n')+1:]
}
