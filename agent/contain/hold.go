package contain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"riposte/agent/order"
)

// Bounds of what may be held at once.
const (
	maxHolds   = 256
	maxHolders = 16
)

// hold is one container's freeze or cut, for as long as somebody wants it.
type hold struct {
	Kind   order.Kind   `json:"kind"`
	Target order.Target `json:"target"`
	// Holders are the ends of the leases, nanoseconds since boot, by the id of the
	// order or order.HoldStanding.
	Holders map[string]uint64 `json:"holders"`
	// SinceNS is when it began, Unix nanoseconds.
	SinceNS int64 `json:"since_ns"`
	// Found says that somebody else had frozen the container before: it stays frozen.
	Found bool `json:"found,omitempty"`
	// Cut is where the programs are attached.
	Cut *cut `json:"cut,omitempty"`
}

// until is the end of the last lease, since boot.
func (d *hold) until() (last uint64) {
	for _, at := range d.Holders {
		last = max(last, at)
	}
	return last
}

// holdKey is what is held, and of which container.
type holdKey struct {
	cgroup uint64
	kind   order.Kind
}

func (d *hold) key() holdKey { return holdKey{d.Target.CgroupID, d.Kind} }

// holds are the leases, in memory and in a file that is written before an effect
// begins and after it has ended. They belong to one boot of the machine: no
// container outlives it.
type holds struct {
	// mu makes each change of a hold, effect included, one step.
	mu   sync.Mutex
	name string
	boot string
	all  map[holdKey]*hold
	// changed wakes Run.
	changed chan struct{}
}

// holdFile is the file.
type holdFile struct {
	BootID string  `json:"boot_id"`
	Holds  []*hold `json:"holds"`
}

func openHolds(dir string, log *slog.Logger) (*holds, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return nil, fmt.Errorf("tell this boot of the machine from others: %w", err)
	}
	s := &holds{name: filepath.Join(dir, "leases.json"), boot: strings.TrimSpace(string(boot)), all: map[holdKey]*hold{}, changed: make(chan struct{}, 1)}
	b, err := os.ReadFile(s.name)
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the leases: %w", err)
	}
	var f holdFile
	if err := json.Unmarshal(b, &f); err != nil {
		// The file is replaced as a whole, so this was no crash of ours. Cuts end by
		// themselves; somebody must look for frozen containers.
		log.Error("the leases are damaged and are left out: containers may stay frozen", "file", s.name, "error", err)
		return s, nil
	}
	if f.BootID != s.boot {
		return s, nil
	}
	for _, d := range f.Holds {
		if d != nil && d.Kind.Held() && len(d.Holders) > 0 && (d.Kind != order.Cut || d.Cut != nil) && len(s.all) < maxHolds {
			s.all[d.key()] = d
		}
	}
	return s, nil
}

// save writes all leases; mu is held.
func (s *holds) save() error {
	f := holdFile{BootID: s.boot}
	for _, d := range s.all {
		f.Holds = append(f.Holds, d)
	}
	slices.SortFunc(f.Holds, func(a, b *hold) int { return int(a.SinceNS - b.SinceNS) })
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(f); err != nil {
		return err
	}
	file, err := replace(s.name, b.Bytes())
	if err != nil {
		return fmt.Errorf("write the leases: %w", err)
	}
	return file.Close()
}

// wake has Run look at the ends again.
func (s *holds) wake() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// bootNS is the time since boot, sleep included, as the kernel's programs read it.
func bootNS() uint64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		panic(err) // every kernel that runs our programs has this clock
	}
	return uint64(ts.Nano())
}

// sinceBoot turns the end of a lease into time since boot.
func (h *Handler) sinceBoot(end time.Time) (uint64, error) {
	left := end.Sub(h.opt.Now())
	switch {
	case left <= 0:
		return 0, refused("the lease has ended already")
	case left > order.MaxLease:
		return 0, refused(fmt.Sprintf("the lease ends in %s, at most %s are allowed", left.Round(time.Second), order.MaxLease))
	}
	return bootNS() + uint64(left), nil
}
