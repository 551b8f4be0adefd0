package scap_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/capture/scap"
	"riposte/agent/event"
)

// busy is a capture of processes in containers that open, connect and start others.
func busy(rounds int) []byte {
	f := newFile(false)
	for i := range rounds {
		tid := int64(100 + i%500)
		if i < 500 {
			f.event(tid, 223, child(0, tid, tid, 1, 0, 1000)...)
		}
		for j := range 8 {
			f.event(tid, 307, int64(3), int64(-100), fmt.Sprintf("/usr/lib/%d/f%d", i%50, j), uint32(1), uint32(0), uint32(1), uint64(5))
			f.event(tid, 5, int64(0), int64(3))
		}
		f.event(tid, 19, int64(4), uint32(2), uint32(1), uint32(0))
		f.event(tid, 23, int64(0), inet(2, "10.0.0.1:4000", "10.0.0.2:80"), int64(4))
		f.event(tid, 293, program(0, "/bin/x", "-a\x00", tid, 1, cgroups, 1000)...)
	}
	return f.Bytes()
}

// BenchmarkReplay is the cost of reading and of the tables, with an event a round
// looked at and with all of them.
func BenchmarkReplay(b *testing.B) {
	file := busy(5000)
	for name, types := range map[string][]event.Type{"one": {event.Execve}, "all": nil} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var read uint64
			for b.Loop() {
				s, err := scap.Open(bytes.NewReader(file), scap.Options{Types: types})
				require.NoError(b, err)
				require.NoError(b, s.Run(b.Context(), func(*event.Event) {}))
				read = s.Read()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(read), "ns/event")
		})
	}
}
