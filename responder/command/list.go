package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"riposte/responder/api"
	"riposte/responder/api/client"
)

// maxLimit is the most that --limit takes: more is a job for --since.
const maxLimit = 100_000

// listing is one "list" command: what it lists and how.
type listing[T any] struct {
	header []string
	row    func(*printer, T) []string
	// fetch reads one page, filtered by the flags.
	fetch func(ctx context.Context, c *client.Client, limit int, before string) (api.Page[T], error)
	// event is the name of the events that change the list, decode their data, keep
	// the flags' filter.
	event  string
	decode func(client.Event) (T, error)
	keep   func(T) bool
	// others are forms of output beside those of every list, by their names.
	others map[string]func(out io.Writer, items []T) error
	// key tells one state of an item from every other.
	key func(T) string

	printer printer
	limit   int
	watch   bool
}

func (l *listing[T]) flags(c *cobra.Command, noun string) {
	l.pageFlags(c, noun)
	c.Flags().BoolVarP(&l.watch, "watch", "w", false, "go on and print what comes, until Ctrl-C")
}

// pageFlags are those of a list that has no events to watch.
func (l *listing[T]) pageFlags(c *cobra.Command, noun string) {
	printerFlags(c, &l.printer)
	if len(l.others) > 0 {
		names := append(slices.Clone(forms), slices.Sorted(maps.Keys(l.others))...)
		flag := c.Flags().Lookup("output")
		flag.Usage = "form of the output: " + strings.Join(names, ", ")
		l.printer.others = names[len(forms):]
	}
	c.Flags().IntVar(&l.limit, "limit", 50, "how many "+noun+" at most")
}

func (l *listing[T]) run(cmd *cobra.Command, _ []string) error {
	write := l.others[l.printer.form]
	if write != nil {
		l.printer.form = "json"
	}
	if err := l.printer.begin(cmd); err != nil {
		return err
	}
	if l.watch && write != nil {
		return errors.New("--watch writes rows as they come: use table, json or yaml")
	}
	if l.limit < 1 || l.limit > maxLimit {
		return fmt.Errorf("--limit: %d is no number from 1 to %d", l.limit, maxLimit)
	}
	return call(cmd, func(ctx context.Context, c *client.Client) error {
		if l.watch {
			return l.follow(ctx, cmd, c)
		}
		items, more, err := l.read(ctx, c)
		if err != nil {
			return err
		}
		if write == nil {
			write = func(_ io.Writer, items []T) error { return list(&l.printer, l.header, items, l.cells) }
		}
		if err := write(cmd.OutOrStdout(), items); err != nil {
			return err
		}
		if more {
			fmt.Fprintf(cmd.ErrOrStderr(), "There is more: raise --limit, or narrow the list with a filter.\n")
		}
		return nil
	})
}

func (l *listing[T]) cells(item T) []string { return l.row(&l.printer, item) }

// read joins pages until there are enough.
func (l *listing[T]) read(ctx context.Context, c *client.Client) (items []T, more bool, err error) {
	items = []T{} // an empty JSON list is [], not null
	for before := ""; len(items) < l.limit; {
		p, err := l.fetch(ctx, c, min(l.limit-len(items), api.MaxPage), before)
		if err != nil {
			return nil, false, err
		}
		items = append(items, p.Items...)
		if before = p.Next; before == "" {
			return items, false, nil
		}
	}
	return items, true, nil
}

// follow prints the list, oldest first, and then what comes. The stream is open
// before the list is read, so that nothing falls between the two.
func (l *listing[T]) follow(ctx context.Context, cmd *cobra.Command, c *client.Client) error {
	next, stop := iter.Pull2(c.Events(ctx, ""))
	defer stop()
	if _, err, more := next(); err != nil || !more {
		return err
	}
	items, _, err := l.read(ctx, c)
	if err != nil {
		return err
	}
	told := map[string]bool{}
	if l.printer.form == "table" {
		rows := make([][]string, 0, len(items))
		for _, item := range slices.Backward(items) {
			rows = append(rows, l.cells(item))
			told[l.key(item)] = true
		}
		if err := l.printer.table(l.header, rows); err != nil {
			return err
		}
	} else {
		for _, item := range slices.Backward(items) {
			told[l.key(item)] = true
			if err := one(&l.printer, item, l.cells); err != nil {
				return err
			}
		}
	}
	for {
		e, err, more := next()
		switch {
		case !more:
			return nil // Ctrl-C
		case err != nil:
			if e, over := fatal(err); over {
				return e
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s; connecting again\n", visible(err.Error()))
		case e.Name == api.EventReset:
			fmt.Fprintln(cmd.ErrOrStderr(), "Too much happened to print it all; list it without --watch.")
		case e.Name == l.event:
			item, err := l.decode(e)
			if err != nil {
				return fmt.Errorf("read an event: %w", err)
			}
			if !l.keep(item) || told[l.key(item)] {
				continue
			}
			if err := one(&l.printer, item, l.cells); err != nil {
				return err
			}
		}
	}
}

// since reads --since: a moment, or how long ago it was.
func since(value string, now time.Time) (time.Time, error) { return moment("since", value, now) }

func moment(flag, value string, now time.Time) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, value); err == nil {
		return t, nil
	}
	if days, ok := strings.CutSuffix(value, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 100_000 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(value); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, fmt.Errorf("--%s: %q is neither a time such as 2006-01-02T15:04:05Z nor a duration such as 90m, 24h or 7d", flag, value)
}

// equal says that a filter, if it is given, fits.
func equal(filter, value string) bool { return filter == "" || filter == value }
