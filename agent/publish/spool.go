package publish

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sort"

	"golang.org/x/sys/unix"

	"riposte/agent/alert"
)

// spool keeps alerts on disk until somebody says that they have arrived. It is
// bounded: when it is full, the oldest file of the least severe priority goes
// first. It survives SIGKILL, not power loss: nothing is synced.
//
// It belongs to one goroutine.
type spool struct {
	dir  string
	lock *os.File
	// max bounds the files' bytes together, roll is where a file is full.
	max, roll int64
	size      int64
	next      uint64
	// all are the files by number, active the one that takes the puts of each priority.
	all    []*segment
	active [alert.Debug + 1]*segment
	// broken says that the last write failed, so that only a change is logged.
	broken bool
	log    *slog.Logger
}

// entry is one alert in the spool.
type entry struct {
	priority alert.Priority
	// num orders the entries of one priority by age.
	num uint64
	// run and seq are the alert's number, for the announcement if it is lost.
	run string
	seq uint64
	// subject is known only for what an earlier process left.
	subject string
	// segment is nil for an alert that is not on disk.
	segment *segment
	place   int
	offset  int64
	bytes   int
	// sent: it is on its way; dropped: it was given up for space; done: it has arrived;
	// single: the bus refused a batch that it was in.
	sent, dropped, done, single bool
}

// openSpool reads what an earlier process left: the entries that nobody
// acknowledged, and how many bytes had to be given up as damaged.
func openSpool(dir string, limit int64, log *slog.Logger) (s *spool, left []*entry, damaged int64, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, nil, 0, fmt.Errorf("make the spool: %w", err)
	}
	s = &spool{dir: dir, max: limit, roll: min(max(limit/32, 4<<10), 1<<20), log: log}
	if s.lock, err = lock(filepath.Join(dir, "lock")); err != nil {
		return nil, nil, 0, fmt.Errorf("the spool %s is in use by another agent (or cannot be locked): %w", dir, err)
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		return nil, nil, 0, errors.Join(err, s.close())
	}
	for _, name := range names {
		lost, err := s.recover(name)
		if err != nil {
			return nil, nil, 0, errors.Join(fmt.Errorf("read the spool's file %s: %w", name, err), s.close())
		}
		damaged += lost
	}
	sort.Slice(s.all, func(i, j int) bool { return s.all[i].num < s.all[j].num })
	for _, seg := range append([]*segment(nil), s.all...) {
		for _, e := range seg.entries {
			if !e.done {
				e.num = s.number()
				left = append(left, e)
			}
		}
		s.tidy(seg)
	}
	return s, left, damaged, nil
}

// lock keeps a second agent from the same folder for as long as this process lives.
func lock(name string) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (s *spool) number() uint64 { s.next++; return s.next }

func (s *spool) recover(name string) (damaged int64, err error) {
	seg := &segment{path: name}
	if n, err := fmt.Sscanf(filepath.Base(name), "%d-%016x.seg", &seg.priority, &seg.num); err != nil || n != 2 || seg.priority > alert.Debug {
		return 0, errors.New("the name is not <priority>-<number>.seg: remove the file or put it elsewhere")
	}
	s.next = max(s.next, seg.num)
	if seg.file, err = os.OpenFile(name, os.O_RDWR, 0); err != nil {
		return 0, err
	}
	content, err := io.ReadAll(io.LimitReader(seg.file, s.max+maxPayload))
	if err != nil {
		return 0, errors.Join(err, seg.file.Close())
	}
	seg.size = scan(content, func(offset int64, payload []byte) {
		m, err := parseMessage(payload)
		run, seq := runOf(m.id)
		seg.entries = append(seg.entries, &entry{
			priority: seg.priority, subject: m.subject, run: run, seq: seq, segment: seg, place: seg.puts, offset: offset, bytes: headBytes + len(payload),
			done: err != nil,
		})
		seg.puts++
		if err == nil {
			seg.live++
		}
	}, func(place int) {
		if place < len(seg.entries) && !seg.entries[place].done {
			seg.entries[place].done = true
			seg.live--
		}
	})
	s.size += seg.size
	s.all = append(s.all, seg)
	if damaged = int64(len(content)) - seg.size; damaged > 0 {
		err = seg.file.Truncate(seg.size)
	}
	return damaged, err
}

