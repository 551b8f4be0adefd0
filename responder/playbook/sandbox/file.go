package sandbox

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Bounds of what one Source may hold.
const (
	// MaxFileBytes bounds one Rego file.
	MaxFileBytes = 256 << 10
	// MaxFiles bounds the Rego files of one source.
	MaxFiles = 2000
)

// Source is a tree of Rego files.
type Source struct {
	// Name stands before the files' paths in errors; empty for none.
	Name string
	FS   fs.FS
}

// File is one parsed file: a Rego module, or a document of data.
type File struct {
	// Source is the name of its source, Path its name in errors.
	Source, Path string
	Text         []byte
	// Package is the package's name without "data.", for instance "playbooks.example".
	Package string
	// Test is true for *_test.rego.
	Test   bool
	Module *ast.Module
	// Data is set for a data.json, and then there is no Module.
	Data *Document
}

// Read parses every Rego file and every data.json of a source, sorted by path. Names
// that begin with a dot are left out: a mounted ConfigMap keeps its older versions there.
// The files that could be read are returned along with the Errors of the others.
func Read(src Source) ([]*File, error) {
	var (
		files []*File
		errs  Errors
	)
	err := src.walk(func(rel string) error {
		if len(files)+len(errs) == MaxFiles {
			return fmt.Errorf("more than %d Rego files: is this the right directory?", MaxFiles)
		}
		f, err := read(src, rel)
		if err != nil {
			errs = errs.Append(err)
			return nil
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		errs = append(errs, &Error{File: src.Name, Message: plain(err)})
	}
	slices.SortFunc(files, func(a, b *File) int { return strings.Compare(a.Path, b.Path) })
	return files, errs.Err()
}

// walk visits the files that Read reads.
func (s Source) walk(visit func(rel string) error) error {
	return fs.WalkDir(s.FS, ".", func(rel string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case rel != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir() || path.Ext(rel) != ".rego" && d.Name() != dataFile:
			return nil
		}
		return visit(rel)
	})
}

// Place is the name of one of the source's files in errors.
func (s Source) Place(rel string) string {
	if strings.Contains(s.Name, "://") { // path.Join would make one slash of two
		return s.Name + "/" + rel
	}
	return path.Join(s.Name, rel)
}

func read(src Source, rel string) (*File, error) {
	f := &File{Source: src.Name, Path: src.Place(rel), Test: strings.HasSuffix(rel, "_test.rego")}
	limit := int64(MaxFileBytes)
	if path.Base(rel) == dataFile {
		limit = MaxDataBytes
	}
	// The entry may be a link, so its own information says nothing of the file.
	info, err := fs.Stat(src.FS, rel)
	switch {
	case err != nil:
		return nil, &Error{File: f.Path, Message: plain(err)}
	case !info.Mode().IsRegular():
		return nil, &Error{File: f.Path, Message: "is not a regular file"}
	case info.Size() > limit:
		return nil, &Error{File: f.Path, Message: fmt.Sprintf("is %d bytes long: %d are allowed, split it", info.Size(), limit)}
	}
	if f.Text, err = fs.ReadFile(src.FS, rel); err != nil {
		return nil, &Error{File: f.Path, Message: plain(err)}
	}
	if path.Base(rel) == dataFile {
		err = f.parseData(rel)
	} else {
		err = f.parse()
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Rego is a file that is at hand, by its name in errors.
func Rego(name string, text []byte) (*File, error) {
	f := &File{Path: name, Text: text}
	return f, f.parse()
}

// Data is a document of data that is at hand.
func Data(text []byte) (*File, error) {
	f := &File{Path: dataFile, Text: text}
	return f, f.parseData(dataFile)
}

// plain drops the operation and path that the place already gives.
func plain(err error) string {
	if e, ok := err.(*fs.PathError); ok { //nolint:errorlint // only the outermost wrapper repeats the place
		return e.Err.Error()
	}
	return err.Error()
}

func (f *File) parse() error {
	if len(bytes.TrimSpace(f.Text)) == 0 {
		return &Error{File: f.Path, Message: "is empty: begin with a package line"}
	}
	m, err := ast.ParseModuleWithOpts(f.Path, string(f.Text), ast.ParserOptions{
		RegoVersion: ast.RegoV1, ProcessAnnotation: true, Capabilities: capabilities,
	})
	if err != nil {
		return Errors(nil).Append(err)
	}
	f.Module = m
	f.Package = strings.TrimPrefix(m.Package.Path.String(), "data.")
	return nil
}
