// Package defaults holds the rules that Riposte brings along. Every list and
// macro in them that begins with "known_" is meant to be overridden in a file of
// one's own that is loaded after them.
package defaults

import (
	"embed"

	"riposte/agent/rules"
)

//go:embed *.yaml
var embedded embed.FS

// Files are the rule files in their order. Each call gives a new copy.
func Files() []rules.File {
	entries, err := embedded.ReadDir(".")
	if err != nil {
		panic(err) // the files are part of the binary
	}
	files := make([]rules.File, 0, len(entries))
	for _, e := range entries {
		content, err := embedded.ReadFile(e.Name())
		if err != nil {
			panic(err)
		}
		files = append(files, rules.File{Name: "defaults/" + e.Name(), Content: content})
	}
	return files
}

// Load loads the default rules and then further files, which may change them.
func Load(more ...rules.File) (*rules.Ruleset, error) {
	return rules.Load(append(Files(), more...)...)
}
