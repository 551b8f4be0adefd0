package campaign

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/deploy/standalone/child"
)

// process is a running part, as the supervisor sees it.
type process interface {
	Exited() <-chan struct{}
	PID() int
}

// part is a process that is started again whenever it ends, as kubelet does.
type part struct {
	name  string
	start func() (process, error)

	mu sync.Mutex
	// kills are ours, ends the part's own.
	kills, pauses int
	ends          atomic.Int64
	running       process
	// down is until when a killed part stays away.
	down    time.Time
	stopped bool
	done    chan struct{}
}

// again is how long a part that ended waits for its next start.
const again = 300 * time.Millisecond

// supervise starts a part and keeps it running until the test ends.
func supervise(t *testing.T, name string, start func() (process, error)) *part {
	t.Helper()
	p := &part{name: name, start: start, done: make(chan struct{})}
	first, err := start()
	require.NoError(t, err, name)
	p.running = first
	go p.keep()
	t.Cleanup(p.stop)
	return p
}

// keep runs the part until stop. A part that does not start, because another is away,
// is started again too.
func (p *part) keep() {
	defer close(p.done)
	for {
		p.mu.Lock()
		running, wait, stopped := p.running, time.Until(p.down), p.stopped
		p.mu.Unlock()
		switch {
		case running != nil:
			<-running.Exited()
			p.mu.Lock()
			p.running = nil
			if time.Now().After(p.down) && !p.stopped {
				p.ends.Add(1)
			}
			p.mu.Unlock()
			continue
		case stopped:
			return
		}
		time.Sleep(max(wait, again)) // as a supervisor waits
		p.mu.Lock()
		if !p.stopped {
			if next, err := p.start(); err == nil {
				p.running = next
			} else {
				p.ends.Add(1)
			}
		}
		p.mu.Unlock()
	}
}

// fault kills or pauses the part. One that is not there cannot be.
func (p *part) fault(kind string, during time.Duration) {
	p.mu.Lock()
	running := p.running
	if running == nil {
		p.mu.Unlock()
		return
	}
	pids := family(running.PID())
	if kind == "kill" {
		p.kills++
		p.down = time.Now().Add(during)
		signal(pids, syscall.SIGKILL)
		p.mu.Unlock()
		return
	}
	p.pauses++
	signal(pids, syscall.SIGSTOP)
	p.mu.Unlock()
	time.Sleep(during) // the fault's length is the plan's
	signal(pids, syscall.SIGCONT)
}

func (p *part) stop() {
	p.mu.Lock()
	if p.stopped {
		p.mu.Unlock()
		return
	}
	p.stopped = true
	if p.running != nil {
		signal(family(p.running.PID()), syscall.SIGKILL)
	}
	p.mu.Unlock()
	<-p.done
}

// family is a process and its children: PostgreSQL has one for each connection, in
// process groups of their own. The parent comes first, so that it starts no more.
func family(pid int) []int {
	all := []int{pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range stats {
		b, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			child, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			all = append(all, child)
		}
	}
	return all
}

func signal(pids []int, s syscall.Signal) {
	for _, pid := range pids {
		_ = syscall.Kill(pid, s) // it may have ended
	}
}

// own is this test binary as one of the parts.
type own struct{ *child.Process }

// PID is the process's id.
func (o own) PID() int { return o.Pid }

// startOwn starts this test binary as a part.
func (c *campaign) startOwn(name, as string, args ...string) (process, error) {
	p, err := c.folder.Start(name, as, args...)
	if err != nil {
		return nil, err
	}
	return own{p}, nil
}
