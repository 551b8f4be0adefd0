package sandbox

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"
	"sigs.k8s.io/yaml"
)

// fixturesRoot is where tests find fixtures: data.fixtures.<name>.
var fixturesRoot = ast.MustParseRef("data.fixtures")

// ReadFixtures adds the JSON and YAML files that lie beside tests, by their names
// without the ending. Two of the same name are an error, as are bad files: Errors.
func ReadFixtures(src Source, into map[string]any) error {
	var errs Errors
	bad := func(rel, format string, args ...any) {
		errs = append(errs, &Error{File: path.Join(src.Name, rel), Message: fmt.Sprintf(format, args...)})
	}
	beside := map[string]bool{} // folders with tests
	var found []string
	err := fs.WalkDir(src.FS, ".", func(rel string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case rel != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
		case strings.HasSuffix(rel, "_test.rego"):
			beside[path.Dir(rel)] = true
		case slices.Contains([]string{".json", ".yaml", ".yml"}, path.Ext(rel)) && !d.IsDir():
			found = append(found, rel)
		}
		return nil
	})
	if err != nil {
		bad("", "%s", plain(err))
	}
	for _, rel := range found {
		if !beside[path.Dir(rel)] || strings.HasPrefix(path.Base(rel), "data.") {
			continue // data.json is no fixture: it is the playbooks' own
		}
		name := strings.TrimSuffix(path.Base(rel), path.Ext(rel))
		if _, taken := into[name]; taken {
			bad(rel, "there is a fixture %q already: give this file another name", name)
			continue
		}
		v, err := readFixture(src, rel)
		if err != nil {
			bad(rel, "%s", err)
			continue
		}
		into[name] = v
	}
	return errs.Err()
}

func readFixture(src Source, rel string) (any, error) {
	info, err := fs.Stat(src.FS, rel)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > MaxFileBytes {
		return nil, fmt.Errorf("is no regular file of at most %d bytes", MaxFileBytes)
	}
	b, err := fs.ReadFile(src.FS, rel)
	if err != nil {
		return nil, err
	}
	if path.Ext(rel) != ".json" {
		if b, err = yaml.YAMLToJSONStrict(b); err != nil {
			return nil, err
		}
	}
	var v any
	return v, util.UnmarshalJSON(b, &v)
}

// missingFixtures finds references to fixtures that are not there: they would be
// undefined, and the test would fail without saying why.
func missingFixtures(files []*File, fixtures map[string]any) error {
	var errs Errors
	known := slices.Sorted(maps.Keys(fixtures))
	for _, f := range files {
		if !f.Test {
			continue
		}
		ast.WalkRefs(f.Module, func(r ast.Ref) bool {
			if len(r) <= len(fixturesRoot) || !r.HasPrefix(fixturesRoot) {
				return false
			}
			term := r[len(fixturesRoot)]
			name, ok := term.Value.(ast.String)
			if _, there := fixtures[string(name)]; ok && !there {
				hint := Suggest(string(name), known)
				errs = append(errs, At(term.Location, "%s", strings.TrimSpace(fmt.Sprintf("there is no fixture %q, a file %s.json or .yaml beside the tests. %s", string(name), string(name), hint))))
			}
			return false
		})
	}
	return errs.Err()
}
