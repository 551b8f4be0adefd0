package playbook

import (
	"context"
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
	tests     suite
}

// Playbook is one loaded playbook.
type Playbook struct {
	// Name is the last part of its package, "playbooks.<name>".
	Name string
	Metadata
	// Revision is the SHA-256 of its files, and of the libraries and the data that it uses,
	// as hexadecimal: where they are from is no part of it.
	Revision string
	// Source is the name of the source that it is from, Files are its files and Texts
	// what is in them, in the same order.
	Source string
	Files  []string
	Texts  []string

	query    *sandbox.Query
	compiled *sandbox.Compiled
}

// Playbooks are the loaded playbooks, sorted by name.
func (s *Set) Playbooks() []*Playbook { return slices.Clone(s.playbooks) }

// Package names that mean something to us.
const (
	playbookPackage = "playbooks."
	libPackage      = "riposte.lib."
	guardPackage    = "riposte.guard"
)

// ourRoots are the parts of data that hold packages: no document may stand there.
var ourRoots = []string{"playbooks", "riposte"}

var nameShape = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)

// Load reads and compiles all playbooks. One that comes with Riposte is replaced by one
// of the same name; otherwise no two sources may have a playbook, a library or data of
// the same name. Every error of every file is returned, as sandbox.Errors, and then no Set.
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
	s := &Set{options: o.withDefaults(), tests: newSuite(t, sources)}
	for _, name := range slices.Sorted(maps.Keys(t.playbooks)) {
		p, err := build(name, t.playbooks[name], t.libs, schema)
		if err != nil {
			errs = errs.Append(err)
			continue
		}
		s.playbooks = append(s.playbooks, p)
	}
	s.index = newIndex(s.playbooks)
	return s, errs.Unique().Err()
}

// tree is the files of all sources, by what they are for.
type tree struct {
	playbooks map[string][]*sandbox.File
	// libs are the libraries, and the documents of data.
	libs  []*sandbox.File
	guard []*sandbox.File
	tests []*sandbox.File
	// from is the first file of each library and of each root of data.
	from map[string]*sandbox.File
}

func arrange(sources []sandbox.Source) (tree, sandbox.Errors) {
	t := tree{playbooks: map[string][]*sandbox.File{}, from: map[string]*sandbox.File{}}
	var errs sandbox.Errors
	for _, src := range sources {
		files, err := sandbox.Read(src)
		errs = errs.Append(err)
		own := map[string][]*sandbox.File{}
		for _, f := range files {
			if f.Data != nil {
				errs = errs.Append(t.addData(f))
				continue
			}
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
				if first := t.claim(f.Package, f); first != nil {
					errs = append(errs, place(f, "library %s is there already, from %s: give yours another name", f.Package, first.Source))
					continue
				}
				t.libs = append(t.libs, f)
			case isPlaybook && nameShape.MatchString(name):
				own[name] = append(own[name], f)
			default:
				errs = append(errs, place(f, "package %s is none of ours: a playbook is package playbooks.<name> (lower-case letters, digits, _), a library riposte.lib.<name>", f.Package))
			}
		}
		errs = append(errs, t.addPlaybooks(own)...)
	}
	return t, errs
}

// claim returns a file of another source that has the name already.
func (t *tree) claim(name string, f *sandbox.File) *sandbox.File {
	first := t.from[name]
	if first == nil {
		t.from[name] = f
		return nil
	}
	if first.Source == f.Source {
		return nil
	}
	return first
}

func (t *tree) addPlaybooks(own map[string][]*sandbox.File) (errs sandbox.Errors) {
	for _, name := range slices.Sorted(maps.Keys(own)) {
		if have := t.playbooks[name]; have != nil && have[0].Source != Embedded().Name {
			errs = append(errs, place(own[name][0], "playbook %s is there already, in %s: two sources cannot both have it", name, have[0].Path))
			continue
		}
		t.playbooks[name] = own[name]
	}
	return errs
}

func (t *tree) addData(f *sandbox.File) error {
	errs := CheckData(f)
	for _, root := range f.Roots() {
		if first := t.claim("data."+root, f); first != nil {
			errs = append(errs, f.RootError(root, "data.%s is there already, in %s: two sources cannot both have it", root, first.Path))
		}
	}
	if len(errs) == 0 {
		t.libs = append(t.libs, f)
	}
	return errs.Err()
}

// CheckData refuses a document that stands where packages are.
func CheckData(f *sandbox.File) (errs sandbox.Errors) {
	for _, root := range f.Roots() {
		if slices.Contains(ourRoots, root) {
			errs = append(errs, f.RootError(root, "data.%s holds packages: data needs another root", root))
		}
	}
	return errs
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
	rev, err := compiled.Revision(playbookPackage + name)
	if err != nil {
		return nil, err
	}
	p := &Playbook{Name: name, Metadata: meta, Revision: rev, Source: files[0].Source, query: q, compiled: compiled}
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

func inputSchema() (sandbox.Schema, error) {
	b, err := playbooks.Schema("input")
	if err != nil {
		return sandbox.Schema{}, err
	}
	return sandbox.NewSchema(b)
}
