// Package doctest gives tests the examples of the manual: the fenced blocks of the
// repository's Markdown files.
//
// A test that opens a page answers for its blocks: each must be taken, or the page
// must say why it is not run, in a comment on the line before the fence:
//
//	<!-- not run: it needs a cluster -->
//
// The test of the module's root finds pages that no test opens.
package doctest

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Block is one fenced block.
type Block struct {
	// Page is the file's path from the repository's root, Line the line of the fence.
	Page string
	Line int
	// Section is the heading above, without its marks.
	Section string
	// Before is the text between the block before, or the page's begin, and this one.
	Before string
	Lang   string
	Text   string
	// NotRun says why no test runs it.
	NotRun string

	from, to int // Text's place in the page
	taken    bool
}

// Page is a Markdown file.
type Page struct {
	// File is the path from the repository's root, Path the whole one.
	File, Path string
	Text       string
	Blocks     []*Block
}

// began is the folder that the test began in, whatever folder it goes to.
var began, _ = os.Getwd()

// Root is the repository's folder, in which the test is.
var Root = sync.OnceValue(func() string {
	for dir := began; ; dir = filepath.Dir(dir) {
		if b, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && strings.HasPrefix(string(b), "module riposte\n") {
			return dir
		}
		if dir == "/" || dir == "." {
			panic("doctest: not within the repository: " + began)
		}
	}
})

var (
	fence   = regexp.MustCompile("^( *)```(\\w*)$")
	heading = regexp.MustCompile(`^#+ (.*)$`)
	notRun  = regexp.MustCompile(`^ *<!-- not run: (.+) -->$`)
)

// Read reads a page. Nobody has to answer for its blocks.
func Read(file string) (*Page, error) {
	p := &Page{File: file, Path: filepath.Join(Root(), file)}
	b, err := os.ReadFile(p.Path)
	if err != nil {
		return nil, err
	}
	p.Text = string(b)
	var (
		open                   *Block
		indent, section, above string
		at, line, end          int
	)
	for text := range strings.Lines(p.Text) {
		line++
		next := at + len(text)
		text = strings.TrimRight(text, "\n")
		m := fence.FindStringSubmatch(text)
		switch {
		case open != nil && m != nil && m[2] == "":
			open.to, end = at, next
			open.Text = unindent(p.Text[open.from:at], indent)
			p.Blocks = append(p.Blocks, open)
			open = nil
		case open != nil:
		case m != nil:
			open = &Block{Page: file, Line: line, Section: section, Before: p.Text[end:at], Lang: m[2], from: next}
			indent = m[1]
			if because := notRun.FindStringSubmatch(above); because != nil {
				open.NotRun = because[1]
			}
		default:
			if h := heading.FindStringSubmatch(text); h != nil {
				section = h[1]
			}
		}
		at, above = next, text
	}
	if open != nil {
		return nil, errors.New(open.Name() + ": the block does not end")
	}
	return p, nil
}

func unindent(text, indent string) string {
	if indent == "" {
		return text
	}
	return strings.ReplaceAll("\n"+text, "\n"+indent, "\n")[1:]
}

// Open reads a page whose blocks the test answers for: all of them, or those of some
// languages. Each that is not taken by the end fails it.
func Open(t testing.TB, file string, langs ...string) *Page {
	t.Helper()
	p, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		only := flag.Lookup("test.run").Value.String()
		if t.Failed() || t.Skipped() || strings.Contains(only, "/") {
			return // not all of it has run
		}
		for _, b := range p.Blocks {
			if !b.taken && b.NotRun == "" && (langs == nil || slices.Contains(langs, b.Lang)) {
				t.Errorf("%s: this test opens the page and does not run this block (%q)", b.Name(), b.Lang)
			}
		}
	})
	return p
}

// Take takes the blocks of some languages that are run, in their order; without a
// language all.
func (p *Page) Take(langs ...string) (all []*Block) {
	for _, b := range p.Blocks {
		if b.NotRun == "" && (langs == nil || slices.Contains(langs, b.Lang)) {
			b.taken = true
			all = append(all, b)
		}
	}
	return all
}

// In takes a section's only block of a language.
func (p *Page) In(t testing.TB, section, lang string) *Block {
	t.Helper()
	all := p.AllIn(t, section, lang)
	if len(all) != 1 {
		t.Fatalf("%s: the section %q has %d blocks of %q", p.File, section, len(all), lang)
	}
	return all[0]
}

// AllIn takes a section's blocks of a language.
func (p *Page) AllIn(t testing.TB, section, lang string) (all []*Block) {
	t.Helper()
	for _, b := range p.Blocks {
		if b.Section == section && b.Lang == lang && b.NotRun == "" {
			b.taken = true
			all = append(all, b)
		}
	}
	if len(all) == 0 {
		t.Fatalf("%s: the section %q has no block of %q", p.File, section, lang)
	}
	return all
}

// With is the page's text with another text in some blocks.
func (p *Page) With(texts map[*Block]string) string {
	var out strings.Builder
	at := 0
	for _, b := range p.Blocks {
		if text, ok := texts[b]; ok {
			out.WriteString(p.Text[at:b.from] + text)
			at = b.to
		}
	}
	return out.String() + p.Text[at:]
}

// Name is where the block is.
func (b *Block) Name() string { return b.Page + ":" + strconv.Itoa(b.Line) }

// Pages are all Markdown files of the repository, by their paths from its root.
func Pages() (all []string, err error) {
	err = filepath.WalkDir(Root(), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != Root() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules" || d.Name() == "bin" || d.Name() == "dist"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".md") && !strings.HasPrefix(d.Name(), "NOTE"):
			file, err := filepath.Rel(Root(), path)
			if err != nil {
				return err
			}
			all = append(all, file)
		}
		return nil
	})
	return all, err
}
