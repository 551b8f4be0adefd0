package event

import (
	"path"
	"strings"
)

// UnknownDir stands for the directory of a descriptor that nobody knows, as in Falco.
const UnknownDir = "<UNKNOWN>"

// Absolute joins a path with the directory that it counts from and resolves "." and
// ".." by their text alone: no symlink is followed. That is what Falco calls fd.name.
func Absolute(name, base string) string {
	switch {
	case strings.HasPrefix(name, "/"):
		return path.Clean(name)
	case base == "" || base == UnknownDir:
		return UnknownDir + "/" + name
	}
	return path.Join(base, name)
}
