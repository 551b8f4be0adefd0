// Package natsdtest starts NATS servers for tests: Riposte's own with [Start],
// those that an operator configures with [Configured] and [Including]. They
// end with the test.
package natsdtest

import (
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/require"

	"riposte/deploy/standalone/natsd"
)

// Responder is the name of the responder's key, beside the nodes' names.
const Responder = "responder"

// Server is Riposte's own server with keys for a responder and for nodes.
type Server struct {
	*natsd.Server
	options natsd.Options
	keys    string
}

// Start runs a server that lets in the responder and these nodes of cluster.
func Start(t testing.TB, cluster string, nodes ...string) *Server {
	t.Helper()
	s := &Server{keys: t.TempDir(), options: natsd.Options{Dir: t.TempDir()}}
	s.options.Responder = s.Key(t, Responder)
	for _, name := range nodes {
		s.options.Nodes = append(s.options.Nodes, natsd.Node{Cluster: cluster, Name: name, Key: s.Key(t, name)})
	}
	t.Cleanup(func() { s.Stop() })
	s.Again(t)
	return s
}

// Again starts the server where it was before it was stopped: with its files,
// at the same port.
func (s *Server) Again(t testing.TB) {
	t.Helper()
	var err error
	s.Server, err = natsd.Start(s.options)
	require.NoError(t, err)
	at, err := url.Parse(s.URL())
	require.NoError(t, err)
	s.options.Port, err = strconv.Atoi(at.Port())
	require.NoError(t, err)
}

// Key makes a key of this name if there is none, which the server does not know
// unless it was started for it, and returns the public half.
func (s *Server) Key(t testing.TB, name string) (public string) {
	t.Helper()
	public, err := natsd.Key(s.SeedFile(name))
	require.NoError(t, err)
	return public
}

// SeedFile is where the seed of the key of this name is, if there is one.
func (s *Server) SeedFile(name string) string { return filepath.Join(s.keys, name+".nk") }

// Seed is the seed of the key of this name.
func (s *Server) Seed(t testing.TB, name string) []byte {
	t.Helper()
	seed, err := os.ReadFile(s.SeedFile(name))
	require.NoError(t, err)
	return seed
}

// Connect lets in who has the key of this name.
func (s *Server) Connect(t testing.TB, name, inbox string, options ...nats.Option) *nats.Conn {
	t.Helper()
	key, err := nats.NkeyOptionFromSeed(s.SeedFile(name))
	require.NoError(t, err)
	c, err := nats.Connect(s.URL(), append(options, key, nats.CustomInboxPrefix(inbox))...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}
