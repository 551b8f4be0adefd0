package command

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

// A list without events of its own is read again this soon after something happened,
// and this often if nothing does: heartbeats, for one, are not told.
const (
	rereadAfter = time.Second
	rereadEvery = 10 * time.Second
)

// view shows a list that changes.
type view[T any] interface {
	// all shows the list, newest first, one an item that has changed or come.
	all(items []T) error
	one(item T) error
}

// heard is what the event stream said.
type heard struct {
	event client.Event
	err   error
}

// follow shows the list and then what comes. The stream is open before the list is
// read, so that nothing falls between the two; when it breaks it goes on after the last
// event.
func (l *listing[T]) follow(ctx context.Context, cmd *cobra.Command, c *client.Client) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	events := make(chan heard)
	go func() { // ends with ctx, which this function's end cancels
		defer close(events)
		for e, err := range c.Events(ctx, "") {
			select {
			case events <- heard{e, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	if first, more := <-events; !more || first.err != nil {
		return first.err
	}
	v, end := l.view()
	defer end()
	read := func() error {
		items, _, err := l.read(ctx, c)
		if err != nil {
			return err
		}
		return v.all(items)
	}
	if err := read(); err != nil {
		return err
	}
	again := time.NewTimer(rereadEvery)
	defer again.Stop()
	for {
		var err error
		select {
		case e, more := <-events:
			switch {
			case !more:
				return nil // Ctrl-C
			case e.err == nil:
				err = l.take(cmd, v, e.event, again)
			case isFinal(e.err):
				return e.err
			default:
				fmt.Fprintf(cmd.ErrOrStderr(), "%s; connecting again\n", visible(e.err.Error()))
			}
		case <-again.C:
			if l.event == "" {
				again.Reset(rereadEvery)
				if err = read(); codeOf(err) == exitUnreachable {
					err = nil // the stream, which is broken too, says so
				}
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return err
		}
	}
}

// take shows what one event says.
func (l *listing[T]) take(cmd *cobra.Command, v view[T], e client.Event, again *time.Timer) error {
	switch {
	case l.event == "":
		if e.Name != api.EventReady {
			again.Reset(rereadAfter)
		}
	case e.Name == api.EventReset:
		fmt.Fprintln(cmd.ErrOrStderr(), "Too much happened to show it all; list it without --watch.")
	case e.Name == l.event:
		item, err := l.decode(e)
		if err != nil {
			return fmt.Errorf("read an event: %w", err)
		}
		if l.keep(item) {
			return v.one(item)
		}
	}
	return nil
}

// view is a screen that is drawn again for a person at a terminal, and else lines.
func (l *listing[T]) view() (v view[T], end func()) {
	if f, ok := l.printer.out.(*os.File); ok && l.printer.text() && isTerminal(f) {
		_, _ = io.WriteString(f, noWrap)
		return &screen[T]{listing: l, terminal: f}, func() { _, _ = io.WriteString(f, wrap) }
	}
	return &appended[T]{listing: l}, func() {}
}

// appended prints the list, the oldest first, and then each change.
type appended[T any] struct {
	*listing[T]
	// told are the states in the list as it was read last.
	told map[string]bool
	// begun says that the header is out.
	begun bool
}

func (v *appended[T]) all(items []T) error {
	states := make(map[string]bool, len(items))
	var fresh []T
	for _, item := range slices.Backward(items) {
		states[v.state(item)] = true
		if !v.told[v.state(item)] {
			fresh = append(fresh, item)
		}
	}
	v.told = states
	if !v.begun && v.printer.text() {
		v.begun = true
		rows := make([][]string, len(fresh))
		for i, item := range fresh {
			rows[i] = v.cells(item)
		}
		return v.printer.table(v.columns(), rows)
	}
	for _, item := range fresh {
		if err := v.listing.one(item); err != nil {
			return err
		}
	}
	return nil
}

func (v *appended[T]) one(item T) error {
	if v.told[v.state(item)] {
		return nil
	}
	return v.listing.one(item)
}

// What a terminal is told: to go to its upper left and clear what is below, to show a
// cursor's line or what is right of it no longer, and not to break long lines.
const (
	home     = "\x1b[H"
	clearEnd = "\x1b[J"
	noWrap   = "\x1b[?7l"
	wrap     = "\x1b[?7h"
)

// screen draws the newest of the list again, as many as there is room for.
type screen[T any] struct {
	*listing[T]
	terminal *os.File
	items    []T
}

func (v *screen[T]) all(items []T) error {
	v.items = items
	return v.draw()
}

func (v *screen[T]) one(item T) error {
	name := v.name(item)
	i := slices.IndexFunc(v.items, func(other T) bool { return v.name(other) == name })
	if i >= 0 {
		v.items[i] = item
	} else {
		v.items = slices.Insert(v.items, 0, item)
		v.items = v.items[:min(len(v.items), v.limit)]
	}
	return v.draw()
}

// draw writes the screen at once, so that it does not flicker.
func (v *screen[T]) draw() error {
	items := v.items
	if _, height, err := term.GetSize(int(v.terminal.Fd())); err == nil && height > 2 {
		items = items[:min(len(items), height-2)]
	}
	rows := make([][]string, len(items))
	for i, item := range items {
		rows[i] = v.cells(item)
	}
	var b strings.Builder
	p := v.printer
	p.out = &b
	if err := p.table(v.columns(), rows); err != nil {
		return err
	}
	_, err := io.WriteString(v.terminal, home+clearEnd+b.String())
	return err
}
