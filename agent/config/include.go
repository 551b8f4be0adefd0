package config

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// MaxFileBytes bounds one configuration file.
const MaxFileBytes = 1 << 20

// maxFiles bounds all configuration files together.
const maxFiles = 256

// Strategy says what a further file does to keys that are set already.
type Strategy string

// Strategies; Append is Falco's default.
const (
	// StrategyAppend adds to lists and replaces everything else.
	StrategyAppend Strategy = "append"
	// StrategyOverride replaces everything.
	StrategyOverride Strategy = "override"
	// StrategyAddOnly sets only what is not set yet.
	StrategyAddOnly Strategy = "add-only"
)

// Include names a further file, or a folder of them.
type Include struct {
	Path     string
	Strategy Strategy
}

// loader collects what was read and what is wrong with it.
type loader struct {
	lookup   func(string) (string, bool)
	errs     []error
	warnings []*Error
	read     []File
}

// isInclude says that an override is about the files to read.
func isInclude(override string) bool {
	rest, ok := strings.CutPrefix(override, "config_files")
	return ok && (strings.HasPrefix(rest, "=") || strings.HasPrefix(rest, "["))
}

// files reads the first file and those that it, or an override, names.
func (l *loader) files(name string, overrides []string) *value {
	root := &value{kind: mapping}
	if name != "" {
		if first := l.file(name); first != nil {
			root = first
		}
	}
	for _, o := range overrides {
		if isInclude(o) {
			l.override(root, o)
		}
	}
	e := root.get("config_files")
	if e == nil || e.value.null {
		return root
	}
	d := decoder{loader: l, at: map[string]place{}}
	var c Config
	d.value("config_files", e.value, field(&c, "config_files"))
	for i, inc := range c.ConfigFiles {
		at := e.value.at
		if e.value.kind == list {
			at = e.value.items[i].at
		}
		l.include(root, inc, at)
	}
	return root
}

func (l *loader) include(root *value, inc Include, at place) {
	names, err := Expand(inc.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.warn(at, "%s does not exist and is left out", inc.Path)
	case err != nil:
		l.fail(at, "%v", err)
	}
	for _, name := range names {
		v := l.file(name)
		if v == nil {
			continue
		}
		if e := v.get("config_files"); e != nil {
			l.fail(e.at, "config_files belongs in the first file alone")
		}
		root.merge(v, inc.Strategy)
	}
}

// merge puts the keys of a further file into this one.
func (v *value) merge(more *value, how Strategy) {
	for _, e := range more.keys {
		old := v.get(e.key)
		switch {
		case old == nil || old.value.null:
			v.set(e)
		case how == StrategyAddOnly:
		case how == StrategyAppend && old.value.kind == list && e.value.kind == list:
			old.value.items = append(old.value.items, e.value.items...)
		default:
			v.set(e)
		}
	}
}

// Expand gives the YAML files of a folder in alphabetical order, or the file
// itself. A missing one is fs.ErrNotExist.
func Expand(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); (ext != ".yaml" && ext != ".yml") || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		// The folders of a mounted ConfigMap are links, so the target counts.
		if info, err := os.Stat(filepath.Join(path, e.Name())); err == nil && info.Mode().IsRegular() {
			names = append(names, filepath.Join(path, e.Name()))
		}
	}
	return names, nil
}

// file reads one file, nil after an error.
func (l *loader) file(name string) *value {
	src := &source{name: name, whole: true}
	if len(l.read) == maxFiles {
		l.fail(place{src: src}, "more than %d configuration files", maxFiles)
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		l.fail(place{src: &source{name: "configuration", whole: true}}, "%v", err)
		return nil
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, MaxFileBytes+1))
	switch {
	case err != nil:
		l.fail(place{src: src}, "%v", err)
		return nil
	case len(content) > MaxFileBytes:
		l.fail(place{src: src}, "the file has more than %d bytes", MaxFileBytes)
		return nil
	}
	l.read = append(l.read, File{Name: name, Content: content})
	src = &source{name: name, text: string(content)}
	v := l.parse(src)
	if v == nil {
		return nil
	}
	if v.kind != mapping {
		l.fail(v.at, "a configuration is a mapping of keys, this is %s", v.kind)
		return nil
	}
	return v
}
