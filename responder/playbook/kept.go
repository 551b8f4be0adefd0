package playbook

import (
	"encoding/json"
	"fmt"

	"riposte/responder/playbook/sandbox"
)

// Kept is all that one revision of a playbook consists of, so that it can be asked again
// when other files are loaded.
type Kept struct {
	// Files are the playbook's and those of the libraries that it uses.
	Files []KeptFile `json:"files"`
	// Data has the documents that they read, by their roots.
	Data json.RawMessage `json:"data,omitempty"`
}

// KeptFile is one file in Rego, by its name in errors.
type KeptFile struct {
	Path string `json:"path"`
	Text string `json:"text"`
}

// Keep is what the playbook consists of.
func (p *Playbook) Keep() (Kept, error) {
	files, data, err := p.compiled.Used(playbookPackage + p.Name)
	if err != nil {
		return Kept{}, err
	}
	var k Kept
	for _, f := range files {
		k.Files = append(k.Files, KeptFile{f.Path, string(f.Text)})
	}
	if len(data) > 0 {
		k.Data, err = json.Marshal(data)
	}
	return k, err
}

// Rebuild loads one playbook again, as a set of its own.
func Rebuild(o Options, name string, k Kept) (*Set, error) {
	schema, err := inputSchema()
	if err != nil {
		return nil, err
	}
	var files, libs []*sandbox.File
	for _, f := range k.Files {
		parsed, err := sandbox.Rego(f.Path, []byte(f.Text))
		if err != nil {
			return nil, err
		}
		if parsed.Package == playbookPackage+name {
			files = append(files, parsed)
		} else {
			libs = append(libs, parsed)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no file of playbook %s", name)
	}
	if len(k.Data) > 0 {
		document, err := sandbox.Data(k.Data)
		if err != nil {
			return nil, err
		}
		libs = append(libs, document)
	}
	p, err := build(name, files, libs, schema)
	if err != nil {
		return nil, err
	}
	s := &Set{options: o.withDefaults(), playbooks: []*Playbook{p}}
	s.index = newIndex(s.playbooks)
	return s, nil
}
