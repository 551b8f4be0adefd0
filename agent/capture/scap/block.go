package scap

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Types of blocks.
const (
	blockSection    = 0x0A0D0D0A
	blockMachine    = 0x201
	blockProcs1     = 0x202
	blockFDs1       = 0x203
	blockEvent1     = 0x204
	blockIfaces1    = 0x205
	blockUsers1     = 0x206
	blockProcs2     = 0x207
	blockEventFlag1 = 0x208
	blockProcs3     = 0x209
	blockProcs4     = 0x210
	blockProcs9     = 0x215
	blockEvent2     = 0x216
	blockEventFlag2 = 0x217
	blockFDs2       = 0x218
	blockIfaces2    = 0x219
	blockUsers2     = 0x220
	blockEvent3     = 0x221
	blockEventFlag3 = 0x222
)

const (
	// bufferBytes is also the largest block that is read in place.
	bufferBytes = 1 << 18
	// maxBlock bounds what one block may take in memory.
	maxBlock = 64 << 20
	// readStep bounds what a length alone makes us allocate: a file that claims more
	// than it has costs no more than what is there.
	readStep   = 1 << 20
	headBytes  = 8
	tailBytes  = 4
	gzipMagic1 = 0x1f
	gzipMagic2 = 0x8b
)

// blocks cuts a file into its blocks.
type blocks struct {
	r  io.Reader
	at int64
	// buf holds what was read; the bytes from head to tail are still to be handed out.
	buf        []byte
	head, tail int
	// err is what ended the reading, io.EOF at the file's end.
	err    error
	packed bool
	large  []byte
}

// openBlocks looks whether the file is compressed.
func openBlocks(r io.Reader) (*blocks, error) {
	b := &blocks{r: r, buf: make([]byte, bufferBytes)}
	b.fill(2)
	if b.err != nil && !errors.Is(b.err, io.EOF) {
		return nil, b.err
	}
	start := b.buf[:b.tail]
	if len(start) < 2 || start[0] != gzipMagic1 || start[1] != gzipMagic2 {
		return b, nil
	}
	b.packed = true
	z, err := gzip.NewReader(io.MultiReader(bytes.NewReader(bytes.Clone(start)), r))
	if err != nil {
		return nil, b.damage(0, "the compressed file has no whole header", err)
	}
	b.r, b.tail, b.err = z, 0, nil
	return b, nil
}

// fill reads until n bytes are at hand, or there are no more. n fits the buffer.
func (b *blocks) fill(n int) {
	if b.head+n > len(b.buf) {
		b.tail = copy(b.buf, b.buf[b.head:b.tail])
		b.head = 0
	}
	for empty := 0; b.tail-b.head < n && b.err == nil; {
		got, err := b.r.Read(b.buf[b.tail:])
		b.tail += got
		b.err = err
		if got > 0 {
			empty = 0
		} else if empty++; empty == maxEmpty && err == nil {
			b.err = io.ErrNoProgress
		}
	}
}

// maxEmpty is how often a reader may give nothing before it counts as broken.
const maxEmpty = 100

func (b *blocks) damage(at int64, what string, err error) *Damage {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		what += ": the file ends here"
		err = nil
	}
	return &Damage{Offset: at, Packed: b.packed, What: what, Err: err}
}

// next gives a block's type, place and body, which is valid until the next call. The
// end of the file between two blocks is io.EOF.
func (b *blocks) next() (kind uint32, at int64, body []byte, err error) {
	at = b.at
	if b.tail-b.head < headBytes {
		if b.fill(headBytes); b.tail-b.head < headBytes {
			return 0, at, nil, b.ended(at)
		}
	}
	frame := b.buf[b.head:b.tail]
	kind = binary.LittleEndian.Uint32(frame)
	size := binary.LittleEndian.Uint32(frame[4:])
	if size < headBytes+tailBytes || size > maxBlock {
		return 0, at, nil, b.wrongSize(at, kind, size)
	}
	if int(size) > len(frame) {
		if frame, err = b.take(int(size)); err != nil {
			return 0, at, nil, b.damage(at, fmt.Sprintf("block 0x%x is said to have %d bytes, here are %d", kind, size, len(frame)), err)
		}
	} else {
		b.head += int(size)
	}
	end := int(size) - tailBytes
	if again := binary.LittleEndian.Uint32(frame[end:]); again != size {
		return 0, at, nil, b.damage(at, fmt.Sprintf("block 0x%x has %d bytes by its header and %d by its end", kind, size, again), nil)
	}
	b.at += int64(size)
	return kind, at, frame[headBytes:end], nil
}

// ended says how the file ended where a block's header is due.
func (b *blocks) ended(at int64) error {
	if b.tail == b.head && errors.Is(b.err, io.EOF) {
		return io.EOF
	}
	return b.damage(at, fmt.Sprintf("a block's header has 8 bytes, here are %d", b.tail-b.head), b.err)
}

func (b *blocks) wrongSize(at int64, kind, size uint32) error {
	if size > maxBlock {
		return b.damage(at, fmt.Sprintf("block 0x%x is said to have %d bytes, more than the %d that are read", kind, size, maxBlock), nil)
	}
	return b.damage(at, fmt.Sprintf("block 0x%x is said to have %d bytes, fewer than its own frame", kind, size), nil)
}

// take reads a block that is not at hand as a whole.
func (b *blocks) take(n int) ([]byte, error) {
	if n <= len(b.buf) {
		b.fill(n)
		frame := b.buf[b.head:b.tail]
		if len(frame) < n {
			return frame, b.err
		}
		b.head += n
		return frame, nil
	}
	b.large = append(b.large[:0], b.buf[b.head:b.tail]...)
	b.head, b.tail = 0, 0
	for len(b.large) < n && b.err == nil {
		have, step := len(b.large), min(n-len(b.large), readStep)
		if cap(b.large) < have+step {
			b.large = append(make([]byte, 0, min(2*(have+step), n)), b.large...)
		}
		var got int
		got, b.err = io.ReadFull(b.r, b.large[have:have+step])
		b.large = b.large[:have+got]
	}
	if len(b.large) < n {
		return b.large, b.err
	}
	return b.large, nil
}