// put writes one alert and returns those that were given up to make room. The
// alert itself is among them if it is less severe than all that the full spool
// holds. After an error of the disk e.segment is nil.
func (s *spool) put(e *entry, m message) (dropped []*entry) {
	payload := m.payload()
	e.bytes = headBytes + len(payload)
	for s.size+int64(e.bytes) > s.max {
		victim := s.victim(e.priority)
		if victim == nil {
			e.dropped = true
			return append(dropped, e)
		}
		dropped = append(dropped, s.drop(victim)...)
	}
	err := s.write(e, payload)
	// The disk may be full before the spool is: what others wrote counts there too.
	for errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		victim := s.victim(e.priority)
		if victim == nil || victim.size == 0 {
			break
		}
		dropped = append(dropped, s.drop(victim)...)
		err = s.write(e, payload)
	}
	if (err != nil) != s.broken {
		s.broken = err != nil
		if s.broken {
			s.log.Error("the spool cannot be written: alerts are sent once and do not outlive a crash", "dir", s.dir, "error", err)
		} else {
			s.log.Info("the spool can be written again", "dir", s.dir)
		}
	}
	return dropped
}

// drop removes a file with all that is in it and returns what had not arrived.
func (s *spool) drop(victim *segment) (dropped []*entry) {
	for _, old := range victim.entries {
		if !old.done {
			old.dropped = true
			dropped = append(dropped, old)
		}
	}
	s.remove(victim)
	return dropped
}

func (s *spool) write(e *entry, payload []byte) error {
	seg := s.active[e.priority]
	if seg == nil {
		num := s.number()
		name := filepath.Join(s.dir, fmt.Sprintf("%d-%016x.seg", e.priority, num))
		file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if err != nil {
			return err
		}
		seg = &segment{priority: e.priority, num: num, path: name, file: file}
		s.active[e.priority] = seg
		s.all = append(s.all, seg)
	}
	before := seg.size
	if err := seg.add(recordPut, payload); err != nil {
		return err
	}
	e.segment, e.offset, e.place = seg, before, seg.puts
	seg.entries = append(seg.entries, e)
	seg.puts++
	seg.live++
	s.size += seg.size - before
	if seg.size >= s.roll {
		s.active[e.priority] = nil
	}
	return nil
}

// victim is the file to give up for an alert of priority p, nil if p is less
// severe than all that is kept.
func (s *spool) victim(p alert.Priority) *segment {
	var found *segment
	for _, seg := range s.all {
		if seg.priority >= p && (found == nil || seg.priority > found.priority) {
			found = seg
		}
	}
	return found
}

// done marks an entry as arrived. An error means that it may be sent again after
// a restart, which the receiver's message id makes harmless.
func (s *spool) done(e *entry) {
	if e.done || e.dropped || e.segment == nil {
		return
	}
	e.done = true
	seg := e.segment
	seg.live--
	if seg.live > 0 || s.active[seg.priority] == seg {
		before := seg.size
		if err := seg.add(recordDone, binary.BigEndian.AppendUint32(nil, uint32(e.place))); err != nil {
			s.log.Debug("an acknowledgement is not on disk: the alert may be sent twice", "error", err)
		}
		s.size += seg.size - before
		if seg.size >= s.roll && s.active[seg.priority] == seg {
			s.active[seg.priority] = nil
		}
	}
	s.tidy(seg)
}

// tidy removes a file of which nothing is needed any more.
func (s *spool) tidy(seg *segment) {
	if seg.live == 0 && s.active[seg.priority] != seg {
		s.remove(seg)
	}
}

func (s *spool) remove(seg *segment) {
	for i, other := range s.all {
		if other == seg {
			s.all = append(s.all[:i], s.all[i+1:]...)
			break
		}
	}
	if s.active[seg.priority] == seg {
		s.active[seg.priority] = nil
	}
	s.size -= seg.size
	if err := seg.remove(); err != nil {
		s.log.Warn("a file of the spool cannot be removed", "file", seg.path, "error", err)
	}
}

// close keeps what is not acknowledged for the next start.
func (s *spool) close() error {
	s.active = [alert.Debug + 1]*segment{}
	for _, seg := range append([]*segment(nil), s.all...) {
		s.tidy(seg)
	}
	var errs []error
	for _, seg := range s.all {
		errs = append(errs, seg.file.Close())
	}
	s.all = nil
	return errors.Join(append(errs, s.lock.Close())...)
}
