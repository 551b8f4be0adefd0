//go:build !linux

package replay

import "time"

var began = time.Now()

// bootNow counts from the program's start where there is no clock since boot.
func bootNow() uint64 { return uint64(time.Hour + time.Since(began)) }
