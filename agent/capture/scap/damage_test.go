package scap_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/agent/capture/scap"
)

// whole is a small file with every kind of block.
func whole(old bool) []byte {
	f := newFile(old)
	f.interfaces("10.0.0.5/24")
	f.users(map[uint32]string{1000: "eve"})
	f.tasks(task{tid: 50, pid: 50, ptid: 1, comm: "bash", exe: "-bash", cwd: "/", group: cgroups})
	f.descriptors(50, listedFile(0, "/dev/pts/0"))
	f.event(50, 307, int64(3), int64(-100), "a", uint32(1), uint32(0), uint32(0), uint64(0))
	f.event(50, 22, int64(4), inet(2, "1.2.3.4:5"))
	f.event(50, 23, int64(0), inet(2, "10.0.0.1:4000", "1.2.3.4:5"), int64(4))
	f.event(60, 223, child(0, 60, 60, 50, 0, 1000)...)
	return f.Bytes()
}

// TestCut cuts a file at every byte: what is there is replayed, and the rest is one
// located message.
func TestCut(t *testing.T) {
	for _, old := range []bool{false, true} {
		b := whole(old)
		full, _, err := replay(t, b)
		require.NoError(t, err)
		require.Len(t, full, 3)
		blocks := map[int]bool{0: true}
		for at := 0; at < len(b); {
			at += int(b[at+4]) | int(b[at+5])<<8
			blocks[at] = true
		}
		for n := range b {
			all, _, err := replay(t, b[:n])
			require.LessOrEqual(t, len(all), len(full))
			if blocks[n] && n > 0 {
				require.NoError(t, err, "the file ends between two blocks")
				continue
			}
			var d *scap.Damage
			require.ErrorAs(t, err, &d, "cut at %d", n)
			require.LessOrEqual(t, d.Offset, int64(n))
			require.True(t, blocks[int(d.Offset)], "the damage is in a block that begins at %d", d.Offset)
			require.Contains(t, err.Error(), "the file ends here")
		}
		z := packed(t, b)
		all, _, err := replay(t, z)
		require.NoError(t, err)
		require.Len(t, all, len(full))
		for n := 2; n < len(z); n++ {
			_, _, err := replay(t, z[:n])
			var d *scap.Damage
			require.ErrorAs(t, err, &d, "cut at %d", n)
			require.True(t, d.Packed)
		}
	}
}

// TestTurned turns bytes over: an answer or a located message, never a panic.
func TestTurned(t *testing.T) {
	for _, old := range []bool{false, true} {
		b := whole(old)
		for n := range b {
			for _, with := range []byte{0x01, 0x80, 0xff} {
				c := bytes.Clone(b)
				c[n] ^= with
				_, _, err := replay(t, c)
				var d *scap.Damage
				require.True(t, err == nil || errors.As(err, &d), "byte %d: %v", n, err)
			}
		}
	}
}

func TestDamageIsNamed(t *testing.T) {
	head := newFile(false).Bytes()
	long := newFile(false)
	long.Write(le(le(nil, uint32(0x216)), uint32(0xfffffff0)))
	claimed := newFile(false)
	claimed.Write(le(le(nil, uint32(0x222)), uint32(60<<20)))
	tail := newFile(false)
	tail.Write(le(le(le(nil, uint32(0x216)), uint32(12)), uint32(13)))
	params := newFile(false)
	params.block(0x216, le(le(le(le(le(le(nil, uint16(0)), uint64(1)), int64(1)), uint32(26)), uint16(5)), uint32(1<<30)))
	major := &file{}
	major.block(0x0A0D0D0A, le(le(le(le(nil, uint32(0x1A2B3C4D)), uint16(9)), uint16(2)), ^uint64(0)))
	procs := newFile(false)
	procs.block(0x215, le(le(nil, uint32(99)), uint64(1)))
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"empty":   {nil, "byte 0: a capture begins with a section header: the file ends here"},
		"text":    {[]byte("hello, this is no capture at all"), "is it a capture file at all?"},
		"big":     {long.Bytes(), "block 0x216 is said to have 4294967280 bytes, more than the 67108864 that are read"},
		"claimed": {claimed.Bytes(), "block 0x222 is said to have 62914560 bytes, here are 8: the file ends here"},
		"tail":    {tail.Bytes(), "block 0x216 has 12 bytes by its header and 13 by its end"},
		"params":  {params.Bytes(), "event close is said to have 1073741824 parameters in 0 bytes"},
		"version": {major.Bytes(), "version 9 of the format"},
		"process": {procs.Bytes(), "entry 1 of the process list is longer than what is left"},
		"gzip":    {[]byte{0x1f, 0x8b, 8}, "the compressed file has no whole header"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := replay(t, c.b)
			require.ErrorContains(t, err, c.want)
			if len(c.b) > len(head) {
				require.ErrorContains(t, err, fmt.Sprintf("byte %d: ", len(head)), "after the two blocks of the head")
			}
		})
	}
}

func FuzzReplay(f *testing.F) {
	for _, old := range []bool{false, true} {
		b := whole(old)
		f.Add(b)
		f.Add(b[:len(b)/2])
		f.Add(packed(f, b))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		_, s, err := replay(t, b)
		var d *scap.Damage
		if err != nil && !errors.As(err, &d) {
			t.Fatalf("an error without a place: %v", err)
		}
		if err == nil {
			_ = s.Lost()
		}
	})
}
