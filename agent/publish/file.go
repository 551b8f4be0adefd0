package publish

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// FileOptions configure the sink of a file.
type FileOptions struct {
	Name string
	// KeepAlive keeps the file open between alerts, until Reopen.
	KeepAlive bool
}

// file appends alerts to a file, one a line.
type file struct {
	opt FileOptions
	f   *os.File
	// torn says that the last line may have no end, because the disk was full.
	torn bool
}

// OpenFile makes the Sink of a file, and the file if there is none: only the
// agent's user can read a new one, for command lines may hold secrets.
func OpenFile(opt FileOptions) (Sink, error) {
	s := &file{opt: opt}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("open the file of alerts: %w", err)
	}
	if !opt.KeepAlive {
		return s, s.Close()
	}
	return s, nil
}

func (s *file) open() (err error) {
	if s.f != nil {
		return nil
	}
	s.f, err = os.OpenFile(s.opt.Name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	return err
}

func (s *file) Send(_ context.Context, m Message) error {
	if err := s.open(); err != nil {
		return err
	}
	line := m.Line
	if s.torn {
		line = append([]byte{'\n'}, line...)
	}
	n, err := s.f.Write(line)
	if n > 0 {
		s.torn = n < len(line)
	}
	if err != nil || !s.opt.KeepAlive {
		err = errors.Join(err, s.Close())
	}
	return err
}

func (s *file) Reopen() error { return errors.Join(s.Close(), s.reopen()) }

// reopen makes the new file at once, so that a rotation sees it come.
func (s *file) reopen() error {
	s.torn = false
	if !s.opt.KeepAlive {
		return nil
	}
	return s.open()
}

func (s *file) Close() error {
	if s.f == nil {
		return nil
	}
	f := s.f
	s.f = nil
	return f.Close()
}
