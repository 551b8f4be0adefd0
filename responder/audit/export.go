package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"

	"github.com/jackc/pgx/v5"
)

// Lines of an export, JSON each, the heads first, then the checkpoints, then the
// entries of each chain in their order.
type exportLine struct {
	Head       *exportHead  `json:"head,omitempty"`
	Checkpoint *Point       `json:"checkpoint,omitempty"`
	Entry      *exportEntry `json:"entry,omitempty"`
}

type exportHead struct {
	Cluster string `json:"cluster"`
	Hash    Hex    `json:"hash"`
	Seq     int64  `json:"seq"`
}

type exportEntry struct {
	Body    string                `json:"body"`
	Cluster string                `json:"cluster"`
	Hash    Hex                   `json:"hash"`
	Prev    Hex                   `json:"prev"`
	Sealed  map[string]exportSeal `json:"sealed,omitempty"`
	Seq     int64                 `json:"seq"`
}

type exportSeal struct {
	Salt  Hex    `json:"salt"`
	Value string `json:"value"`
}

// Part is a part of the record; the zero Part is all of it.
type Part struct {
	// Cluster is whose chain, empty for all.
	Cluster string
	// After is the number of the entry before the first, To that of the last, 0 for the
	// chain's end.
	After, To int64
}

// Export writes a part of the record as lines of JSON, see docs/audit.md, as it stands
// at one moment and in constant memory. Heads and checkpoints are left out where the
// beginning is: it goes on with an export that broke off.
func Export(ctx context.Context, db Beginner, to io.Writer, p Part) error {
	tx, err := db.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return fmt.Errorf("export the audit record: %w", err)
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // read only: there is nothing to lose
	w := bufio.NewWriterSize(to, 64<<10)
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	if p.After == 0 {
		if err := exportSigned(ctx, tx, lines, p.Cluster); err != nil {
			return err
		}
	}
	var line []byte
	for rows, err := range batches(ctx, tx, p) {
		if err != nil {
			return fmt.Errorf("export the audit record: %w", err)
		}
		for i := range rows {
			line = rows[i].appendLine(line[:0])
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
	}
	return w.Flush()
}

// exportSigned writes the heads and checkpoints of a cluster, or of all.
func exportSigned(ctx context.Context, tx pgx.Tx, lines *json.Encoder, cluster string) error {
	heads, err := readHeads(ctx, tx)
	if err != nil {
		return err
	}
	for _, h := range heads {
		if cluster != "" && h.Cluster != cluster {
			continue
		}
		if err := lines.Encode(exportLine{Head: &exportHead{h.Cluster, h.Hash, h.Seq}}); err != nil {
			return err
		}
	}
	for p, err := range storedCheckpoints(ctx, tx) {
		if err != nil {
			return fmt.Errorf("export the checkpoints: %w", err)
		}
		if cluster != "" && p.Cluster != cluster {
			continue
		}
		if err := lines.Encode(exportLine{Checkpoint: &p}); err != nil {
			return err
		}
	}
	return nil
}

func (r *Row) appendLine(b []byte) []byte {
	hexed := hex.EncodeToString
	o := object{b: append(b, `{"entry":{`...)}
	o.text("body", string(r.Body))
	o.text("cluster", r.Cluster)
	o.text("hash", hexed(r.Hash))
	o.text("prev", hexed(r.Prev))
	o.nest("sealed", func(o *object) {
		for i, s := range r.Seals {
			if len(s.Salt) > 0 {
				o.nest(Sealed[i], func(o *object) {
					o.text("salt", hexed(s.Salt))
					o.text("value", s.Value)
				})
			}
		}
	})
	o.key("seq")
	return append(strconv.AppendInt(o.b, r.Seq, 10), "}}\n"...)
}

// maxLine bounds a line of an export: an entry's texts are bounded, and so is this.
const maxLine = 1 << 20

// ReadExport yields the entries of what Export wrote, with their bodies alone. Its
// error names the line that is none, and is the last that it yields.
func ReadExport(from io.Reader) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		lines := bufio.NewScanner(from)
		lines.Buffer(make([]byte, 0, 64<<10), maxLine)
		for n := 1; lines.Scan(); n++ {
			l, err := parseLine(lines.Bytes())
			switch {
			case err != nil:
				yield(Row{}, fmt.Errorf("line %d: %w", n, err))
				return
			case l.Entry != nil && !yield(*l.Entry.row(), nil):
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(Row{}, err)
		}
	}
}

