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

	"riposte/responder/playbook/sandbox"
)

// Switch is the state of the kill switch: while it is on, no effect is caused.
// It is a file, so that it works without the database, and by hand: while the
// file is there, whatever it holds, the switch is on.
type Switch struct {
	On     bool      `json:"-"`
	Reason string    `json:"reason"`
	Actor  string    `json:"actor"`
	At     time.Time `json:"at"`
}

// maxSwitch bounds the file and so the reason.
const maxSwitch = 16 << 10

// ErrNoKillSwitch says that no file was configured to keep the switch in.
var ErrNoKillSwitch = errors.New("there is no kill switch: configure a file for it")

type killSwitch struct {
	file string
	now  func() time.Time
	// mu lets only one write at a time; readers need none, since a rename is atomic.
	mu sync.Mutex
}

// KillSwitch reads the switch. A file that cannot be read is a switch that is on.
func (g *Guard) KillSwitch() Switch { return g.kill.read() }

// SetKillSwitch turns the switch on or off. When it returns nil the state is on
// disk and holds for every Judge and Release that begins from now on.
func (g *Guard) SetKillSwitch(on bool, actor, reason string) error {
	return g.kill.set(on, actor, reason)
}

func (g *Guard) killed() Verdict {
	s := g.kill.read()
	if !s.On {
		return Verdict{}
	}
	reason := "the kill switch is on"
	if s.Reason != "" {
		reason += ": " + s.Reason
	}
	return Verdict{Outcome: Refuse, Rule: RuleKillSwitch, Reason: reason}
}

func (k *killSwitch) read() Switch {
	if k.file == "" {
		return Switch{}
	}
	f, err := os.Open(k.file)
	if errors.Is(err, fs.ErrNotExist) {
		return Switch{}
	}
	if err != nil {
		return Switch{On: true, Reason: fmt.Sprintf("its file cannot be read (%v)", err)}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSwitch+1))
	if err != nil {
		return Switch{On: true, Reason: fmt.Sprintf("its file cannot be read (%v)", err)}
	}
	var s Switch
	switch {
	case len(strings.TrimSpace(string(b))) == 0:
		s.Reason = "its file is there"
	case len(b) > maxSwitch || json.Unmarshal(b, &s) != nil:
		s = Switch{Reason: "its file is damaged; remove it to turn the switch off"}
	}
	s.On = true
	s.Reason, s.Actor = sandbox.Plain(s.Reason, maxReason), sandbox.Plain(s.Actor, maxRule)
	return s
}

func (k *killSwitch) set(on bool, actor, reason string) error {
	if k.file == "" {
		return ErrNoKillSwitch
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !on {
		if err := os.Remove(k.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("turn the kill switch off: %w", err)
		}
		return syncDir(k.file)
	}
	b, err := json.Marshal(Switch{Reason: reason, Actor: actor, At: k.now().UTC()})
	if err != nil {
		return err
	}
	if len(b) > maxSwitch {
		return fmt.Errorf("turn the kill switch on: reason and actor have %d bytes, %d are allowed", len(b), maxSwitch)
	}
	if err := write(k.file, b); err != nil {
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
