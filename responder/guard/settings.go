package guard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"slices"
	"time"

	"riposte/responder/playbook/sandbox"
)

// settings are what is protected and what is counted. The guard's file may change them
// while the guard works: each question is judged by those that hold then.
type settings struct {
	namespaces, names []string
	labels            map[string]string
	limits            Limits
	// fingerprint is the limits'.
	fingerprint string
}

// keepSettings reads the guard's file, if there is one. At the start an error means that
// there is no guard; later the last good settings stay.
func keepSettings(o Options) (*sandbox.Keeper[settings], error) {
	return sandbox.Keep(
		func() (*settings, []sandbox.Part, error) {
			s := settings{namespaces: o.ProtectedNamespaces, names: o.ProtectedNames, labels: o.ProtectedLabels, limits: o.Limits}
			var parts []sandbox.Part
			if o.File != "" {
				text, err := readFile(o.File)
				if err != nil {
					return nil, nil, err
				}
				c, err := parseFile(o.File, text)
				if err != nil {
					return nil, nil, err
				}
				s.add(c)
				sum := sha256.Sum256(text)
				parts = []sandbox.Part{{Name: "the guard's file", Source: o.File, Revision: hex.EncodeToString(sum[:])}}
			}
			if err := errors.Join(s.limits.check(), checkNames(s.names)); err != nil {
				return nil, nil, err
			}
			s.fingerprint = s.limits.fingerprint()
			return &s, parts, nil
		},
		func() string { return stampOf(o.File) })
}

// add puts what the file protects on top of what is protected anyway. Its limits are
// whole: what the file does not say has its default.
func (s *settings) add(c Config) {
	s.namespaces = append(slices.Clone(s.namespaces), c.Namespaces...)
	s.names = append(slices.Clone(s.names), c.Names...)
	s.labels = maps.Clone(s.labels)
	if s.labels == nil {
		s.labels = map[string]string{}
	}
	maps.Copy(s.labels, c.Labels)
	s.limits = c.Limits
}

// stampOf is another text when the file has changed. It is small, and a mounted
// ConfigMap's time says little, so it is the file itself that is compared.
func stampOf(file string) string {
	if file == "" {
		return ""
	}
	text, err := readFile(file)
	if err != nil {
		return err.Error()
	}
	sum := sha256.Sum256(text)
	return string(sum[:])
}

func (g *Guard) settings() *settings { return g.file.Value() }

// LastFile says what became of the last attempt to read the guard's file.
func (g *Guard) LastFile() sandbox.Reload { return g.file.Last() }

// FileLoads sums up the attempts to read the guard's file.
func (g *Guard) FileLoads() sandbox.Loads { return g.file.Loads() }

// WatchFile reads the guard's file anew when it changes, see sandbox.Keeper.Watch. With
// an error what holds stays.
func (g *Guard) WatchFile(ctx context.Context, interval time.Duration, report func(sandbox.Reload)) {
	g.file.Watch(ctx, interval, report)
}