// VerifyExport verifies what Export wrote. Its error names the line that is none.
func VerifyExport(from io.Reader, e Evidence) (Report, error) {
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	var heads []Head
	var first *Row
	n := 0
	for first == nil && lines.Scan() {
		n++
		l, err := parseLine(lines.Bytes())
		switch {
		case err != nil:
			return Report{}, fmt.Errorf("line %d: %w", n, err)
		case l.Head != nil:
			heads = append(heads, Head{l.Head.Cluster, l.Head.Seq, l.Head.Hash})
		case l.Checkpoint != nil:
			e.Checkpoints = append(e.Checkpoints, *l.Checkpoint)
		default:
			first = l.Entry.row()
		}
	}
	return VerifyRows(exported(lines, first, n), heads, e)
}

func exported(lines *bufio.Scanner, first *Row, n int) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		if first != nil && !yield(*first, nil) {
			return
		}
		for lines.Scan() {
			n++
			r, err := parseEntry(lines.Bytes())
			if err != nil {
				yield(Row{}, fmt.Errorf("line %d: %w", n, err))
				return
			}
			if !yield(*r, nil) {
				return
			}
		}
		if err := lines.Err(); err != nil {
			yield(Row{}, fmt.Errorf("line %d: %w", n+1, err))
		}
	}
}

func parseLine(line []byte) (l exportLine, err error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return l, err
	}
	if l.Head == nil && l.Checkpoint == nil && l.Entry == nil {
		return l, errors.New("it is no head, checkpoint or entry of an export")
	}
	return l, nil
}

// parseEntry reads an entry as appendLine writes it, and as anybody else may.
func parseEntry(line []byte) (*Row, error) {
	if r := quickEntry(string(line)); r != nil {
		return r, nil
	}
	l, err := parseLine(line)
	if err != nil {
		return nil, err
	}
	if l.Entry == nil {
		return nil, errors.New("heads and checkpoints come before the entries")
	}
	return l.Entry.row(), nil
}

func (e *exportEntry) row() *Row {
	r := &Row{Cluster: e.Cluster, Seq: e.Seq, Body: []byte(e.Body), Prev: e.Prev, Hash: e.Hash, BodyOnly: true}
	for i, field := range Sealed {
		r.Seals[i] = Seal{Salt: e.Sealed[field].Salt, Value: e.Sealed[field].Value}
	}
	return r
}

// quickEntry returns nil for what is not exactly as appendLine writes it.
func quickEntry(line string) *Row {
	const begin = `{"entry":`
	if len(line) < len(begin) || line[:len(begin)] != begin {
		return nil
	}
	r := &Row{BodyOnly: true}
	c := cursor{json: line, at: len(begin)}
	var body string
	for o := c.open(); c.next(&o); {
		var err error
		switch o.key {
		case "body":
			err = c.text(&body)
		case "cluster":
			err = c.text(&r.Cluster)
		case "hash":
			r.Hash, err = c.bytes()
		case "prev":
			r.Prev, err = c.bytes()
		case "sealed":
			err = c.seals(&r.Seals)
		case "seq":
			err = c.number(&r.Seq)
		default:
			err = errForm
		}
		if err != nil {
			return nil
		}
	}
	if c.err != nil || !c.take('}') || c.at != len(line) {
		return nil
	}
	r.Body = []byte(body)
	return r
}

// bytes reads a string of hexadecimal digits.
func (c *cursor) bytes() ([]byte, error) {
	var s string
	if err := c.text(&s); err != nil {
		return nil, err
	}
	return hex.DecodeString(s)
}

func (c *cursor) seals(into *[3]Seal) error {
	for o := c.open(); c.next(&o); {
		i := sealOf(o.key)
		if i < 0 {
			return errForm
		}
		if err := c.seal(&into[i]); err != nil {
			return err
		}
	}
	return c.err
}

func (c *cursor) seal(into *Seal) (err error) {
	for o := c.open(); c.next(&o); {
		switch o.key {
		case "salt":
			into.Salt, err = c.bytes()
		case "value":
			err = c.text(&into.Value)
		default:
			err = errForm
		}
		if err != nil {
			return err
		}
	}
	return c.err
}
