package publish

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"strconv"
	"strings"

	"riposte/agent/alert"
)

// A segment is one file of alerts of one priority. It holds puts and, behind
// them, the acknowledgements of its own puts, so that every file can be read and
// removed by itself. Each record is
//
//	type (1) · length of the payload (4) · CRC-32C of type and payload (4) · payload
//
// with big-endian numbers. A put's payload is a message, an acknowledgement's the
// put's place in the file (4). A record that SIGKILL tore is the file's last.
type segment struct {
	priority alert.Priority
	num      uint64
	path     string
	file     *os.File
	size     int64
	// puts counts the alerts written, live those among them that nobody acknowledged.
	puts, live int
	entries    []*entry
}

const (
	recordPut  byte = 'p'
	recordDone byte = 'd'
	headBytes       = 9
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// message is one alert as it goes to the bus.
type message struct {
	subject, id string
	body        []byte
}

// maxPayload is more than any put: subject and id are names of nodes, which
// Kubernetes bounds far below.
const maxPayload = alert.MaxBytes + 2*maxName

const maxName = 4 << 10

func (m message) payload() []byte {
	b := make([]byte, 0, 4+len(m.subject)+len(m.id)+len(m.body))
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.subject)))
	b = append(b, m.subject...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(m.id)))
	b = append(b, m.id...)
	return append(b, m.body...)
}

// runOf reads the run and the number off an alert's message id, <node>/<boot>/<seq>.
func runOf(id string) (run string, seq uint64) {
	rest, number := cutLast(id)
	_, run = cutLast(rest)
	seq, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return "", 0
	}
	return run, seq
}

func cutLast(s string) (before, after string) {
	if i := strings.LastIndexByte(s, '/'); i >= 0 {
		return s[:i], s[i+1:]
	}
	return s, ""
}

var errPayload = errors.New("a record's payload has a wrong shape")

func parseMessage(b []byte) (message, error) {
	subject, b, err := cut(b)
	if err != nil {
		return message{}, err
	}
	id, b, err := cut(b)
	return message{subject: string(subject), id: string(id), body: b}, err
}

func cut(b []byte) (text, rest []byte, err error) {
	if len(b) < 2 {
		return nil, nil, errPayload
	}
	n := int(binary.BigEndian.Uint16(b))
	if b = b[2:]; len(b) < n {
		return nil, nil, errPayload
	}
	return b[:n], b[n:], nil
}

func record(kind byte, payload []byte) []byte {
	b := make([]byte, headBytes, headBytes+len(payload))
	b[0] = kind
	binary.BigEndian.PutUint32(b[1:], uint32(len(payload)))
	binary.BigEndian.PutUint32(b[5:], checksum(kind, payload))
	return append(b, payload...)
}

func checksum(kind byte, payload []byte) uint32 {
	return crc32.Update(crc32.Update(0, castagnoli, []byte{kind}), castagnoli, payload)
}

// scan walks the records of a file's content and returns how many of its bytes
// are whole. What follows them was torn or damaged.
func scan(b []byte, put func(offset int64, payload []byte), done func(place int)) (whole int64) {
	for at := 0; ; {
		if len(b)-at < headBytes {
			return int64(at)
		}
		kind, n := b[at], int(binary.BigEndian.Uint32(b[at+1:]))
		if n > maxPayload || len(b)-at-headBytes < n {
			return int64(at)
		}
		payload := b[at+headBytes : at+headBytes+n]
		if checksum(kind, payload) != binary.BigEndian.Uint32(b[at+5:]) {
			return int64(at)
		}
		switch {
		case kind == recordPut:
			put(int64(at), payload)
		case kind == recordDone && n == 4:
			done(int(binary.BigEndian.Uint32(payload)))
		default:
			return int64(at)
		}
		at += headBytes + n
	}
}

// add appends one record. After an error the file is as long as before.
func (s *segment) add(kind byte, payload []byte) error {
	b := record(kind, payload)
	if _, err := s.file.WriteAt(b, s.size); err != nil {
		return errors.Join(err, s.file.Truncate(s.size))
	}
	s.size += int64(len(b))
	return nil
}

// read returns a put again.
func (s *segment) read(e *entry) (message, error) {
	b := make([]byte, e.bytes)
	if _, err := s.file.ReadAt(b, e.offset); err != nil {
		return message{}, fmt.Errorf("read the spool: %w", err)
	}
	if payload := b[headBytes:]; checksum(b[0], payload) == binary.BigEndian.Uint32(b[5:]) {
		return parseMessage(payload)
	}
	return message{}, fmt.Errorf("read the spool: %s was changed at byte %d", s.path, e.offset)
}

func (s *segment) remove() error {
	return errors.Join(s.file.Close(), os.Remove(s.path))
}
