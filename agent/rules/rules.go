// Package rules loads rule files in Falco's language and matches events against
// them.
//
//	files -> items (rule, macro, list) -> merged definitions -> conditions -> Ruleset
//
// What a Ruleset says never changes after Load. Match belongs to one goroutine, as do
// the events and processes that it is shown. The language's parts have
// packages of their own: syntax reads a condition, field knows what can be asked
// of an event, compile makes a condition run, defaults holds the rules that
// Riposte brings along, ruletest runs tests of rules that are written in plain text.
package rules

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"riposte/agent/event"
	"riposte/agent/rules/compile"
	"riposte/agent/rules/syntax"
)

// Limits of what is loaded. They are far above what people write and keep a
// hostile or broken file from taking the machine's memory.
const (
	MaxFileBytes = 32 << 20
	// MaxItems is the number of rules, macros and lists of all files together.
	MaxItems = 200_000
	// MaxConditionBytes is one condition with its lists expanded, MaxExpandedBytes
	// all of them together.
	MaxConditionBytes = 16 << 20
	MaxExpandedBytes  = 64 << 20
	// MaxErrors ends the loading, and is how many warnings are kept.
	MaxErrors = 100
)

// EngineVersion is the version of Falco's engine whose language this is.
const EngineVersion = "0.63.0"

// File is one rules file. The name is used in errors alone.
type File struct {
	Name    string
	Content []byte
}

// Ruleset is the loaded rules, ready to match.
type Ruleset struct {
	// Warnings are what is odd about the files, but no error.
	Warnings []*Error

	rules []*Rule
	hash  string
	// enabled are the rules that matcher has, in its order.
	enabled  []*Rule
	compiler *compile.Compiler
	matcher  *compile.Matcher
	// types are the captured events that an enabled rule can match.
	types [256]bool
	// matchAll lets all rules of an event fire.
	matchAll bool

	macros   []Macro
	lists    []List
	bodies   map[string]syntax.Node
	engine   string
	required []Requirement
}

// Load loads files as they are: see Options for more.
func Load(files ...File) (*Ruleset, error) { return Options{}.Load(files...) }

func hash(files []File) string {
	h := sha256.New()
	for _, f := range files {
		var size [8]byte
		binary.BigEndian.PutUint64(size[:], uint64(len(f.Content)))
		h.Write(size[:])
		h.Write(f.Content)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (r *Ruleset) index() {
	var programs []*compile.Program
	for _, rule := range r.rules {
		if !rule.Enabled {
			continue
		}
		r.enabled = append(r.enabled, rule)
		programs = append(programs, rule.program)
		for _, t := range rule.Types {
			r.types[t] = true
		}
	}
	r.matcher = r.compiler.Matcher(programs)
}

// Match calls fire for the first rule, in order of definition, whose condition
// is true for the event; with Options.MatchAll for every such rule. For an event that
// matches nothing it allocates only what it keeps of a process at its first event.
func (r *Ruleset) Match(e *event.Event, fire func(*Rule)) {
	if !r.types[e.Type] {
		return
	}
	r.matcher.Match(e, func(i int) bool {
		fire(r.enabled[i])
		return r.matchAll
	})
}

// Possible says whether a rule can match an event of a type by this process, as long
// as nothing changes that its fields of process and container scope read. It is what
// the kernel may be told to leave out; the same goroutine calls it that calls Match.
func (r *Ruleset) Possible(p *event.Process, c *event.Clock, t event.Type) bool {
	return r.types[t] && r.matcher.Possible(p, c, t)
}

// Paths is what the path of a file that is opened for reading must have for any rule to
// match the open. It is asked before Match is.
func (r *Ruleset) Paths() event.Paths { return r.matcher.Paths() }

// Hosts lists the domain names that conditions compare addresses with, in order; their
// addresses are what event.Event.Hosts has to know.
func (r *Ruleset) Hosts() []string { return r.compiler.Hosts() }

// Hash is the SHA-256 of the files' contents in their order, as hexadecimal.
func (r *Ruleset) Hash() string { return r.hash }

// Len is the number of enabled rules.
func (r *Ruleset) Len() int { return len(r.enabled) }

// Rules lists all rules in order of definition, disabled ones too. The list
// must not be changed.
func (r *Ruleset) Rules() []*Rule { return r.rules }

// Types lists the captured event types that an enabled rule can match.
func (r *Ruleset) Types() []event.Type {
	var types []event.Type
	for _, t := range event.Types() {
		if r.types[t] {
			types = append(types, t)
		}
	}
	return types
}
