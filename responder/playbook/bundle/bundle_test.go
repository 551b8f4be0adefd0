package bundle

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

func TestSignedBundleIsLoaded(t *testing.T) {
	k := newKey(t)
	src, err := Read("https://policies.example/p.tar.gz", pack(t, sign(t, built(t, web, images(), "playbooks", "images"), k.private)), trust(t, k))
	require.NoError(t, err)
	set, err := playbook.Load(playbook.Options{}, playbook.Embedded(), src)
	require.NoError(t, err)
	p := named(t, set.Playbooks(), "web")
	require.Equal(t, []string{"https://policies.example/p.tar.gz/web/web.rego"}, p.Files)

	// The same content from a directory has the same revision, other data another one.
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x.rego"), []byte(web), 0o600))
	write := func(text string) string {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "data.json"), []byte(text), 0o600))
		set, err := playbook.Load(playbook.Options{}, playbook.Embedded(), playbook.Dir(dir))
		require.NoError(t, err)
		return named(t, set.Playbooks(), "web").Revision
	}
	require.Equal(t, p.Revision, write(`{"images": {"bad": {"x": true}}, "others": 1}`))
	require.NotEqual(t, p.Revision, write(`{"images": {"bad": {"x": true, "y": true}}}`))
}

func TestBundleWithoutARightSignatureIsRefused(t *testing.T) {
	ours, other := newKey(t), newKey(t)
	signed := contents(t, pack(t, sign(t, built(t, web, images()), ours.private)))
	edit := func(change func([]entry) []entry) []byte { return archive(t, change(slices.Clone(signed))...) }
	index := func(es []entry, name string) int {
		return slices.IndexFunc(es, func(e entry) bool { return e.Name == name })
	}
	for name, tt := range map[string]struct {
		packed []byte
		want   string
	}{
		"unsigned":  {pack(t, built(t, web, images())), "missing .signatures.json"},
		"another's": {pack(t, sign(t, built(t, web, images()), other.private)), "failed to verify JWT signature"},
		"a file changed": {edit(func(es []entry) []entry {
			es[index(es, "/web/web.rego")] = plain("/web/web.rego", strings.Replace(web, "observe", "enforce", 1))
			return es
		}), "digest mismatch"},
		"data changed": {edit(func(es []entry) []entry {
			es[index(es, "/data.json")] = plain("/data.json", `{"images": {"bad": {"y": true}}}`)
			return es
		}), "digest mismatch"},
		"a file more": {edit(func(es []entry) []entry { return append(es, plain("/more.rego", "package playbooks.more")) }), "more.rego not included in bundle signature"},
		"a file less": {edit(func(es []entry) []entry { return slices.Delete(es, index(es, "/data.json"), index(es, "/data.json")+1) }), "specified in bundle signatures but not found"},
		"no signature in it": {edit(func(es []entry) []entry {
			es[index(es, "/.signatures.json")] = plain("/.signatures.json", `{"signatures": []}`)
			return es
		}), "missing"},
		"alg none": {edit(func(es []entry) []entry {
			es[index(es, "/.signatures.json")] = plain("/.signatures.json", `{"signatures": ["eyJhbGciOiJub25lIn0.eyJmaWxlcyI6W119."]}`)
			return es
		}), "failed to verify JWT signature"},
	} {
		t.Run(name, func(t *testing.T) {
			src, err := Read("b.tar.gz", tt.packed, trust(t, ours))
			require.ErrorContains(t, err, tt.want)
			require.ErrorContains(t, err, "b.tar.gz")
			require.Nil(t, src.FS)
			_, err = Read("b.tar.gz", tt.packed, Trust{})
			require.Error(t, err, "the zero Trust takes nothing")
		})
	}
	_, err := Read("b.tar.gz", archive(t, signed...), trust(t, ours))
	require.NoError(t, err, "what the cases change was good")
	_, err = Read("b.tar.gz", pack(t, built(t, web, images())), Unsigned())
	require.NoError(t, err, "the setting says plainly that it need not be signed")
	_, err = Read("b.tar.gz", archive(t, signed...), Trust{})
	require.Error(t, err)
}

