package api

import "time"

// Loads is how reading playbooks, or the guard's rules, went in this replica.
type Loads struct {
	// GoodAt is when they were read last, Good and Bad count attempts since the start.
	GoodAt time.Time `json:"good_at"`
	Good   uint64    `json:"good"`
	Bad    uint64    `json:"bad"`
	// Error is the last error, from ErrorAt; Failing says that it still stands.
	Error   string     `json:"error,omitempty"`
	ErrorAt *time.Time `json:"error_at,omitempty"`
	Failing bool       `json:"failing,omitempty"`
}
