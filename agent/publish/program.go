package publish

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ProgramOptions configure the sink of a program.
type ProgramOptions struct {
	// Command is run by sh, as the administrator wrote it. Nothing of an alert gets
	// into it: alerts are the program's standard input and nothing else.
	Command string
	// KeepAlive runs one program for all alerts, not one for each.
	KeepAlive bool
	// Timeout bounds how long the program has to end after its input did, 2 s if 0.
	Timeout time.Duration
	// Stdout and Stderr are the program's; the agent's if nil.
	Stdout, Stderr io.Writer
}

// program writes alerts to a program's standard input, one a line.
type program struct {
	opt   ProgramOptions
	cmd   *exec.Cmd
	input *os.File
	ended chan error
}

// OpenProgram makes the Sink of a program. It is started with the first alert.
func OpenProgram(opt ProgramOptions) Sink {
	opt.Timeout = cmp.Or(opt.Timeout, 2*time.Second)
	if opt.Stdout == nil {
		opt.Stdout = os.Stdout
	}
	if opt.Stderr == nil {
		opt.Stderr = os.Stderr
	}
	return &program{opt: opt}
}

func (p *program) start() error {
	if p.cmd != nil {
		select {
		case <-p.ended: // by itself
			p.cmd = nil
			if err := p.input.Close(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.Command("sh", "-c", p.opt.Command)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r, p.opt.Stdout, p.opt.Stderr
	// A group of its own: what the shell has started ends with it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = p.opt.Timeout
	err = cmd.Start()
	r.Close()
	if err != nil {
		return errors.Join(fmt.Errorf("start the program: %w", err), w.Close())
	}
	p.cmd, p.input, p.ended = cmd, w, make(chan error, 1)
	go func(ended chan<- error) { ended <- cmd.Wait() }(p.ended)
	return nil
}

func (p *program) Send(ctx context.Context, m Message) error {
	fresh := p.cmd == nil
	err := p.write(ctx, m.Line)
	if errors.Is(err, syscall.EPIPE) && !fresh {
		// It ended since the last alert, without a word.
		err = p.write(ctx, m.Line)
	}
	if err != nil || p.opt.KeepAlive {
		return err
	}
	patience := p.opt.Timeout
	if deadline, ok := ctx.Deadline(); ok {
		patience = time.Until(deadline)
	}
	return p.stop(patience)
}

// write hands over a line. After an error the program is ended: how much of the
// line it has read is not known.
func (p *program) write(ctx context.Context, line []byte) error {
	if err := p.start(); err != nil {
		return err
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(p.opt.Timeout)
	}
	err := p.input.SetWriteDeadline(deadline)
	if err == nil {
		_, err = p.input.Write(line)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write to the program: %w", err), p.stop(0))
	}
	return nil
}

// stop ends the input, gives the program a while to end by itself and ends it then.
func (p *program) stop(patience time.Duration) error {
	if p.cmd == nil {
		return nil
	}
	cmd, ended := p.cmd, p.ended
	err := p.input.Close()
	p.cmd, p.input, p.ended = nil, nil, nil
	timer := time.NewTimer(max(patience, 0))
	defer timer.Stop()
	select {
	case e := <-ended:
		if e != nil {
			err = errors.Join(err, fmt.Errorf("the program ended with: %w", e))
		}
		return err
	case <-timer.C:
	}
	// The group keeps its number as long as one of its processes is left.
	kill := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	<-ended
	if errors.Is(kill, syscall.ESRCH) {
		kill = nil
	}
	return errors.Join(err, kill, fmt.Errorf("the program did not end within %s and was killed", max(patience, 0).Round(time.Millisecond)))
}

// Reopen ends the program; the next alert starts a new one.
func (p *program) Reopen() error { return p.stop(p.opt.Timeout) }
func (p *program) Close() error  { return p.stop(p.opt.Timeout) }
