// Package nodes keeps the keys of the nodes' agents: it issues, rotates and
// revokes them, and writes what a NATS server has to know of them.
//
// Its folder holds nodes.json, the registry with public keys alone; users.conf,
// which nats-server.conf includes; and the seeds, each in a file for its node.
// Nothing here talks to a server: it is told to reload its configuration.
package nodes

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"riposte/agent/alert"
	"riposte/deploy/standalone/natsd"
)

// Node is one node with its keys, the newest last.
type Node struct {
	Cluster string `json:"cluster"`
	Name    string `json:"name"`
	// Leaf: it is no node but a NATS leaf server for all nodes of the cluster.
	Leaf bool  `json:"leaf,omitempty"`
	Keys []Key `json:"keys"`
}

// Key is one of a node's keys.
type Key struct {
	Public string    `json:"public"`
	Issued time.Time `json:"issued"`
	// Revoked is when it ceased to open anything, nil while it does.
	Revoked *time.Time `json:"revoked,omitempty"`
}

// Live are the keys that open something.
func (n *Node) Live() (keys []Key) {
	for _, k := range n.Keys {
		if k.Revoked == nil {
			keys = append(keys, k)
		}
	}
	return keys
}

// Registry is a folder of keys.
type Registry struct {
	dir   string
	now   func() time.Time
	nodes []*Node
	lock  *os.File
}

const maxName = 253 // as Kubernetes bounds a node's name

// Errors that a caller branches on.
var (
	ErrKnown   = errors.New("it has a key already: rotate it")
	ErrUnknown = errors.New("it has no key: issue one")
)

// Open reads the registry in dir, which is made if it is missing, and keeps
// others out until Close.
func Open(dir string, now func() time.Time) (*Registry, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of keys: %w", err)
	}
	r := &Registry{dir: dir, now: now}
	var err error
	if r.lock, err = os.OpenFile(r.file("lock"), os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, fmt.Errorf("lock the folder of keys: %w", err)
	}
	if err := unix.Flock(int(r.lock.Fd()), unix.LOCK_EX); err != nil {
		return nil, errors.Join(fmt.Errorf("lock the folder of keys: %w", err), r.Close())
	}
	b, err := os.ReadFile(r.file("nodes.json"))
	if err == nil {
		err = json.Unmarshal(b, &r.nodes)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(fmt.Errorf("read %s: %w", r.file("nodes.json"), err), r.Close())
	}
	return r, nil
}

// Close lets others in.
func (r *Registry) Close() error { return r.lock.Close() }

func (r *Registry) file(name string) string { return filepath.Join(r.dir, name) }

// UsersFile is the file for nats-server.conf to include.
func (r *Registry) UsersFile() string { return r.file("users.conf") }

// ResponderFile holds the responders' seed.
func (r *Registry) ResponderFile() string { return r.file("responder.nk") }

// SeedFile is where a node's newest seed is, until it is carried to the node.
func (r *Registry) SeedFile(cluster, node string) string {
	return filepath.Join(r.dir, "seeds", alert.Token(cluster), alert.Token(node)+".nk")
}

// Nodes lists all nodes that ever had a key, by name.
func (r *Registry) Nodes() []*Node { return r.nodes }

func (r *Registry) find(cluster, name string) *Node {
	for _, n := range r.nodes {
		if n.Cluster == cluster && n.Name == name {
			return n
		}
	}
	return nil
}

// Issue makes the first key of each of these nodes, or leaf servers, or one after all
// were revoked: of all of them, or after an error of none.
func (r *Registry) Issue(cluster string, leaf bool, names ...string) ([]Key, error) {
	for i, name := range names {
		for what, s := range map[string]string{"cluster": cluster, "node": name} {
			if s == "" || len(s) > maxName || !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
				return nil, fmt.Errorf("%s %.100q is no name of 1 to %d bytes", what, s, maxName)
			}
		}
		n := r.find(cluster, name)
		if n != nil && len(n.Live()) > 0 || slices.Contains(names[:i], name) {
			return nil, fmt.Errorf("node %q of cluster %q: %w", name, cluster, ErrKnown)
		}
		if n != nil && n.Leaf != leaf {
			return nil, fmt.Errorf("%q of cluster %q had a key before, as the other of node and leaf server: take another name", name, cluster)
		}
	}
	keys := make([]Key, len(names))
	for i, name := range names {
		n := r.find(cluster, name)
		if n == nil {
			n = &Node{Cluster: cluster, Name: name, Leaf: leaf}
			r.nodes = append(r.nodes, n)
		}
		var err error
		if keys[i], err = r.add(n); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(r.nodes, func(a, b *Node) int { return strings.Compare(a.Cluster+"\x00"+a.Name, b.Cluster+"\x00"+b.Name) })
	return keys, r.save()
}

// Rotate makes a second key: both open until the old ones are dropped.
func (r *Registry) Rotate(cluster, name string) (Key, error) {
	n := r.find(cluster, name)
	if n == nil || len(n.Live()) == 0 {
		return Key{}, fmt.Errorf("node %q of cluster %q: %w", name, cluster, ErrUnknown)
	}
	k, err := r.add(n)
	if err != nil {
		return k, err
	}
	return k, r.save()
}

// DropOld revokes all keys of a node but the newest.
func (r *Registry) DropOld(cluster, name string) (dropped int, err error) {
	return r.revoke(cluster, name, 1)
}

// Revoke revokes all keys of a node.
func (r *Registry) Revoke(cluster, name string) (revoked int, err error) {
	return r.revoke(cluster, name, 0)
}

func (r *Registry) revoke(cluster, name string, keep int) (int, error) {
	n := r.find(cluster, name)
	if n == nil || len(n.Live()) == 0 {
		return 0, fmt.Errorf("node %q of cluster %q: %w", name, cluster, ErrUnknown)
	}
	now, revoked := r.now().UTC(), 0
	for i := range n.Keys {
		if n.Keys[i].Revoked == nil && len(n.Live()) > keep {
			n.Keys[i].Revoked = &now
			revoked++
		}
	}
	return revoked, r.save()
}

// add makes the seed before the registry knows of it: a key that nobody has is
// better than one that nobody knows. The caller saves.
func (r *Registry) add(n *Node) (Key, error) {
	file := r.SeedFile(n.Cluster, n.Name)
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Key{}, fmt.Errorf("replace the seed: %w", err)
	}
	public, err := natsd.Key(file)
	if err != nil {
		return Key{}, fmt.Errorf("make the seed: %w", err)
	}
	k := Key{Public: public, Issued: r.now().UTC()}
	n.Keys = append(n.Keys, k)
	return k, nil
}

func (r *Registry) save() error {
	responder, err := natsd.Key(r.ResponderFile())
	if err != nil {
		return fmt.Errorf("the responders' seed: %w", err)
	}
	b, err := json.MarshalIndent(r.nodes, "", "  ")
	if err != nil {
		return err
	}
	var all []natsd.Node
	for _, n := range r.nodes {
		for _, k := range n.Live() {
			all = append(all, natsd.Node{Cluster: n.Cluster, Name: n.Name, Key: k.Public, Leaf: n.Leaf})
		}
	}
	// The registry first: of a key that it knows the server can be told again.
	return errors.Join(r.write("nodes.json", append(b, '\n')), r.write("users.conf", natsd.Config(responder, all)))
}

func (r *Registry) write(name string, b []byte) error {
	file := r.file(name)
	if err := os.WriteFile(file+".new", b, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
