package sandbox

import (
	"fmt"
	"io/fs"
	"strings"
)

// maxStamp bounds a stamp: what is beyond it belongs to a source that is refused anyway.
const maxStamp = 1 << 20

// Stamp sums up names, sizes and times of the source's files as they are now: another
// text means that they may have changed.
func (s Source) Stamp() string {
	s, _ = s.Open() // it has no error of its own
	var b strings.Builder
	err := s.walk(func(rel string) error {
		if b.Len() > maxStamp {
			return fs.SkipAll
		}
		info, err := fs.Stat(s.FS, rel)
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %d %d\n", rel, info.Size(), info.ModTime().UnixNano())
		return nil
	})
	if err != nil {
		fmt.Fprintf(&b, "%s: %v\n", s.Name, err)
	}
	return b.String()
}
