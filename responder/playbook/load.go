package playbook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"riposte/playbooks"
	"riposte/responder/playbook/sandbox"
)

// Options bounds what playbooks may use; zero values take the defaults.
type Options struct {
	// Deadline bounds one playbook's evaluation; 250 ms.
	Deadline time.Duration
	// MaxActions is how many actions one playbook may propose for one alert; 16.
	MaxActions int
	// MaxInput bounds the input's JSON in bytes; 1 MiB.
	MaxInput int
}

func (o Options) withDefaults() Options {
	if o.Deadline <= 0 {
		o.Deadline = 250 * time.Millisecond
	}
	if o.MaxActions <= 0 {
		o.MaxActions = 16
	}
	if o.MaxInput <= 0 {
		o.MaxInput = 1 << 20
	}
	return o
}

// Embedded is the source of the playbooks and libraries that come with Riposte.
func Embedded() sandbox.Source {
	return sandbox.Source{Name: "embedded:", FS: playbooks.FS}
}

// Dir is the source of a directory of playbooks.
func Dir(dir string) sandbox.Source { return sandbox.Dir(dir) }

// Set is a number of loaded playbooks. It does not change and is safe for
// concurrent use.
type Set struct {
	options   Options
	playbooks []*Playbook
	index     index
}

// Playbook is one loaded playbook.
type Playbook struct {
	// Name is the last part of its package, "playbooks.<name>".
	Name string
	Metadata
	// Revision is the SHA-256 of its files and of the libraries, as hexadecimal.
	Revision string
	// Source is the name of the source that it is from, Files are its files and Texts
	// what is in them, in the same order.
	Source string
	Files  []string
	Texts  []string

	query *sandbox.Query
}

// Playbooks are the loaded playbooks, sorted by name.
func (s *Set) Playbooks() []*Playbook { return slices.Clone(s.playbooks) }

// Package names that mean something to us.
const (
	playbookPackage = "playbooks."
	libPackage      = "riposte.lib."
	guardPackage    = "riposte.guard"
)

