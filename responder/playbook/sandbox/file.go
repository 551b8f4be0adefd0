package sandbox

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
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

// Dir is the source of one directory.
func Dir(dir string) Source {
	return Source{Name: dir, FS: os.DirFS(dir)}
}

// File is one parsed Rego file.
type File struct {
	// Source is the name of its source, Path its name in errors.
	Source, Path string
	Text         []byte
	// Package is the package's name without "data.", for instance "playbooks.example".
	Package string
	// Test is true for *_test.rego.
	Test   bool
	Module *ast.Module
}

// Read parses every Rego file of a source, sorted by path. Names that begin
// with a dot are left out: a mounted ConfigMap keeps its older versions there.
// The files that could be read are returned along with the Errors of the others.
func Read(src Source) ([]*File, error) {
	var (
		files []*File
		errs  Errors
	)
	err := fs.WalkDir(src.FS, ".", func(rel string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if rel != "." && strings.HasPrefix(d.Name(), ".") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if d.IsDir() || path.Ext(rel) != ".rego" {
			return nil
		}
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

func read(src Source, rel string) (*File, error) {
	f := &File{Source: src.Name, Path: path.Join(src.Name, rel), Test: strings.HasSuffix(rel, "_test.rego")}
	// The entry may be a link, so its own information says nothing of the file.
	info, err := fs.Stat(src.FS, rel)
	switch {
	case err != nil:
		return nil, &Error{File: f.Path, Message: plain(err)}
	case !info.Mode().IsRegular():
		return nil, &Error{File: f.Path, Message: "is not a regular file"}
	case info.Size() > MaxFileBytes:
		return nil, &Error{File: f.Path, Message: fmt.Sprintf("is %d bytes long: %d are allowed, split it", info.Size(), MaxFileBytes)}
	}
	if f.Text, err = fs.ReadFile(src.FS, rel); err != nil {
		return nil, &Error{File: f.Path, Message: plain(err)}
	}
	if err := f.parse(); err != nil {
		return nil, err
	}
	return f, nil
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
