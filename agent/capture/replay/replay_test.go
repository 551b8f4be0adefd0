package replay_test

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/agent/capture/replay"
	"riposte/agent/event"
)

const header = `{"riposte_recording":1}` + "\n"

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"empty":        {"", `recording: line 1: the file is empty; a recording begins with {"riposte_recording": 1}`},
		"other file":   {`{"a":1}`, `recording: line 1: not a recording; the first line must hold "riposte_recording"`},
		"no JSON":      {header + "x\n", "recording: line 2: invalid character 'x' looking for beginning of value"},
		"newer":        {`{"riposte_recording":2}`, "recording: line 1: format version 2, this program reads 1"},
		"unknown type": {header + `{"type":"gettid","event":{}}`, `recording: line 2: unknown event type "gettid"`},
		"neither":      {header + `{}`, `recording: line 2: neither an "event" nor a "cgroup"`},
		"wrong member": {header + `{"type":"open","event":{"Ret":"x"}}`, "recording: line 2: json: cannot unmarshal string into Go struct field Event.Ret of type int64"},
		"disorder": {
			header + `{"type":"open","event":{"KernelNS":9000000000}}` + "\n" + `{"type":"open","event":{"KernelNS":1}}`,
			"recording: line 3: the event is older than that of line 2",
		},
		"long line": {header + strings.Repeat("x", 2<<20), "recording: line 2: bufio.Scanner: token too long"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := replay.Open(strings.NewReader(c.text), replay.Options{})
			require.EqualError(t, err, c.want)
		})
	}
}

// TestTimes checks that a long pause is cut and that a process keeps one start time.
func TestTimes(t *testing.T) {
	t.Parallel()
	src, err := replay.Open(strings.NewReader(header+
		`{"type":"clone","event":{"KernelNS":100000000000,"Task":{"PID":1,"StartNS":5},"Fork":{"PID":2,"StartNS":99999999000}}}`+"\n"+
		`{"type":"open","event":{"KernelNS":100001000000,"Task":{"PID":2,"StartNS":99999999000}}}`+"\n"+
		`{"type":"open","event":{"KernelNS":160001000000,"Task":{"PID":2,"StartNS":99999999000}}}`+"\n"),
		replay.Options{Instant: true})
	require.NoError(t, err)
	var got []event.Event
	require.NoError(t, src.Run(t.Context(), func(e *event.Event) { got = append(got, *e) }))
	require.Len(t, got, 3)
	require.Equal(t, time.Millisecond, time.Duration(got[1].KernelNS-got[0].KernelNS))
	require.Equal(t, 250*time.Millisecond, time.Duration(got[2].KernelNS-got[1].KernelNS))
	require.Equal(t, got[0].Fork.StartNS, got[1].Task.StartNS)
	require.Equal(t, got[1].Task.StartNS, got[2].Task.StartNS)
	require.Equal(t, uint64(1000), got[0].KernelNS-got[0].Fork.StartNS)
	require.NotZero(t, got[0].Task.StartNS)
	require.Equal(t, []uint64{1, 2, 3}, []uint64{got[0].Num, got[1].Num, got[2].Num})
	require.WithinDuration(t, time.Now(), time.Unix(0, got[0].TimeNS), 5*time.Second)
}

func TestCloseEndsRun(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*replay.Source, context.CancelFunc){
		"close":  func(s *replay.Source, _ context.CancelFunc) { _ = s.Close() },
		"cancel": func(_ *replay.Source, cancel context.CancelFunc) { cancel() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src, err := replay.Open(strings.NewReader(header+
				`{"type":"open","event":{"KernelNS":1}}`+"\n"+
				`{"type":"open","event":{"KernelNS":3600000000000}}`+"\n"), replay.Options{MaxGap: time.Hour})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			seen, done := make(chan struct{}, 2), make(chan error)
			go func() { done <- src.Run(ctx, func(*event.Event) { seen <- struct{}{} }) }()
			<-seen
			end(src, cancel)
			require.NoError(t, <-done)
			require.Empty(t, seen)
		})
	}
}

func FuzzOpen(f *testing.F) {
	drill, err := os.ReadFile("drill.jsonl")
	require.NoError(f, err)
	f.Add(drill)
	f.Add([]byte(header))
	f.Add([]byte(header + `{"cgroup":{"id":1,"path":"/"}}` + "\n" + `{"type":"open","event":{"KernelNS":1}}`))
	f.Add([]byte(`{"riposte_recording":1,"processes":[{"Process":{"PID":1}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		src, err := replay.Open(bytes.NewReader(text), replay.Options{Instant: true})
		if err != nil {
			return
		}
		src.Recording()
		require.NoError(t, src.Run(t.Context(), func(e *event.Event) {
			require.True(t, e.Recorded)
			require.NotZero(t, e.KernelNS)
		}))
	})
}
