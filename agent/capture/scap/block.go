package scap

import (
	"bufio"
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
	blockUsers1     = 0x206
	blockProcs2     = 0x207
	blockEventFlag1 = 0x208
	blockProcs3     = 0x209
	blockProcs4     = 0x210
	blockProcs9     = 0x215
	blockEvent2     = 0x216
	blockEventFlag2 = 0x217
	blockFDs2       = 0x218
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
	r      *bufio.Reader
	at     int64
	packed bool
	// pending is what the last block still occupies in r.
	pending int
	large   []byte
}

// openBlocks looks whether the file is compressed.
func openBlocks(r io.Reader) (*blocks, error) {
	b := &blocks{r: bufio.NewReaderSize(r, bufferBytes)}
	head, err := b.r.Peek(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if len(head) < 2 || head[0] != gzipMagic1 || head[1] != gzipMagic2 {
		return b, nil
	}
	b.packed = true
	z, err := gzip.NewReader(b.r)
	if err != nil {
		return nil, b.damage(0, "the compressed file has no whole header", err)
	}
	b.r = bufio.NewReaderSize(z, bufferBytes)
	return b, nil
}

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
	if b.pending > 0 {
		if _, err := b.r.Discard(b.pending); err != nil {
			return 0, b.at, nil, b.damage(b.at, "the file cannot be read", err)
		}
		b.pending = 0
	}
	at = b.at
	head, err := b.r.Peek(headBytes)
	switch {
	case len(head) == 0 && errors.Is(err, io.EOF):
		return 0, at, nil, io.EOF
	case err != nil:
		return 0, at, nil, b.damage(at, fmt.Sprintf("a block's header has 8 bytes, here are %d", len(head)), err)
	}
	kind = binary.LittleEndian.Uint32(head)
	size := binary.LittleEndian.Uint32(head[4:])
	switch {
	case size < headBytes+tailBytes:
		return 0, at, nil, b.damage(at, fmt.Sprintf("block 0x%x is said to have %d bytes, fewer than its own frame", kind, size), nil)
	case size > maxBlock:
		return 0, at, nil, b.damage(at, fmt.Sprintf("block 0x%x is said to have %d bytes, more than the %d that are read", kind, size, maxBlock), nil)
	}
	whole, err := b.take(int(size))
	if err != nil {
		return 0, at, nil, b.damage(at, fmt.Sprintf("block 0x%x is said to have %d bytes, here are %d", kind, size, len(whole)), err)
	}
	end := len(whole) - tailBytes
	if again := binary.LittleEndian.Uint32(whole[end:]); again != size {
		return 0, at, nil, b.damage(at, fmt.Sprintf("block 0x%x has %d bytes by its header and %d by its end", kind, size, again), nil)
	}
	b.at += int64(size)
	return kind, at, whole[headBytes:end], nil
}

// take gives the next n bytes, in place where they fit.
func (b *blocks) take(n int) ([]byte, error) {
	if n <= bufferBytes {
		whole, err := b.r.Peek(n)
		if err == nil {
			b.pending = n
		}
		return whole, err
	}
	b.large = b.large[:0]
	for len(b.large) < n {
		have, step := len(b.large), min(n-len(b.large), readStep)
		if cap(b.large) < have+step {
			b.large = append(make([]byte, 0, min(2*(have+step), n)), b.large...)
		}
		b.large = b.large[:have+step]
		got, err := io.ReadFull(b.r, b.large[have:])
		if err != nil {
			return b.large[:have+got], err
		}
	}
	return b.large, nil
}
