package playbook

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"riposte/playbooks"
	"riposte/responder/playbook/sandbox"
)

// Report is the outcome of a run of tests.
type Report struct {
	Tests []sandbox.TestResult
	// Coverage is of the files of the tested sources only.
	Coverage []sandbox.Coverage
}

// Failed counts the tests that did not pass; skipped ones are not among them.
func (r Report) Failed() int {
	n := 0
	for _, t := range r.Tests {
		if t.Outcome == sandbox.Fail || t.Outcome == sandbox.Broken {
			n++
		}
	}
	return n
}

// Test runs the Rego tests of the sources, after the same checks as Load. The
// libraries that come with Riposte can be imported, and need not be among the
// sources. An error means that the tests could not run.
func Test(ctx context.Context, sources ...sandbox.Source) (Report, error) {
	return TestOnly(ctx, nil, sources...)
}

// TestOnly is Test for the tests of which a pattern fits "package.name"; nil for all.
func TestOnly(ctx context.Context, run *regexp.Regexp, sources ...sandbox.Source) (Report, error) {
	if _, err := Load(Options{}, withEmbedded(sources)...); err != nil {
		return Report{}, err
	}
	all, _ := arrange(withEmbedded(sources))
	return newSuite(all, sources).run(ctx, run)
}

// suite is the tests of some sources, with what they test.
type suite struct {
	tree
	sources  []string
	fixtures map[string]any
	// err is what is wrong with the fixtures.
	err error
}

// newSuite chooses the tests of the sources. Those of a playbook that another source
// replaces are not about what is there now.
func newSuite(t tree, sources []sandbox.Source) suite {
	s := suite{tree: t, sources: names(sources), fixtures: map[string]any{}}
	s.tests = slices.DeleteFunc(slices.Clone(t.tests), func(f *sandbox.File) bool {
		if !slices.Contains(s.sources, f.Source) {
			return true
		}
		tested := t.playbooks[strings.TrimSuffix(strings.TrimPrefix(f.Package, playbookPackage), "_test")]
		return tested != nil && f.Source == Embedded().Name && tested[0].Source != f.Source
	})
	var errs sandbox.Errors
	for _, src := range sources {
		errs = errs.Append(sandbox.ReadFixtures(src, s.fixtures))
	}
	s.err = errs.Err()
	return s
}

// run runs the tests that a pattern fits, nil for all.
func (s suite) run(ctx context.Context, run *regexp.Regexp) (Report, error) {
	if s.err != nil {
		return Report{}, s.err
	}
	var report Report
	for _, part := range []struct {
		schema string
		guard  bool
		files  []*sandbox.File
	}{
		{"input", false, slices.Concat(s.libs, s.playbookFiles())},
		{"guard", true, slices.Concat(s.libs, s.guard)},
	} {
		files := part.files
		for _, f := range s.tests {
			if strings.HasPrefix(f.Package, guardPackage) == part.guard {
				files = append(files, f)
			}
		}
		if !slices.ContainsFunc(files, func(f *sandbox.File) bool { return f.Test }) {
			continue
		}
		b, err := playbooks.Schema(part.schema)
		if err != nil {
			return Report{}, err
		}
		schema, err := sandbox.NewSchema(b)
		if err != nil {
			return Report{}, err
		}
		tests, coverage, err := sandbox.RunTests(ctx, files, schema, sandbox.TestOptions{Run: run, Fixtures: s.fixtures})
		if err != nil {
			return Report{}, err
		}
		report.Tests = append(report.Tests, tests...)
		for _, c := range coverage {
			mine := slices.ContainsFunc(files, func(f *sandbox.File) bool {
				return f.Path == c.File && slices.Contains(s.sources, f.Source)
			})
			seen := slices.ContainsFunc(report.Coverage, func(o sandbox.Coverage) bool { return o.File == c.File })
			if mine && !seen {
				report.Coverage = append(report.Coverage, c)
			}
		}
	}
	return report, nil
}

// withEmbedded puts our own source first, if it is not there.
func withEmbedded(sources []sandbox.Source) []sandbox.Source {
	if slices.Contains(names(sources), Embedded().Name) {
		return sources
	}
	return append([]sandbox.Source{Embedded()}, sources...)
}

func names(sources []sandbox.Source) []string {
	out := make([]string, len(sources))
	for i, s := range sources {
		out[i] = s.Name
	}
	return out
}

func (t tree) playbookFiles() []*sandbox.File {
	var out []*sandbox.File
	for _, files := range t.playbooks {
		out = append(out, files...)
	}
	return out
}