var nameShape = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// Load reads and compiles all playbooks. A playbook of a later source replaces
// the one of the same name of an earlier; a library cannot be replaced. Every
// error of every file is returned, as sandbox.Errors, and then no Set.
func Load(o Options, sources ...sandbox.Source) (*Set, error) {
	s, err := load(o, sources)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Check loads as Load does, with the libraries that come with Riposte even if
// they are not among the sources, and returns the playbooks of these sources that
// are good along with the errors of the others.
func Check(sources ...sandbox.Source) ([]*Playbook, error) {
	s, err := load(Options{}, withEmbedded(sources))
	if s == nil {
		return nil, err
	}
	return slices.DeleteFunc(s.Playbooks(), func(p *Playbook) bool {
		return !slices.Contains(names(sources), p.Source)
	}), err
}

// load returns what is good even with an error.
func load(o Options, sources []sandbox.Source) (*Set, error) {
	schema, err := inputSchema()
	if err != nil {
		return nil, err
	}
	t, errs := arrange(sources)
	s := &Set{options: o.withDefaults()}
	for _, name := range slices.Sorted(maps.Keys(t.playbooks)) {
		p, err := build(name, t.playbooks[name], t.libs, schema)
		if err != nil {
			errs = errs.Append(err)
			continue
		}
		s.playbooks = append(s.playbooks, p)
	}
	s.index = newIndex(s.playbooks)
	return s, unique(errs).Err()
}

// tree is the files of all sources, by what they are for.
type tree struct {
	playbooks map[string][]*sandbox.File
	libs      []*sandbox.File
	guard     []*sandbox.File
	tests     []*sandbox.File
}

func arrange(sources []sandbox.Source) (tree, sandbox.Errors) {
	t := tree{playbooks: map[string][]*sandbox.File{}}
	var errs sandbox.Errors
	libFrom := map[string]string{}
	for _, src := range sources {
		files, err := sandbox.Read(src)
		errs = errs.Append(err)
		own := map[string][]*sandbox.File{}
		for _, f := range files {
			name, isPlaybook := strings.CutPrefix(f.Package, playbookPackage)
			switch {
			case f.Test && strings.HasSuffix(f.Package, "_test"):
				t.tests = append(t.tests, f)
			case f.Test:
				errs = append(errs, place(f, "a test's package ends in _test, so that it cannot change what it tests: call it %s_test", f.Package))
			case f.Package == guardPackage || strings.HasPrefix(f.Package, guardPackage+"."):
				if src != Embedded() {
					errs = append(errs, place(f, "package %s is the guard's: a playbook cannot change what guards it", f.Package))
				}
				t.guard = append(t.guard, f)
			case strings.HasPrefix(f.Package, libPackage):
				if from, taken := libFrom[f.Package]; taken && from != src.Name {
					errs = append(errs, place(f, "library %s is there already, from %s: give yours another name", f.Package, from))
					continue
				}
				libFrom[f.Package] = src.Name
				t.libs = append(t.libs, f)
			case isPlaybook && nameShape.MatchString(name):
				own[name] = append(own[name], f)
			default:
				errs = append(errs, place(f, "package %s is none of ours: a playbook is package playbooks.<name> (lower-case letters, digits, _), a library riposte.lib.<name>", f.Package))
			}
		}
		maps.Copy(t.playbooks, own)
	}
	return t, errs
}

func place(f *sandbox.File, format string, args ...any) *sandbox.Error {
	return sandbox.At(f.Module.Package.Location, format, args...)
}

func build(name string, files, libs []*sandbox.File, schema sandbox.Schema) (*Playbook, error) {
	meta, err := readMetadata(files)
	if err != nil {
		return nil, err
	}
	if errs := checkRules(files); len(errs) > 0 {
		return nil, errs
	}
	all := slices.Concat(files, libs)
	compiled, err := sandbox.Compile(all, schema)
	if err != nil {
		return nil, err
	}
	q, err := compiled.Query(context.Background(), "data."+playbookPackage+name)
	if err != nil {
		return nil, err
	}
	p := &Playbook{Name: name, Metadata: meta, Revision: revision(all), Source: files[0].Source, query: q}
	for _, f := range files {
		p.Files = append(p.Files, f.Path)
		p.Texts = append(p.Texts, string(f.Text))
	}
	return p, nil
}

// checkRules makes a misspelt "action" an error: it would otherwise be a
// playbook that never does anything.
func checkRules(files []*sandbox.File) sandbox.Errors {
	var errs sandbox.Errors
	acts := false
	for _, f := range files {
		for _, r := range f.Module.Rules {
			name := r.Head.Ref()[0].String()
			switch {
			case strings.HasPrefix(name, "_") || len(r.Head.Args) > 0:
			case name == "action" && r.Head.Key != nil && r.Head.Value == nil:
				acts = true
			case name == "action":
				errs = append(errs, sandbox.At(r.Location, "action must be a set of objects: write `action contains {...} if ...`"))
				acts = true
			default:
				errs = append(errs, sandbox.At(r.Location, "%s is no rule of a playbook: it defines action; begin the name of a rule of your own with _", name))
			}
		}
	}
	if !acts {
		errs = append(errs, place(files[0], "there is no rule `action contains {...} if ...`"))
	}
	return errs
}

// revision hashes the files by package and content: where they lie is no part of
// what they decide.
func revision(files []*sandbox.File) string {
	files = slices.Clone(files)
	slices.SortFunc(files, func(a, b *sandbox.File) int {
		if d := strings.Compare(a.Package, b.Package); d != 0 {
			return d
		}
		return bytes.Compare(a.Text, b.Text)
	})
	h := sha256.New()
	for _, f := range files {
		fmt.Fprintf(h, "%s %d\n", f.Package, len(f.Text))
		h.Write(f.Text)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// unique drops repeats: each playbook is compiled with all libraries.
func unique(errs sandbox.Errors) sandbox.Errors {
	seen := map[string]bool{}
	return slices.DeleteFunc(errs, func(e *sandbox.Error) bool {
		text := e.Error()
		twice := seen[text]
		seen[text] = true
		return twice
	})
}

func inputSchema() (sandbox.Schema, error) {
	b, err := playbooks.Schema("input")
	if err != nil {
		return sandbox.Schema{}, err
	}
	return sandbox.NewSchema(b)
}
