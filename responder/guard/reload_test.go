package guard_test

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"riposte/responder/guard"
	"riposte/responder/playbook/sandbox"
)

func put(t testing.TB, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
}

const (
	noWeb = "package riposte.guard.site\n\nrefuse contains {\"rule\": \"no-web\", \"reason\": \"hands off\"} if startswith(input.target.name, data.ours.prefix)\n"
	ours  = `{"ours": {"prefix": "web"}}`
)

// A change of the user's rules is taken over; one that cannot be read changes nothing,
// so that a slip of the pen never widens what may be done.
func TestPoliciesAreReloaded(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "site.rego", noWeb)
	put(t, dir, "data.json", ours)
	g := newGuard(t, guard.Options{Rego: []sandbox.Source{sandbox.Dir(dir)}})
	rule := func() string { return g.Judge(context.Background(), pod()).Rule }
	require.Equal(t, "no-web", rule())
	require.Len(t, g.LastPolicies().Added, 2)

	put(t, dir, "site.rego", noWeb[:len(noWeb)-10])
	require.ErrorContains(t, g.ReloadPolicies(), filepath.Join(dir, "site.rego")+":")
	require.Equal(t, "no-web", rule())
	put(t, dir, "site.rego", noWeb)
	put(t, dir, "data.json", `{"riposte": {"guard": {}}}`)
	require.ErrorContains(t, g.ReloadPolicies(), filepath.Join(dir, "data.json")+":1:2: data.riposte holds packages")
	require.Equal(t, "no-web", rule())
	require.NoError(t, os.Rename(dir, dir+".gone"))
	require.ErrorContains(t, g.ReloadPolicies(), "no such file or directory")
	require.Equal(t, "no-web", rule())
	require.Equal(t, uint64(3), g.PolicyLoads().Bad)

	require.NoError(t, os.Rename(dir+".gone", dir))
	put(t, dir, "data.json", `{"ours": {"prefix": "db"}}`)
	require.NoError(t, g.ReloadPolicies())
	require.Empty(t, rule())
	require.Equal(t, "riposte.guard.site", g.LastPolicies().Changed[0].Name)

	put(t, dir, "site.rego", "package riposte.guard.site\n")
	_, err := guard.New(guard.Options{Rego: []sandbox.Source{sandbox.Dir(dir)}})
	require.ErrorContains(t, err, "there is no rule `refuse contains", "at the start a bad one is no guard")
}

func TestPoliciesAreWatched(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		g, err := guard.New(guard.Options{Rego: []sandbox.Source{sandbox.Dir(dir)}})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		var all []sandbox.Reload
		var wg sync.WaitGroup
		wg.Go(func() { g.WatchPolicies(ctx, time.Second, func(r sandbox.Reload) { all = append(all, r) }) })
		time.Sleep(10500 * time.Millisecond)
		put(t, dir, "site.rego", noWeb)
		put(t, dir, "data.json", ours)
		time.Sleep(3 * time.Second)
		cancel()
		wg.Wait()
		require.Len(t, all, 1)
		require.NoError(t, all[0].Err)
		require.Equal(t, "riposte.guard.site", all[0].Added[0].Name)
	})
}

// What the manual shows works: the rules load, and refuse what the text says.
func TestManualsRules(t *testing.T) {
	dir := t.TempDir()
	block := func(kind, name string) {
		m := regexp.MustCompile("(?s)```" + kind + "\n(.*?)```").FindStringSubmatch(manual(t))
		require.NotNil(t, m, kind)
		put(t, dir, name, m[1])
	}
	block("rego", "freeze.rego")
	block("json", "data.json")
	names, err := guard.CheckRego(sandbox.Dir(dir))
	require.NoError(t, err)
	require.Equal(t, []string{"riposte.guard.change_freeze"}, names)
	day := time.Date(2026, 12, 24, 10, 0, 0, 0, time.UTC)
	g := newGuard(t, guard.Options{Rego: []sandbox.Source{sandbox.Dir(dir)}, Now: func() time.Time { return day }})
	q := pod()
	require.Equal(t, "shop", q.Target.Namespace)
	v := g.Judge(context.Background(), q)
	require.Equal(t, "change-freeze", v.Rule)
	require.Equal(t, "shop is frozen until 2027-01-02", v.Reason)
	q.Type = "freeze_container"
	require.NotEqual(t, "change-freeze", g.Judge(context.Background(), q).Rule)
	day = day.AddDate(0, 1, 0)
	require.Empty(t, g.Judge(context.Background(), pod()).Rule)
}
