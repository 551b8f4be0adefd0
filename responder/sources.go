package responder

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"riposte/responder/playbook"
	"riposte/responder/playbook/bundle"
)

// defaultBundleEvery is how often a bundle's server is asked for news.
const defaultBundleEvery = 30 * time.Second

// playbookSources are where the playbooks come from. Of a bundle's server it returns the
// Remote too, which was asked once: what it has is needed for the start.
func playbookSources(o Options) ([]playbook.Source, *bundle.Remote, error) {
	sources := []playbook.Source{playbook.Embedded()}
	if o.PlaybookDir != "" {
		sources = append(sources, playbook.Dir(o.PlaybookDir))
	}
	if o.Bundle == "" {
		return sources, nil, nil
	}
	trust, err := bundleTrust(o)
	if err != nil {
		return nil, nil, err
	}
	if !strings.Contains(o.Bundle, "://") {
		return append(sources, bundle.File{Path: o.Bundle, Trust: trust}), nil, nil
	}
	remote, err := bundle.NewRemote(o.Bundle, o.BundleTokenFile, o.BundleEvery, trust)
	if err != nil {
		return nil, nil, err
	}
	if err := remote.Fetch(context.Background()); err != nil { // it bounds itself
		return nil, nil, fmt.Errorf("fetch the bundle: %w", err)
	}
	return append(sources, remote), remote, nil
}

func bundleTrust(o Options) (bundle.Trust, error) {
	if o.BundleUnsigned {
		return bundle.Unsigned(), nil
	}
	return bundle.SignedBy(o.BundleKeyFile)
}

// checkBundle refuses settings of which one would do nothing, or leave open whether
// signatures count.
func (o Options) checkBundle() error {
	switch {
	case o.Bundle == "" && (o.BundleKeyFile != "" || o.BundleTokenFile != "" || o.BundleUnsigned):
		return errors.New("there is a key or a token for a bundle, and no bundle")
	case o.Bundle != "" && (o.BundleKeyFile == "") == !o.BundleUnsigned:
		return errors.New("a bundle needs the file of the public key that its signature is verified with, or the word that it need not be signed: one of the two")
	}
	return nil
}

// startSources records what was loaded at the start, and takes over what changes.
func (r *Responder) startSources() {
	log := r.o.Log.With("component", "sources")
	playbooks := reporter{r: r, log: log, what: playbooksReloaded, also: r.keepRevisions}
	if r.remote != nil {
		r.cleanups.add("the bundle", background(r.remote.Run))
	}
	r.cleanups.add("the watch of the playbooks", background(func(ctx context.Context) {
		playbooks.report(ctx, r.playbooks.Last())
		if r.o.PlaybookDir != "" || r.o.Bundle != "" {
			r.playbooks.Watch(ctx, watchFiles, playbooks.with(ctx))
		}
	}))
	if r.o.GuardPolicyDir == "" {
		return
	}
	policies := reporter{r: r, log: log, what: policiesReloaded}
	r.cleanups.add("the watch of the guard's rules", background(func(ctx context.Context) {
		policies.report(ctx, r.guard.LastPolicies())
		r.guard.WatchPolicies(ctx, watchFiles, policies.with(ctx))
	}))
}
