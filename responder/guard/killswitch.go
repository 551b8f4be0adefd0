package guard

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"riposte/agent/alert"
	"riposte/responder/playbook/sandbox"
)

// Scope says what a kill switch stops.
type Scope string

// Scopes of a kill switch.
const (
	// ScopeAll stops every effect.
	ScopeAll Scope = "all"
	// ScopeCluster stops the effects in one cluster.
	ScopeCluster Scope = "cluster"
	// ScopePlaybook stops what one playbook decided.
	ScopePlaybook Scope = "playbook"
)

// Switch is the state of a kill switch: while it is on, no effect of its scope is
// caused. It is a file, so that it works without the database, and by hand: while
// the file is there, whatever it holds, the switch is on.
type Switch struct {
	// Scope and Name say what it stops; no name with ScopeAll, which is also what an
	// empty scope means.
	Scope Scope  `json:"scope,omitempty"`
	Name  string `json:"name,omitempty"`
	On    bool   `json:"-"`
	// ID is the turn's: replicas know the same turn by it. Empty for a file made by hand.
	ID     string    `json:"id,omitempty"`
	Reason string    `json:"reason"`
	Actor  string    `json:"actor"`
	At     time.Time `json:"at"`
}

// Bounds of the file, and so of the reason, and of a cluster's or playbook's name.
const (
	maxSwitch     = 16 << 10
	maxSwitchName = 63
)

// ErrNoKillSwitch says that no file was configured to keep the switch in.
var ErrNoKillSwitch = errors.New("there is no kill switch: configure a file for it")

// files keeps the switches: the one for all in base, the others beside it, with
// their scope and name behind a dot.
type files struct {
	base string
	// mu lets only one write at a time; readers need none, since a rename is atomic.
	mu sync.Mutex
}

func (f *files) path(s Scope, name string) string {
	if s == ScopeAll {
		return f.base
	}
	return f.base + "." + string(s) + "." + alert.Token(name)
}

// read says whether one switch is on. A file that cannot be read is a switch that is on.
func (f *files) read(scope Scope, name string) Switch {
	none := Switch{Scope: scope, Name: name}
	if f.base == "" {
		return none
	}
	file, err := os.Open(f.path(scope, name))
	switch {
	case errors.Is(err, fs.ErrNotExist), len(name) > maxSwitchName:
		return none // nobody could have turned it on by such a name
	case err != nil:
		none.On, none.Reason = true, fmt.Sprintf("its file cannot be read (%v)", err)
		return none
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, maxSwitch+1))
	var s Switch
	switch {
	case err != nil:
		s.Reason = fmt.Sprintf("its file cannot be read (%v)", err)
	case len(strings.TrimSpace(string(b))) == 0:
		s.Reason = "its file is there"
	case len(b) > maxSwitch || json.Unmarshal(b, &s) != nil:
		s = Switch{Reason: "its file is damaged; remove it to turn the switch off"}
	}
	s.Scope, s.Name, s.On = scope, name, true
	s.Reason, s.Actor = sandbox.Plain(s.Reason, maxReason), sandbox.Plain(s.Actor, maxRule)
	return s
}

// list reads every switch that has a file.
func (f *files) list() []Switch {
	var all []Switch
	if s := f.read(ScopeAll, ""); s.On {
		all = append(all, s)
	}
	entries, err := os.ReadDir(filepath.Dir(f.base))
	if f.base == "" || err != nil {
		return all // read has seen to it that an unreadable folder is a switch that is on
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), filepath.Base(f.base)+".")
		scope, token, two := strings.Cut(rest, ".")
		name, err := alert.Name(token)
		if !ours || !two || err != nil || Scope(scope) != ScopeCluster && Scope(scope) != ScopePlaybook {
			continue
		}
		if s := f.read(Scope(scope), name); s.On {
			all = append(all, s)
		}
	}
	return all
}

// set turns one switch. When it returns nil the state is on disk.
func (f *files) set(s Switch) error {
	if f.base == "" {
		return ErrNoKillSwitch
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	path := f.path(s.Scope, s.Name)
	if !s.On {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("turn the kill switch off: %w", err)
		}
		return syncDir(path)
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if len(b) > maxSwitch {
		return fmt.Errorf("turn the kill switch on: reason and actor have %d bytes, %d are allowed", len(b), maxSwitch)
	}
	if err := write(path, b); err != nil {
		return fmt.Errorf("turn the kill switch on: %w", err)
	}
	return nil
}

// write replaces the file as a whole: no reader ever sees half of it.
func write(file string, b []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*.tmp")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	if _, err := f.Write(b); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	if err := syncDir(file); err != nil {
		return err
	}
	return f.Close()
}

// syncDir makes a rename or a removal last through a power cut.
func syncDir(file string) error {
	d, err := os.Open(filepath.Dir(file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
