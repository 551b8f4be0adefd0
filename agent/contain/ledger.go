package contain

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"time"

	"riposte/agent/order"
)

// Bounds of the ledger.
const (
	// An order is kept this long after it has ended: nobody repeats it then.
	keep = time.Hour
	// maxOrders bounds the orders kept, maxLines the file's lines between two
	// compactions.
	maxOrders = 4096
	maxLines  = 4 * maxOrders
)

// line is one JSON line of the ledger: an order begun, or its receipt.
type line struct {
	ID string `json:"id"`
	// Kind is empty for a kill that an older agent wrote down.
	Kind    order.Kind     `json:"kind,omitempty"`
	Expires time.Time      `json:"expires"`
	Target  order.Target   `json:"target"`
	Receipt *order.Receipt `json:"receipt,omitempty"`
}

func (l line) kind() order.Kind { return cmp.Or(l.Kind, order.Kill) }

// forgotten is when nobody repeats the order any more: an hour after it has expired
// and what it holds has ended.
func (l line) forgotten() time.Time {
	last := l.Expires
	if l.Receipt != nil && l.Receipt.LiftedNS == 0 {
		if until := time.Unix(0, l.Receipt.UntilNS); until.After(last) {
			last = until
		}
	}
	return last.Add(keep)
}

// ledger remembers the orders that were begun and what became of them, in a file
// that only grows and is rewritten now and then.
type ledger struct {
	name   string
	file   *os.File
	size   int64
	lines  int
	orders map[string]line
	now    func() time.Time
	log    *slog.Logger
}

func openLedger(dir string, now func() time.Time, log *slog.Logger) (*ledger, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the ledger of orders: %w", err)
	}
	l := &ledger{name: filepath.Join(dir, "orders.jsonl"), orders: map[string]line{}, now: now, log: log}
	if err := l.read(); err != nil {
		return nil, err
	}
	// Rewriting drops what is old and a last line that was torn.
	if err := l.compact(); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *ledger) read() error {
	f, err := os.Open(l.name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the ledger of orders: %w", err)
	}
	defer f.Close()
	r := bufio.NewReader(f)
	for n := 1; ; n++ {
		b, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil // b, if any, was torn
		}
		if err != nil {
			return fmt.Errorf("read the ledger of orders: %w", err)
		}
		var got line
		if err := json.Unmarshal(b, &got); err != nil || got.ID == "" {
			// A repeat of this order looks at its target again, which is safe.
			l.log.Warn("a line of the ledger of orders is damaged and is left out", "file", l.name, "line", n)
			continue
		}
		l.orders[got.ID] = got
	}
}

// add writes one line before it returns. Either the line is whole in the file or
// the file is as it was.
func (l *ledger) add(n line) error {
	if l.lines >= maxLines {
		if err := l.compact(); err != nil {
			return err
		}
	}
	b, err := json.Marshal(n)
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if _, err := l.file.WriteAt(b, l.size); err != nil {
		return errors.Join(fmt.Errorf("write the ledger of orders: %w", err), l.file.Truncate(l.size))
	}
	l.size += int64(len(b))
	l.lines++
	l.orders[n.ID] = n
	return nil
}

// compact forgets what is old and writes the rest into a new file in its place.
func (l *ledger) compact() error {
	all := make([]line, 0, len(l.orders))
	for _, o := range l.orders {
		if l.now().Before(o.forgotten()) {
			all = append(all, o)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].forgotten().Before(all[j].forgotten()) })
	if over := len(all) - maxOrders; over > 0 {
		all = all[over:]
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, o := range all {
		if err := enc.Encode(o); err != nil {
			return err
		}
	}
	file, err := replace(l.name, b.Bytes())
	if err != nil {
		return fmt.Errorf("rewrite the ledger of orders: %w", err)
	}
	if l.file != nil {
		l.file.Close()
	}
	l.file, l.size, l.lines = file, int64(b.Len()), len(all)
	clear(l.orders)
	for _, o := range all {
		l.orders[o.ID] = o
	}
	return nil
}

// replace writes a file beside name and moves it there: a crash leaves the old
// one or the new one.
func replace(name string, content []byte) (*os.File, error) {
	f, err := os.OpenFile(name+".new", os.O_CREATE|os.O_RDWR|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	if _, err = f.Write(content); err == nil {
		err = os.Rename(name+".new", name)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (l *ledger) close() error { return l.file.Close() }