// Each mistake inside a bundle is told with its place there.
func TestMistakesHaveTheirPlaceInTheBundle(t *testing.T) {
	for name, tt := range map[string]struct {
		entries []entry
		want    string
	}{
		"syntax":              {[]entry{plain("/web/a.rego", "package playbooks.a\n\nx := := 1\n")}, "/b.tar.gz/web/a.rego:3:"},
		"a misspelt field":    {[]entry{plain("/a.rego", strings.Replace(web, "input.alert.rule]", "input.alert.rul]", 1)), plain("/data.json", `{"images": {"bad": {}}}`)}, "/b.tar.gz/a.rego:8:75: undefined ref: input.alert.rul"},
		"no such data":        {[]entry{plain("/a.rego", web)}, "/b.tar.gz/a.rego:8:47: data.images.bad is defined nowhere"},
		"metadata":            {[]entry{plain("/a.rego", strings.Replace(web, "observe", "watch", 1))}, "/b.tar.gz/a.rego:5:"},
		"data that is none":   {[]entry{plain("/a/data.json", "{\n  x}")}, "/b.tar.gz/a/data.json:2:3: is no JSON"},
		"data over ours":      {[]entry{plain("/data.json", "{\"x\": 1,\n  \"riposte\": {\"lib\": {}}}")}, "/b.tar.gz/data.json:2:3: data.riposte holds packages: data needs another root"},
		"data in a playbook":  {[]entry{plain("/playbooks/web/data.json", "{}")}, "/b.tar.gz/playbooks/web/data.json:1:1: data.playbooks holds packages"},
		"beyond the roots":    {[]entry{plain("/.manifest", `{"roots": ["images"]}`), plain("/a.rego", web)}, "/b.tar.gz/a.rego:6:1: manifest roots [images] do not permit 'package playbooks.web' in module '/a.rego'"},
		"data beyond roots":   {[]entry{plain("/.manifest", `{"roots": ["playbooks"]}`), plain("/x/data.json", "{}")}, "do not permit data at path '/x'"},
		"no manifest":         {[]entry{plain("/.manifest", `{`)}, "/b.tar.gz: bundle load failed on manifest decode"},
		"the guard's package": {[]entry{plain("/g.rego", "package riposte.guard.x\n\nrefuse := set()\n")}, "/b.tar.gz/g.rego:1:1: package riposte.guard.x is the guard's"},
		"YAML data":           {[]entry{plain("/x/data.yaml", "a: 1")}, "/b.tar.gz/x/data.yaml: is not read"},
		"wasm":                {[]entry{plain("/policy.wasm", "x")}, "/b.tar.gz/policy.wasm: is not read"},
		"a delta":             {[]entry{plain("/patch.json", `{"data": [{"op": "upsert", "path": "/x", "value": 1}]}`), plain("/.manifest", "{}")}, "/b.tar.gz/patch.json: is not read"},
		"hidden Rego":         {[]entry{plain("/.x/a.rego", web), plain("/data.json", `{"images": {}}`)}, "/b.tar.gz/.x/a.rego: is hidden"},
		"an old language":     {[]entry{plain("/a.rego", "package playbooks.a\n\nx { true }\n"), plain("/.manifest", `{"rego_version": 0}`)}, "/b.tar.gz/a.rego:3:1: "},
	} {
		t.Run(name, func(t *testing.T) {
			src, err := Read("/b.tar.gz", archive(t, tt.entries...), Unsigned())
			if err == nil {
				_, err = playbook.Load(playbook.Options{}, playbook.Embedded(), src)
			}
			require.ErrorContains(t, err, tt.want)
			var errs sandbox.Errors
			require.ErrorAs(t, err, &errs)
		})
	}
}

func TestTwoSourcesCannotHaveTheSame(t *testing.T) {
	one, err := Read("/one.tar.gz", pack(t, built(t, web, images())), Unsigned())
	require.NoError(t, err)
	two, err := Read("/two.tar.gz", pack(t, built(t, web, images())), Unsigned())
	require.NoError(t, err)
	_, err = playbook.Load(playbook.Options{}, playbook.Embedded(), one, two)
	require.ErrorContains(t, err, "/two.tar.gz/web/web.rego:6:1: playbook web is there already, in /one.tar.gz/web/web.rego: two sources cannot both have it")
	require.ErrorContains(t, err, "/two.tar.gz/data.json:1:2: data.images is there already, in /one.tar.gz/data.json: two sources cannot both have it")
}

func TestKeys(t *testing.T) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	require.NoError(t, err)
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	tr, err := SignedBy(pemFile(t, "PUBLIC KEY", marshal(t, &long.PublicKey)))
	require.NoError(t, err)
	require.Equal(t, "RS256", tr.algorithm)
	for file, want := range map[string]string{
		pemFile(t, "PUBLIC KEY", marshal(t, private.Public())): "a ed25519.PublicKey cannot verify bundles",
		pemFile(t, "PUBLIC KEY", marshal(t, &short.PublicKey)): "an RSA key of 1024 bits is too short",
		pemFile(t, "PUBLIC KEY", []byte("nonsense")):           "asn1",
		pemFile(t, "PRIVATE KEY", []byte("nonsense")):          "it is no PEM public key",
		pemFile(t, "PUBLIC KEY", make([]byte, maxKey)):         "has more than",
		filepath.Join(t.TempDir(), "gone"):                     "no such file or directory",
	} {
		_, err := SignedBy(file)
		require.ErrorContains(t, err, want)
	}
}

func TestFileFollowsTheFile(t *testing.T) {
	k := newKey(t)
	path := filepath.Join(t.TempDir(), "b.tar.gz")
	put := func(b []byte) {
		require.NoError(t, os.WriteFile(path+".new", b, 0o600))
		require.NoError(t, os.Rename(path+".new", path))
	}
	put(pack(t, sign(t, built(t, web, images()), k.private)))
	f := File{Path: path, Trust: trust(t, k)}
	h, err := playbook.NewHolder(playbook.Options{}, playbook.Embedded(), f)
	require.NoError(t, err)
	stamp := f.Stamp()
	put(pack(t, built(t, strings.Replace(web, "observe", "enforce", 1), images())))
	require.NotEqual(t, stamp, f.Stamp())
	require.ErrorContains(t, h.Reload(), path+": bundle missing .signatures.json file")
	require.Equal(t, playbook.Observe, named(t, h.Playbooks(), "web").Mode)

	put(make([]byte, MaxBytes+1))
	require.ErrorContains(t, h.Reload(), "has more than")
	require.NoError(t, os.Remove(path))
	require.ErrorContains(t, h.Reload(), "no such file")
	named(t, h.Playbooks(), "web")
	require.Equal(t, uint64(3), h.Loads().Bad)
}
