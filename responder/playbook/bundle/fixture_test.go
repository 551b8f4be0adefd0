package bundle

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	opa "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"riposte/responder/playbook"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const web = `# METADATA
# scope: package
# title: Test
# description: A playbook of a test.
# custom: {owner: tests, trigger: {priority: debug}, mode: observe, severity: high}
package playbooks.web

action contains {"type": input.alert.rule} if data.images.bad[input.alert.rule]
`

// key is a key pair: the private one as PEM, the file of the public one.
type key struct{ private, public string }

func newKey(t testing.TB) key {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(t, err)
	return key{
		private: string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})),
		public:  pemFile(t, "PUBLIC KEY", marshal(t, &k.PublicKey)),
	}
}

func marshal(t testing.TB, public any) []byte {
	b, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	return b
}

func pemFile(t testing.TB, kind string, b []byte) string {
	path := filepath.Join(t.TempDir(), "key.pem")
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600))
	return path
}

func trust(t testing.TB, k key) Trust {
	tr, err := SignedBy(k.public)
	require.NoError(t, err)
	return tr
}

// built is a bundle as OPA writes one.
func built(t testing.TB, rego string, data map[string]any, roots ...string) *opa.Bundle {
	m, err := ast.ParseModuleWithOpts("/web/web.rego", rego, ast.ParserOptions{ProcessAnnotation: true})
	require.NoError(t, err)
	b := &opa.Bundle{
		Modules:  []opa.ModuleFile{{URL: "/web/web.rego", Path: "/web/web.rego", RelativePath: "/web/web.rego", Raw: []byte(rego), Parsed: m}},
		Data:     data,
		Manifest: opa.Manifest{Revision: "one", Roots: &roots},
	}
	if len(roots) == 0 {
		b.Manifest.Roots = &[]string{""}
	}
	return b
}

func images() map[string]any {
	return map[string]any{"images": map[string]any{"bad": map[string]any{"x": true}}}
}

func sign(t testing.TB, b *opa.Bundle, private string) *opa.Bundle {
	require.NoError(t, b.GenerateSignature(opa.NewSigningConfig(private, "ES256", ""), "some-key", false))
	return b
}

func pack(t testing.TB, b *opa.Bundle) []byte {
	var buf bytes.Buffer
	require.NoError(t, opa.NewWriter(&buf).DisableFormat(true).Write(*b))
	return buf.Bytes()
}

// named finds a playbook among those that come with Riposte.
func named(t testing.TB, list []*playbook.Playbook, name string) *playbook.Playbook {
	t.Helper()
	i := slices.IndexFunc(list, func(p *playbook.Playbook) bool { return p.Name == name })
	require.GreaterOrEqual(t, i, 0, "no playbook %s", name)
	return list[i]
}

// entry is one entry of an archive that nobody's writer would make.
type entry struct {
	tar.Header
	body string
}

func plain(name, body string) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(body))}, body}
}

func archive(t testing.TB, entries ...entry) []byte {
	var buf bytes.Buffer
	gz := gzip.NewWriter(&buf)
	w := tar.NewWriter(gz)
	for _, e := range entries {
		require.NoError(t, w.WriteHeader(&e.Header))
		_, err := w.Write([]byte(e.body))
		require.NoError(t, err)
	}
	_ = w.Close() // a size that lies is an error here, and the point there
	require.NoError(t, gz.Close())
	return buf.Bytes()
}

// contents unpacks an archive to change it.
func contents(t testing.TB, packed []byte) []entry {
	files, err := unpack(bytes.NewReader(packed))
	require.NoError(t, err)
	out := make([]entry, len(files))
	for i, f := range files {
		out[i] = plain("/"+f.path, string(f.text))
	}
	return out
}
