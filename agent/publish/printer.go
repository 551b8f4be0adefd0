package publish

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync/atomic"
	"time"

	"riposte/agent/alert"
)

// Format is how alerts are printed.
type Format string

// Formats of a Printer.
const (
	// Text is Falco's line: time, priority, message.
	Text Format = "text"
	// JSON is Falco's object, one a line.
	JSON Format = "json"
)

// ParseFormat reads a format's name.
func ParseFormat(s string) (Format, error) {
	if f := Format(s); f == Text || f == JSON {
		return f, nil
	}
	return "", fmt.Errorf("unknown output format %q: use text or json", s)
}

// PrinterOptions configure a Printer.
type PrinterOptions struct {
	To     io.Writer
	Format Format
	// IncludeRiposte adds "uuid" and "riposte" to Falco's keys; JSON only.
	IncludeRiposte bool
	Log            *slog.Logger
}

// Printer writes alerts, one a line, to a writer that may be slow.
type Printer struct {
	opt   PrinterOptions
	lines chan []byte
	// full counts lines that a slow writer had no room for, failed those it refused.
	full, failed atomic.Uint64
}

const (
	// printerLines bounds what waits for a slow writer.
	printerLines = 1024
	// printerDrain bounds how long the end waits for it.
	printerDrain = time.Second
)

// NewPrinter makes a Printer; call Run to start it.
func NewPrinter(opt PrinterOptions) *Printer {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	return &Printer{opt: opt, lines: make(chan []byte, printerLines)}
}

// Put takes one alert and never waits: what the writer has no room for is
// dropped and counted.
func (p *Printer) Put(a *alert.Alert) error {
	line, err := p.line(a)
	if err != nil {
		return fmt.Errorf("encode the alert of rule %q: %w", a.Rule, err)
	}
	select {
	case p.lines <- append(line, '\n'):
	default:
		p.full.Add(1)
	}
	return nil
}

func (p *Printer) line(a *alert.Alert) ([]byte, error) {
	switch {
	case p.opt.Format == Text:
		return []byte(Escape(a.Output)), nil
	case p.opt.IncludeRiposte:
		return a.MarshalJSON()
	}
	return a.FalcoJSON()
}

// Lost counts the alerts that were not printed, by the reason why.
func (p *Printer) Lost() map[string]uint64 {
	all := map[string]uint64{}
	if n := p.full.Load(); n > 0 {
		all["output_queue_full"] = n
	}
	if n := p.failed.Load(); n > 0 {
		all["output_failed"] = n
	}
	return all
}

// Run prints until ctx ends, and then what is queued, for a bounded time: a
// writer that hangs is left behind.
func (p *Printer) Run(ctx context.Context) error {
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.print(ctx)
	}()
	<-ctx.Done()
	select {
	case <-done:
	case <-time.After(printerDrain):
		p.opt.Log.Warn("the output does not take its last alerts", "lines", len(p.lines))
	}
	return nil
}

func (p *Printer) print(ctx context.Context) {
	broken := false
	for {
		var line []byte
		select {
		case line = <-p.lines:
		case <-ctx.Done():
			if len(p.lines) == 0 {
				return
			}
			line = <-p.lines
		}
		_, err := p.opt.To.Write(line)
		if err != nil {
			p.failed.Add(1)
		}
		if (err != nil) != broken {
			broken = err != nil
			p.opt.Log.Log(ctx, slog.LevelWarn, "the output's state changed", "works", !broken, "error", err)
		}
	}
}
