// Package child starts programs that end when we end, however we end.
package child

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// Process is a started program.
type Process struct {
	*os.Process
	exited chan struct{}
	err    error
}

// Start starts cmd; the kernel sends it sig should this process die first.
func Start(cmd *exec.Cmd, sig syscall.Signal) (*Process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = sig
	p := &Process{exited: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel watches the thread that started the program, not the process:
		// the thread has to live as long as the program.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		p.Process = cmd.Process
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.exited)
		}
	}()
	return p, <-started
}

// Exited is closed when the program has ended and was waited for.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Err is how the program ended, as exec.Cmd's Wait says; ask after Exited.
func (p *Process) Err() error { return p.err }
