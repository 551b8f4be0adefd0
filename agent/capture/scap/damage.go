package scap

import "fmt"

// Damage says where a capture file stops making sense. What came before it was
// handed over.
type Damage struct {
	// Offset counts bytes from the file's beginning, after decompression.
	Offset int64
	// Packed says that the file is compressed, so that Offset is not a place on disk.
	Packed bool
	What   string
	// Err is the reader's own error, if there was one.
	Err error
}

func (d *Damage) Error() string {
	where := ""
	if d.Packed {
		where = " of the decompressed data"
	}
	s := fmt.Sprintf("the capture is damaged at byte %d%s: %s", d.Offset, where, d.What)
	if d.Err != nil {
		s += ": " + d.Err.Error()
	}
	return s
}

func (d *Damage) Unwrap() error { return d.Err }
