//go:build unix

package agent

import (
	"fmt"
	"io/fs"
	"syscall"
)

// identity is a file's own number: another file under the same name has another.
func identity(info fs.FileInfo) string {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return fmt.Sprint(s.Dev, s.Ino)
	}
	return ""
}
