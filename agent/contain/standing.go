package contain

import (
	"cmp"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"riposte/agent/event"
	"riposte/agent/order"
)

// ErrOlder says that a newer one is held already.
var ErrOlder = errors.New("its serial is not higher than that of the one held")

// keeper keeps what the responder lets stand, in memory and as the signed messages
// on disk: a Standing and a Switch.
type keeper struct {
	opt    *Options
	counts *counts

	mu       sync.RWMutex
	standing *order.Standing
	// written is when the standing orders on disk expire.
	written time.Time
	kill    order.Switch
}

const (
	standingFile = "standing.json"
	switchFile   = "switch.json"
)

// load reads what an earlier run kept. A kill switch that cannot be read is on.
func (k *keeper) load() {
	b, err := k.read(standingFile)
	if err == nil && b != nil {
		var s order.Standing
		if s, err = k.openStanding(b); err == nil {
			k.standing, k.written = &s, s.Expires
		}
	}
	if err != nil {
		k.opt.Log.Error("the standing orders are damaged: nothing is contained at once until new ones come", "error", err)
	}
	b, err = k.read(switchFile)
	if err == nil && b != nil {
		k.kill, err = k.openSwitch(b)
	}
	if err != nil {
		k.opt.Log.Error("the kill switch's file is damaged: it counts as on until the responder says otherwise", "error", err)
		k.kill = order.Switch{On: true, Reason: "its file on this node is damaged"}
	}
}

func (k *keeper) openStanding(message []byte) (order.Standing, error) {
	return opened(k.opt.Keys, func(key ed25519.PublicKey) (order.Standing, error) {
		return order.OpenStanding(key, message, k.opt.Cluster)
	})
}

func (k *keeper) openSwitch(message []byte) (order.Switch, error) {
	return opened(k.opt.Keys, func(key ed25519.PublicKey) (order.Switch, error) {
		return order.OpenSwitch(key, message, k.opt.Cluster)
	})
}

// read returns nil where there is no file.
func (k *keeper) read(name string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(k.opt.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// write replaces the file. What is not on disk holds all the same, until the agent
// starts again.
func (k *keeper) write(name string, message []byte) {
	f, err := replace(filepath.Join(k.opt.Dir, name), message)
	if err = cmp.Or(err, closed(f)); err != nil {
		k.opt.Log.Error("a standing message is not on disk", "file", name, "error", err)
	}
}

func closed(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}

// TakeStanding takes a signed Standing from the bus. ErrOlder says that it is no
// news; with any error what is held stays.
func (h *Handler) TakeStanding(message []byte) error {
	k := &h.keep
	s, err := k.openStanding(message)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil && k.standing != nil && s.Serial <= k.standing.Serial {
		err = ErrOlder
	}
	if err != nil {
		return k.refuse("standing orders", err)
	}
	if k.standing == nil || !same(*k.standing, s) || s.Expires.Sub(k.written) > rewrite {
		k.write(standingFile, message)
		k.written = s.Expires
	}
	k.standing = &s
	return nil
}

// rewrite is how much later standing orders must expire to be written for that alone.
const rewrite = time.Hour

// same says that two say the same. An older one that is taken after a restart then
// makes no difference.
func same(a, b order.Standing) bool {
	a.Serial, a.Expires = b.Serial, b.Expires
	return reflect.DeepEqual(a, b)
}

// TakeSwitch takes a signed Switch from the bus, as TakeStanding does.
func (h *Handler) TakeSwitch(message []byte) error {
	k := &h.keep
	s, err := k.openSwitch(message)
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil && s.Serial <= k.kill.Serial {
		err = ErrOlder
	}
	if err != nil {
		return k.refuse("kill switch", err)
	}
	if s.On != k.kill.On {
		k.opt.Log.Warn("the kill switch has changed", "on", s.On, "actor", s.Actor, "reason", s.Reason)
	}
	k.kill = s
	k.write(switchFile, message)
	return nil
}

func (k *keeper) refuse(what string, err error) error {
	if !errors.Is(err, ErrOlder) { // the responder repeats itself
		k.counts.messages.Add(1)
		k.opt.Log.Warn("a message is refused", "message", what, "error", err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// switchedOff says why nothing may be begun, empty while the kill switch is off.
func (k *keeper) switchedOff() string {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if !k.kill.On {
		return ""
	}
	return strings.TrimSuffix("the kill switch is on: "+k.kill.Reason, ": ")
}

// stopped says why a playbook contains nothing at once, empty while it may.
func (k *keeper) stopped(playbook string) string {
	if why := k.switchedOff(); why != "" {
		return why
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	if slices.Contains(k.kill.Playbooks, playbook) {
		return fmt.Sprintf("the kill switch of playbook %.80s is on", playbook)
	}
	return ""
}

// protects says why a container must not be touched, by what the responder said
// last, be it expired or not. Nothing is said where the responder has sent nothing:
// its own guard has judged each order before it came here.
func (k *keeper) protects(c event.Container) string {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.standing == nil {
		return ""
	}
	return protects(k.standing.Protect, c)
}

// names are what a container may be protected by: its own name, its pod's and the
// pod's owner's.
func names(c event.Container) (all []string) {
	all = []string{c.Name}
	if c.Pod != nil {
		_, owner, _ := strings.Cut(c.Pod.Owner, "/")
		all = append(all, c.Pod.Name, owner)
	}
	return slices.DeleteFunc(all, func(name string) bool { return name == "" })
}

func protects(p order.Protect, c event.Container) string {
	for _, name := range names(c) {
		for _, pattern := range p.Names {
			whole := name
			if strings.Contains(pattern, "/") && c.Pod != nil {
				whole = c.Pod.Namespace + "/" + name
			}
			if ok, _ := path.Match(pattern, whole); ok { // the patterns were checked
				return fmt.Sprintf("it is protected by the name %.253s", pattern)
			}
		}
	}
	if c.Pod == nil {
		return ""
	}
	for _, ns := range p.Namespaces {
		if ns == c.Pod.Namespace {
			return fmt.Sprintf("namespace %.253s is protected", ns)
		}
	}
	for key, value := range p.Labels {
		if got, ok := c.Pod.Labels[key]; ok && strings.EqualFold(got, value) {
			return fmt.Sprintf("the pod's label %.253s protects it", key)
		}
	}
	return ""
}
