// Package bundle reads playbooks from OPA bundles
// (https://www.openpolicyagent.org/docs/management-bundles): a tar.gz with Rego, data.json,
// a .manifest with the roots that it may define, and .signatures.json. OPA's own reader
// verifies the signature and the roots. In front of it the archive is unpacked within
// bounds, and what it then reads is what was unpacked.
package bundle

import (
	"bytes"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	opa "github.com/open-policy-agent/opa/v1/bundle"

	"riposte/responder/playbook/sandbox"
)

// MaxBytes bounds a bundle as it is sent or stored.
const MaxBytes = 8 << 20

// Read unpacks and verifies a bundle. name stands before the paths in errors. The errors
// are sandbox.Errors.
func Read(name string, packed []byte, t Trust) (sandbox.Source, error) {
	src := sandbox.Source{Name: name}
	files, err := unpack(bytes.NewReader(packed))
	if err != nil {
		return sandbox.Source{}, refuse(name, err)
	}
	if src.FS, err = tree(files); err != nil {
		return sandbox.Source{}, refuse(name, err)
	}
	if err := verify(src, t); err != nil {
		return sandbox.Source{}, err
	}
	return src, nil
}

func refuse(name string, err error) error {
	return sandbox.Errors{{File: name, Message: err.Error()}}
}

// verify has OPA read the bundle: the signature, the digest of each file, the roots.
func verify(src sandbox.Source, t Trust) error {
	loader, err := opa.NewFSLoader(src.FS)
	if err != nil {
		return refuse(src.Name, err)
	}
	// With a slash in front, names that begin with a dot keep it.
	r := opa.NewCustomReader(loader.WithPathFormat(opa.SlashRooted)).WithSizeLimitBytes(maxUnpacked).WithProcessAnnotations(true)
	if t.unsigned {
		r = r.WithSkipBundleVerification(true)
	} else {
		r = r.WithBundleVerificationConfig(t.config())
	}
	if _, err := r.Read(); err != nil {
		return located(src, err)
	}
	return foreign(src)
}

// beyondRoots ends OPA's error about a module that the manifest does not permit.
var beyondRoots = regexp.MustCompile(` in module '/(.*)'$`)

// located gives OPA's errors their places inside the bundle. Of what it says without a
// place our own reading of the files may know it.
func located(src sandbox.Source, err error) error {
	errs := sandbox.Errors(nil).Append(err)
	for _, e := range errs {
		if e.File != "" {
			e.File = src.Place(strings.TrimPrefix(e.File, "/"))
			continue
		}
		e.File = src.Name
		files, more := sandbox.Read(src)
		if m := beyondRoots.FindStringSubmatch(e.Message); m != nil {
			for _, f := range files {
				if f.Path == src.Place(m[1]) {
					e.File, e.Line, e.Column = f.Path, f.Module.Package.Location.Row, f.Module.Package.Location.Col
				}
			}
		}
		errs = errs.Append(more)
	}
	return errs
}

// unread are files that OPA takes from a bundle and we do not: it would seem as if they
// counted.
var unread = []string{"data.yaml", "data.yml", "policy.wasm", "plan.json", "plan.pb", "patch.json"}

func foreign(src sandbox.Source) error {
	var errs sandbox.Errors
	err := fs.WalkDir(src.FS, ".", func(rel string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(rel, ".") || strings.Contains(rel, "/.")
		switch {
		case d.IsDir():
		case slices.Contains(unread, path.Base(rel)):
			errs = append(errs, &sandbox.Error{File: src.Place(rel), Message: "is not read: a bundle is whole, with Rego in .rego files and data in data.json"})
		case hidden && rel != ".manifest" && rel != ".signatures.json":
			errs = append(errs, &sandbox.Error{File: src.Place(rel), Message: "is hidden: a part of its path begins with a dot"})
		}
		return nil
	})
	if err != nil {
		return refuse(src.Name, fmt.Errorf("list the files: %w", err))
	}
	return errs.Err()
}
