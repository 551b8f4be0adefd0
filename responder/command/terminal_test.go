package command

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"riposte/responder/api/apitest"
	"riposte/responder/store/storetest"
)

// On a terminal a watch draws the newest again, as many as there is room for.
func TestWatchOnATerminal(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	data := folder(t, e.URL, apitest.Token)
	for i := range 4 {
		e.Add(t, i)
	}
	t.Setenv("TERM", "xterm")
	t.Setenv("NO_COLOR", "")
	t.Setenv("CLICOLOR", "")
	reader, writer := terminal(t)
	require.NoError(t, unix.IoctlSetWinsize(int(writer.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 5, Col: 80})) // a header, three rows, the cursor
	var shown lines
	go func() { // ends with the terminal
		b := make([]byte, 4096)
		for {
			n, err := reader.Read(b)
			_, _ = shown.Write(b[:n])
			if err != nil {
				return
			}
		}
	}()
	// frames are what was drawn so far; the last may be half.
	frames := func() []string { return strings.Split(shown.String(), home+clearEnd)[1:] }
	await := func(what func([]string) bool) []string {
		t.Helper()
		require.Eventually(t, func() bool { return what(frames()) }, 30*time.Second, 5*time.Millisecond, "%q", shown.String())
		return frames()
	}
	ctx, cancel := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() {
		assertNoError(t, execute(ctx, writer, writer, "actions", "list", "--watch", "--utc", "--data", data))
	})
	got := await(func(f []string) bool { return len(f) == 1 && strings.Count(f[0], "\n") == 4 })
	require.Contains(t, got[0], "c00000000003")
	require.Contains(t, got[0], "c00000000001")
	require.NotContains(t, got[0], "c00000000000", "there is no room")
	require.Contains(t, got[0], well+"succeeded, verified"+reset)
	require.Contains(t, got[0], `Shell \x1b[2J\u202egnp.exe`)

	exec(t, e, `UPDATE actions SET state = 'failed', verified_ns = NULL WHERE id = $1`, apitest.ActionID(2))
	got = await(func(f []string) bool { return len(f) == 2 && strings.Count(f[1], "\n") == 4 })
	require.Equal(t, 1, strings.Count(got[1], "c00000000002"), "it changed where it was")
	require.Contains(t, got[1], grave+"failed"+reset)

	e.Add(t, 5)
	got = await(func(f []string) bool { return len(f) >= 3 && strings.Count(f[2], "\n") == 4 })
	require.Contains(t, strings.Split(got[2], "\n")[1], "c00000000005", "the newest is first")
	cancel()
	done.Wait()
	require.Eventually(t, func() bool { return strings.HasSuffix(shown.String(), wrap) }, 30*time.Second, 5*time.Millisecond)
}

// A list without events of its own is read again when something happens.
func TestWatchOfIncidents(t *testing.T) {
	e := apitest.Start(t, storetest.New(t))
	data := folder(t, e.URL, apitest.Token)
	e.Add(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	var out, errOut lines
	var done sync.WaitGroup
	done.Go(func() {
		assertNoError(t, execute(ctx, &out, &errOut, "incidents", "list", "--watch", "--utc", "--data", data))
	})
	out.await(t, 2)
	e.Add(t, 1)
	got := out.await(t, 3)
	require.Contains(t, got[2], "b00000000001")
	exec(t, e, `UPDATE incidents SET state = 'resolved' WHERE id = $1`, apitest.IncidentID(0))
	got = out.await(t, 4)
	require.Contains(t, got[3], "resolved")
	require.Contains(t, got[3], "b00000000000")
	cancel()
	done.Wait()
	require.Empty(t, errOut.String())
}
