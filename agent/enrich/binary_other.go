//go:build !linux

package enrich

import "riposte/agent/event"

// binary has nothing to read where there is no /proc.
func (f *procFiles) binary(int32, *event.Process) {}
