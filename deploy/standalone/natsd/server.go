// Package natsd runs an embedded NATS server with JetStream on disk, closed to
// everybody but the keys it was given: one for each node, one for the responder.
package natsd

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Options says where the server lives and who may enter.
type Options struct {
	// Dir keeps JetStream's files.
	Dir string
	// Host is the address to listen on, 127.0.0.1 if empty; Port is picked if 0.
	Host string
	Port int
	// Responder is the responder's public nkey.
	Responder string
	// Nodes are the nodes whose agents may connect.
	Nodes []Node
	// MaxStore bounds JetStream's files in bytes, 4 GiB if 0.
	MaxStore int64
	// Log takes the server's warnings and errors.
	Log *slog.Logger
}

// Node is one agent's identity, or a leaf server's.
type Node struct {
	Cluster, Name string
	// Key is the agent's public nkey.
	Key string
	// Leaf: it is no node but a leaf server for all nodes of the cluster.
	Leaf bool
}

// Server is a running server.
type Server struct{ s *server.Server }

// Start returns when the server takes connections.
func Start(o Options) (*Server, error) {
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.MaxStore == 0 {
		o.MaxStore = 4 << 30
	}
	port, err := claim(o.Host, o.Port)
	if err != nil {
		return nil, err
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "riposte", Host: o.Host, Port: port, NoSigs: true,
		JetStream: true, StoreDir: filepath.Join(o.Dir, "nats"), JetStreamMaxStore: o.MaxStore, JetStreamMaxMemory: 64 << 20,
		// An acknowledged alert is on disk, not in a cache that a power cut takes along.
		SyncAlways: true,
		MaxPayload: 1 << 20, Nkeys: users(o),
	})
	if err != nil {
		return nil, fmt.Errorf("configure NATS: %w", err)
	}
	if o.Log != nil {
		s.SetLoggerV2(logger{o.Log}, false, false, false)
	}
	s.Start()
	if !s.ReadyForConnections(15 * time.Second) {
		s.Shutdown()
		return nil, errors.New("NATS took more than 15 s to start")
	}
	if !s.JetStreamEnabled() {
		s.Shutdown()
		return nil, fmt.Errorf("NATS started without JetStream: is %s writable and not full?", o.Dir)
	}
	return &Server{s}, nil
}

// URL is where clients connect.
func (s *Server) URL() string { return s.s.ClientURL() }

// Stop ends the server and waits for it.
func (s *Server) Stop() {
	s.s.Shutdown()
	s.s.WaitForShutdown()
}

// claim finds a free port, or says that the wanted one is busy: the server
// itself would only say so in its log.
func claim(host string, port int) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return 0, fmt.Errorf("NATS cannot listen on %s: %w", net.JoinHostPort(host, strconv.Itoa(port)), err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

type logger struct{ log *slog.Logger }

func (l logger) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l logger) Warnf(format string, v ...any)   { l.log.Warn(fmt.Sprintf(format, v...)) }
func (l logger) Errorf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l logger) Fatalf(format string, v ...any)  { l.log.Error(fmt.Sprintf(format, v...)) }
func (l logger) Debugf(string, ...any)           {}
func (l logger) Tracef(string, ...any)           {}
