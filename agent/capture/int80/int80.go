//go:build linux && amd64

// Package int80 makes 32-bit system calls from a 64-bit process, as a program does
// that hopes to be overlooked. Tests alone use it.
package int80

// Call is the system call nr of the 32-bit table. Pointers must lie below 4 GiB.
//
//go:noescape
func Call(nr, a, b, c, d, e, f uint32) int32

// Fork is one of the calls that make a process, with two arguments; the new process
// ends at once.
//
//go:noescape
func Fork(nr, a, b uintptr) int

// Fork32 is Fork by the 32-bit table.
//
//go:noescape
func Fork32(nr, a, b uint32) int32
