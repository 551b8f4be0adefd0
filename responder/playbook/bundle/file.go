package bundle

import (
	"fmt"
	"os"

	"riposte/responder/playbook/sandbox"
)

// File is a bundle in a file. It is a playbook.Source.
type File struct {
	Path  string
	Trust Trust
}

// Open reads and verifies the file as it is now.
func (f File) Open() (sandbox.Source, error) {
	b, err := readBounded(f.Path, MaxBytes)
	if err != nil {
		return sandbox.Source{}, sandbox.Errors{{Message: err.Error()}}
	}
	return Read(f.Path, b, f.Trust)
}

// Stamp changes with the file's size or time.
func (f File) Stamp() string {
	info, err := os.Stat(f.Path)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s %d %d", f.Path, info.Size(), info.ModTime().UnixNano())
}
