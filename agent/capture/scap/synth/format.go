package synth

import (
	"bufio"
	"encoding/binary"
	"io"
	"strings"
)

// Types of blocks.
const (
	blockSection = 0x0A0D0D0A
	blockMachine = 0x201
	blockProcs   = 0x215
	blockEvent   = 0x216
	blockFDs     = 0x218
	blockIfaces  = 0x219
	blockUsers   = 0x220
	blockLarge   = 0x221
)

// headBytes is an event's header.
const headBytes = 26

// buffer grows by values in the file's byte order.
type buffer []byte

func (b *buffer) u8(n uint8)    { *b = append(*b, n) }
func (b *buffer) u16(n uint16)  { *b = binary.LittleEndian.AppendUint16(*b, n) }
func (b *buffer) u32(n uint32)  { *b = binary.LittleEndian.AppendUint32(*b, n) }
func (b *buffer) u64(n uint64)  { *b = binary.LittleEndian.AppendUint64(*b, n) }
func (b *buffer) i64(n int64)   { b.u64(uint64(n)) }
func (b *buffer) text(s string) { b.u16(uint16(len(s))); *b = append(*b, s...) }
func (b *buffer) zeros(n int)   { *b = append(*b, make([]byte, n)...) }

// entry puts a list's entry behind its length, which counts itself.
func (b *buffer) entry(e buffer) {
	b.u32(uint32(len(e) + 4))
	*b = append(*b, e...)
}

// words are texts that each end in NUL.
func words(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return strings.Join(list, "\x00") + "\x00"
}

// writer writes blocks. The first error stays.
type writer struct {
	out  *bufio.Writer
	time uint64
	// lens and vals are the event in work.
	lens, vals buffer
	cpu        uint16
	tid        int64
	num        uint16
	large      bool
	n          uint32

	events, exits int
}

func newWriter(out io.Writer) *writer { return &writer{out: bufio.NewWriterSize(out, 1<<18)} }

// block writes one block. bufio.Writer keeps its first error until Flush.
func (w *writer) block(kind uint32, parts ...buffer) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	pad := -size & 3
	total := uint32(size + pad + 12)
	var head buffer
	head.u32(kind)
	head.u32(total)
	_, _ = w.out.Write(head)
	for _, p := range parts {
		_, _ = w.out.Write(p)
	}
	var tail buffer
	tail.zeros(pad)
	tail.u32(total)
	_, _ = w.out.Write(tail)
}

// begin starts an event; its parameters follow, then end.
func (w *writer) begin(cpu uint16, tid int64, num uint16) *writer {
	w.cpu, w.tid, w.num, w.large, w.n = cpu, tid, num, num == evContainer, 0
	w.lens, w.vals = w.lens[:0], w.vals[:0]
	return w
}

// param closes a parameter that began at vals[from].
func (w *writer) param(from int) *writer {
	n := len(w.vals) - from
	if w.large {
		w.lens.u32(uint32(n))
	} else {
		w.lens.u16(uint16(n))
	}
	w.n++
	return w
}

func (w *writer) u8(n uint8) *writer   { from := len(w.vals); w.vals.u8(n); return w.param(from) }
func (w *writer) u16(n uint16) *writer { from := len(w.vals); w.vals.u16(n); return w.param(from) }
func (w *writer) u32(n uint32) *writer { from := len(w.vals); w.vals.u32(n); return w.param(from) }
func (w *writer) u64(n uint64) *writer { from := len(w.vals); w.vals.u64(n); return w.param(from) }
func (w *writer) i64(n int64) *writer  { return w.u64(uint64(n)) }

// str is a text and its NUL, raw are bytes as they are.
func (w *writer) str(s string) *writer {
	from := len(w.vals)
	w.vals = append(append(w.vals, s...), 0)
	return w.param(from)
}

func (w *writer) raw(s string) *writer {
	from := len(w.vals)
	w.vals = append(w.vals, s...)
	return w.param(from)
}

func (w *writer) end() {
	kind := uint32(blockEvent)
	if w.large {
		kind = blockLarge
	}
	var head buffer
	head.u16(w.cpu)
	head.u64(w.time)
	head.i64(w.tid)
	head.u32(uint32(headBytes + len(w.lens) + len(w.vals)))
	head.u16(w.num)
	head.u32(w.n)
	w.block(kind, head, w.lens, w.vals)
	w.events++
	if w.num%2 == 1 {
		w.exits++
	}
}
