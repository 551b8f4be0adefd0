package scap_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/capture/scap"
	"riposte/agent/capture/scap/synth"
	"riposte/agent/event"
)

// BenchmarkReplay is the cost of reading and of the tables for a busy node's calls:
// with no event looked at, with those that Falco's stable rules look at, and with all.
func BenchmarkReplay(b *testing.B) {
	var file bytes.Buffer
	sum, err := synth.Write(&file, synth.Options{})
	require.NoError(b, err)
	for name, types := range map[string][]event.Type{
		"none": {}, "all": nil,
		"rules": {
			event.Open, event.Openat, event.Openat2, event.Execve, event.Execveat, event.Connect, event.SocketCall, event.Dup, event.Dup2, event.Dup3,
			event.Ptrace, event.Symlink, event.Symlinkat, event.Link, event.Linkat, event.InitModule, event.FinitModule, event.Sendto, event.Sendmsg,
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s, err := scap.Open(bytes.NewReader(file.Bytes()), scap.Options{Types: types})
				require.NoError(b, err)
				require.NoError(b, s.Run(b.Context(), func(*event.Event) {}))
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(sum.Exits), "ns/call")
		})
	}
}
