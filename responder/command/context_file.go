package command

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// serverContext is a running Riposte that the user has named. Files are absolute, or
// relative to the configuration's folder.
type serverContext struct {
	Name   string `yaml:"name" json:"name"`
	Server string `yaml:"server" json:"server"`
	// TokenFile holds the token: the configuration itself never does.
	TokenFile string `yaml:"token_file" json:"token_file"`
	// CA is the authority that the server's certificate is from, Cert and Key are the
	// client's own, all PEM.
	CA   string `yaml:"ca,omitempty" json:"ca,omitempty"`
	Cert string `yaml:"cert,omitempty" json:"cert,omitempty"`
	Key  string `yaml:"key,omitempty" json:"key,omitempty"`
	// Namespace is what lists show unless -n or -A says something else.
	Namespace string `yaml:"namespace,omitempty" json:"namespace,omitempty"`
}

// contextFile is the user's configuration.
type contextFile struct {
	Current  string          `yaml:"current,omitempty"`
	Contexts []serverContext `yaml:"contexts"`
}

var contextName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// contextPath is $XDG_CONFIG_HOME/riposte/config.yaml, or ~/.config/riposte/config.yaml.
func contextPath() (string, error) {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if !filepath.IsAbs(dir) {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the configuration: %w; set XDG_CONFIG_HOME", err)
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "riposte", "config.yaml"), nil
}

// readContexts reads the configuration; a missing one is empty. Whoever can change it
// can have tokens sent elsewhere, so it must be the user's alone.
func readContexts(path string) (f contextFile, err error) {
	in, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return f, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return f, fmt.Errorf("%s is open to others (mode %04o): `chmod 600 %s`", path, info.Mode().Perm(), path)
	}
	b, err := io.ReadAll(io.LimitReader(in, 1<<20))
	if err != nil {
		return f, err
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return f, fmt.Errorf("%s: %w", path, err)
	}
	seen := map[string]bool{}
	for i, c := range f.Contexts {
		switch {
		case !contextName.MatchString(c.Name):
			return f, fmt.Errorf("%s: context %d has the name %q: use letters, digits, dots and dashes", path, i+1, c.Name)
		case seen[c.Name]:
			return f, fmt.Errorf("%s: there are two contexts %s", path, c.Name)
		case c.Server == "":
			return f, fmt.Errorf("%s: context %s has no server", path, c.Name)
		case c.TokenFile == "":
			return f, fmt.Errorf("%s: context %s has no token_file", path, c.Name)
		}
		seen[c.Name] = true
		for _, file := range []*string{&f.Contexts[i].TokenFile, &f.Contexts[i].CA, &f.Contexts[i].Cert, &f.Contexts[i].Key} {
			if *file != "" && !filepath.IsAbs(*file) {
				*file = filepath.Join(filepath.Dir(path), *file)
			}
		}
	}
	return f, nil
}

// write replaces the configuration as a whole, so that a crash leaves the old or the new.
func (f contextFile) write(path string) error {
	b, err := yaml.Marshal(f)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".config-*") // of mode 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
	}
	return err
}

func (f contextFile) find(name string) (serverContext, error) {
	if i := f.index(name); i >= 0 {
		return f.Contexts[i], nil
	}
	var names []string
	for _, c := range f.Contexts {
		names = append(names, c.Name)
	}
	if names == nil {
		return serverContext{}, coded{fmt.Errorf("there is no context %q, and no other: `riposte context add` makes one", name), exitNotFound}
	}
	return serverContext{}, coded{fmt.Errorf("there is no context %q; there are %s", name, strings.Join(names, ", ")), exitNotFound}
}

func (f contextFile) index(name string) int {
	return slices.IndexFunc(f.Contexts, func(c serverContext) bool { return c.Name == name })
}
