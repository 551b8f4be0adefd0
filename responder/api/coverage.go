package api

import "time"

// PlaybookCoverage is how much of a loaded playbook its tests evaluate.
type PlaybookCoverage struct {
	Name     string `json:"name"`
	Revision string `json:"revision"`
	// Percent is of the lines that can be evaluated, of all files.
	Percent float64 `json:"percent"`
	// Tests are those of the playbook's own package that were loaded with it, Failed how
	// many did not pass; At is when they ran.
	Tests  int       `json:"tests"`
	Failed int       `json:"failed"`
	At     time.Time `json:"at"`
	// Error is why the tests could not run; nothing was evaluated then.
	Error string         `json:"error,omitempty"`
	Files []FileCoverage `json:"files"`
}

// FileCoverage is one file's part.
type FileCoverage struct {
	File    string  `json:"file"`
	Percent float64 `json:"percent"`
	// Covered and Missed are the numbers of the lines that were evaluated and that were
	// not; what is in neither cannot be.
	Covered []int `json:"covered"`
	Missed  []int `json:"missed"`
}
