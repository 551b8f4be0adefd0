package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	// wideHeader and wide are the columns that -o wide and csv add.
	wideHeader []string
	wide       func(*printer, T) []string
	// name is what other commands call an item.
	name func(T) string
	// fetch reads one page, filtered by the flags.
	fetch func(ctx context.Context, c *client.Client, limit int, before string) (api.Page[T], error)
	// event is the name of the events that change the list, decode their data, keep
	// the flags' filter. Without one, a watch reads the list again when something happens.
	event  string
	decode func(client.Event) (T, error)
	keep   func(T) bool
	// others are forms of output beside those of every list, by their names.
	others map[string]func(out io.Writer, items []T) error
	// key tells one state of an item from every other; without it all of it does.
	key func(T) string

	printer printer
	limit   int
	watch   bool
}

// flags are those of every list that has pages.
func (l *listing[T]) flags(c *cobra.Command, noun string) {
	l.outputFlags(c)
	c.Flags().IntVar(&l.limit, "limit", 50, "how many "+noun+" at most")
}

// outputFlags are those of every list.
func (l *listing[T]) outputFlags(c *cobra.Command) {
	printerFlags(c, &l.printer)
	own := slices.Concat(listForms, slices.Sorted(maps.Keys(l.others)))
	slices.Sort(own)
	l.printer.offer(c, slices.Compact(own)...)
	c.Flags().BoolVarP(&l.watch, "watch", "w", false, "go on and show what changes, until Ctrl-C")
}

func (l *listing[T]) run(cmd *cobra.Command, _ []string) error {
	if err := l.printer.begin(cmd); err != nil {
		return err
	}
	if l.limit < 1 || l.limit > maxLimit {
		return badFlag(fmt.Errorf("--limit: %d is no number from 1 to %d", l.limit, maxLimit))
	}
	_, own := l.others[l.printer.form]
	if l.watch && (own || l.printer.form == "csv") {
		return badFlag(errors.New("--watch writes rows as they come: use table, wide, name, json, yaml or jsonpath"))
	}
	return call(cmd, func(ctx context.Context, c *client.Client) error {
		if l.watch {
			return l.follow(ctx, cmd, c)
		}
		items, more, err := l.read(ctx, c)
		if err != nil {
			return err
		}
		if err := l.write(cmd.OutOrStdout(), items); err != nil {
			return err
		}
		if more {
			fmt.Fprintf(cmd.ErrOrStderr(), "There is more: raise --limit, or narrow the list with a filter.\n")
		}
		return nil
	})
}

// write writes the whole list.
func (l *listing[T]) write(out io.Writer, items []T) error {
	if write := l.others[l.printer.form]; write != nil {
		return write(out, items)
	}
	if l.printer.form == "name" {
		for _, item := range items {
			if err := l.one(item); err != nil {
				return err
			}
		}
		return nil
	}
	return list(&l.printer, l.columns(), items, l.cells)
}

// one writes an item of a stream.
func (l *listing[T]) one(item T) error {
	if l.printer.form == "name" {
		_, err := fmt.Fprintln(l.printer.out, visible(l.name(item)))
		return err
	}
	return one(&l.printer, item, l.cells)
}

// isWide says that the columns for who asks for them are there.
func (l *listing[T]) isWide() bool {
	return l.wide != nil && (l.printer.form == "wide" || l.printer.form == "csv")
}

func (l *listing[T]) columns() []string {
	if l.isWide() {
		return slices.Concat(l.header, l.wideHeader)
	}
	return l.header
}

func (l *listing[T]) cells(item T) []string {
	cells := l.row(&l.printer, item)
	if l.isWide() {
		cells = append(cells, l.wide(&l.printer, item)...)
	}
	return cells
}

func (l *listing[T]) state(item T) string {
	if l.key != nil {
		return l.key(item)
	}
	b, err := json.Marshal(item)
	if err != nil {
		return l.name(item) // a resource that came as JSON is JSON
	}
	return string(b)
}

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
	return time.Time{}, badFlag(fmt.Errorf("--%s: %q is neither a time such as 2006-01-02T15:04:05Z nor a duration such as 90m, 24h or 7d", flag, value))
}

// equal says that a filter, if it is given, fits.
func equal(filter, value string) bool { return filter == "" || filter == value }
