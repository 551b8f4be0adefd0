//go:build linux

package capture_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"riposte/agent/capture"
	"riposte/agent/capture/actortest"
	"riposte/agent/event"
)

// onCPU is how long a process's first thread has run.
func onCPU(b *testing.B, pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/schedstat", pid, pid))
	require.NoError(b, err)
	first, _, _ := strings.Cut(string(text), " ")
	ns, err := strconv.ParseInt(first, 10, 64)
	require.NoError(b, err)
	return time.Duration(ns)
}

// BenchmarkOpenClose is what a tight loop of open and close costs its process, in its
// own CPU time (cpu-ns/op): without hooks, with hooks that want neither call, with a
// mask that leaves the open out, and with the open reported.
func BenchmarkOpenClose(b *testing.B) { cost(b, event.Openat, "open", "/etc/hostname") }

// BenchmarkSend is so a loop of sends over a connection, and of reads that nobody wants.
func BenchmarkSend(b *testing.B) { cost(b, event.Sendto, "send", "stream") }

// BenchmarkSendDatagram is so with datagrams: of these it is remembered which end of
// its conversation a socket is, also where nobody is told of them.
func BenchmarkSendDatagram(b *testing.B) { cost(b, event.Sendto, "send", "datagram") }

func cost(b *testing.B, typ event.Type, order, what string) {
	run := func(b *testing.B, a *actortest.Actor) {
		before := onCPU(b, a.PID)
		a.Do(order, what, strconv.Itoa(b.N))
		b.ReportMetric(float64(onCPU(b, a.PID)-before)/float64(b.N), "cpu-ns/op")
	}
	b.Run("alone", func(b *testing.B) { run(b, actortest.Start(b, "")) })
	for _, c := range []struct {
		name   string
		types  []event.Type
		masked bool
	}{
		{"unwanted", []event.Type{event.Unlinkat}, false},
		{"masked", []event.Type{typ}, true},
		{"reported", []event.Type{typ}, false},
	} {
		b.Run(c.name, func(b *testing.B) {
			src := open(b, capture.Options{Types: c.types}).(*capture.Live)
			require.NoError(b, src.VoidInterest())
			a := actortest.Start(b, "")
			ctx, cancel := context.WithCancel(b.Context())
			done := make(chan error, 1)
			go func() {
				done <- src.Run(ctx, func(e *event.Event) {
					// Again after each change of an ancestor, as the agent does.
					if c.masked && e.Task.PID == int32(a.PID) && e.Type == typ {
						assert.NoError(b, src.SetInterest(without(e)))
					}
				})
			}()
			before, _ := src.Masked()
			run(b, a)
			after, _ := src.Masked()
			cancel()
			require.NoError(b, <-done)
			lost := src.Lost()
			b.ReportMetric(float64(lost["ring_full"]+lost["shed"]+lost["shed_low"])/float64(b.N), "lost/op")
			b.ReportMetric(float64(after-before)/float64(b.N), "masked/op")
		})
	}
}
