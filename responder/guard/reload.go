package guard

import (
	"context"
	"strings"
	"time"

	"riposte/responder/playbook/sandbox"
)

// keepRego loads the Rego rules. At the start an error means that there is no guard;
// later the last good rules stay.
func keepRego(sources []sandbox.Source) (*sandbox.Keeper[[]policy], error) {
	return sandbox.Keep(
		func() (*[]policy, []sandbox.Part, error) {
			now := make([]sandbox.Source, len(sources))
			for i, s := range sources {
				var err error
				if now[i], err = s.Open(); err != nil {
					return nil, nil, err
				}
			}
			return loadRego(now)
		},
		func() string {
			var b strings.Builder
			for _, s := range sources {
				b.WriteString(s.Stamp())
				b.WriteByte('\n')
			}
			return b.String()
		})
}

// CheckRego returns what is wrong with guard rules, as sandbox.Errors, and the packages
// that there are.
func CheckRego(sources ...sandbox.Source) ([]string, error) {
	_, parts, err := loadRego(sources)
	var names []string
	for _, p := range parts {
		if p.Name != guardPackage {
			names = append(names, p.Name)
		}
	}
	return names, err
}

// ReloadPolicies reads the Rego rules anew. With an error those in use stay.
func (g *Guard) ReloadPolicies() error { return g.rego.Reload() }

// PolicyLoads sums up the attempts to read the Rego rules, the last of which LastPolicies
// describes.
func (g *Guard) PolicyLoads() sandbox.Loads { return g.rego.Loads() }

// LastPolicies says what became of the last attempt to read the Rego rules.
func (g *Guard) LastPolicies() sandbox.Reload { return g.rego.Last() }

// WatchPolicies reads the Rego rules anew when they change, see sandbox.Keeper.Watch.
func (g *Guard) WatchPolicies(ctx context.Context, interval time.Duration, report func(sandbox.Reload)) {
	g.rego.Watch(ctx, interval, report)
}
