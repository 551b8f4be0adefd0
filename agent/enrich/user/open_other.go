//go:build !linux

package user

import "errors"

// root is not to be had without Linux's /proc.
type root struct{}

func openRoot(string, int32, uint64) (*root, error) { return nil, errors.ErrUnsupported }

func (*root) close() {}

func (*root) same(*root) bool { return false }

func (*root) read(string) (string, error) { return "", errors.ErrUnsupported }

func (*root) list(string, version) ([]byte, version, error) {
	return nil, version{}, errors.ErrUnsupported
}
