package publish

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
	"unicode/utf8"
)

// SyslogFormat is how a message to the syslog daemon is framed.
type SyslogFormat string

// Formats of syslog.
const (
	// RFC3164 is what every local daemon reads: no host's name, local time.
	RFC3164 SyslogFormat = "rfc3164"
	// RFC5424 has the host's name, and the time with its zone.
	RFC5424 SyslogFormat = "rfc5424"
)

// SyslogOptions configure the sink of the syslog daemon.
type SyslogOptions struct {
	// Socket is the daemon's, /dev/log if empty.
	Socket string
	Format SyslogFormat
	// Hostname is ours, for RFC5424.
	Hostname string
}

const (
	// facility is LOG_USER, as for any program that says no other.
	facility = 1
	// cutTo is the length to which a message is cut that the socket refuses as too
	// long: an attacker could make it so by a long command line.
	cutTo = 8 << 10
)

// syslog sends alerts to the daemon on this machine.
type syslog struct {
	opt  SyslogOptions
	conn net.Conn
	// stream says that messages need an end.
	stream bool
	cut    atomic.Uint64
}

// OpenSyslog makes the Sink of the syslog daemon. A daemon that is not there yet
// is no error: it is tried again with each alert.
func OpenSyslog(opt SyslogOptions) Sink {
	opt.Socket, opt.Format = cmp.Or(opt.Socket, "/dev/log"), cmp.Or(opt.Format, RFC3164)
	return &syslog{opt: opt}
}

// frame puts the header before a line. Falco's priorities are syslog's severities.
func (s *syslog) frame(m Message) []byte {
	pri, pid := facility<<3|int(m.Priority), os.Getpid()
	var b bytes.Buffer
	if s.opt.Format == RFC5424 {
		fmt.Fprintf(&b, "<%d>1 %s %s riposte %d - - ", pri, m.Time.Format("2006-01-02T15:04:05.000000Z07:00"), printable(s.opt.Hostname), pid)
	} else {
		fmt.Fprintf(&b, "<%d>%s riposte[%d]: ", pri, m.Time.Format(time.Stamp), pid)
	}
	b.Write(bytes.TrimSuffix(m.Line, []byte("\n")))
	return b.Bytes()
}

// printable makes a name fit for a header of RFC 5424.
func printable(name string) string {
	name = strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' {
			return -1
		}
		return r
	}, name)
	return cmp.Or(name[:min(len(name), 255)], "-")
}

func (s *syslog) Send(ctx context.Context, m Message) error {
	text := s.frame(m)
	fresh := s.conn == nil
	err := s.write(ctx, text)
	if errors.Is(err, syscall.EMSGSIZE) && len(text) > cutTo {
		n := cutTo
		for n > 0 && !utf8.RuneStart(text[n]) {
			n--
		}
		s.cut.Add(1)
		text = append(text[:n:n], "…"...)
		err = s.write(ctx, text)
	}
	if err != nil && !fresh && ctx.Err() == nil {
		// The daemon was restarted since: its new socket has the same name.
		err = s.write(ctx, text)
	}
	return err
}

func (s *syslog) write(ctx context.Context, text []byte) error {
	if err := s.dial(ctx); err != nil {
		return err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := s.conn.SetWriteDeadline(deadline); err != nil {
			return err
		}
	}
	if s.stream {
		text = append(slices.Clip(text), '\n')
	}
	_, err := s.conn.Write(text)
	if err != nil && !errors.Is(err, syscall.EMSGSIZE) {
		err = errors.Join(err, s.Close())
	}
	return err
}

func (s *syslog) dial(ctx context.Context) (err error) {
	if s.conn != nil {
		return nil
	}
	var d net.Dialer
	for _, network := range []string{"unixgram", "unix"} {
		var conn net.Conn
		if conn, err = d.DialContext(ctx, network, s.opt.Socket); err == nil {
			s.conn, s.stream = conn, network == "unix"
			return nil
		}
	}
	return err
}

func (s *syslog) Lost() map[string]uint64 {
	if n := s.cut.Load(); n > 0 {
		return map[string]uint64{"cut": n}
	}
	return nil
}

func (s *syslog) Reopen() error { return s.Close() }

func (s *syslog) Close() error {
	if s.conn == nil {
		return nil
	}
	conn := s.conn
	s.conn = nil
	return conn.Close()
}
