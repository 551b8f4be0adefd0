package access_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/responder/api/access"
)

// FuzzConfig reads access files: what is taken gives nobody a role that it does not name.
func FuzzConfig(f *testing.F) {
	f.Add([]byte("oidc: {issuer: 'https://idp.example', audience: a}\ngrants: [{to: ['oidc:user:a'], role: viewer, namespaces: [b]}]"))
	f.Add([]byte("kubernetes: {}\ngrants: [{to: ['k8s:group:a:b'], role: admin}]"))
	f.Add([]byte("a: &a [*a]"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := access.ParseConfig(b)
		if err != nil {
			return
		}
		for _, r := range c.Grants {
			_, err := access.ParseRole(r.Role)
			require.NoError(t, err)
			require.NotEmpty(t, r.To)
		}
	})
}

// FuzzVerify shows made-up tokens: nobody is let in.
func FuzzVerify(f *testing.F) {
	config, err := access.ParseConfig([]byte("oidc: {issuer: 'https://127.0.0.1:1', audience: a}"))
	require.NoError(f, err)
	const own = "0123456789abcdef"
	v := access.NewVerifier(access.Options{Principals: []access.Principal{{Name: "token", Token: own}}, Tokens: nobody, Config: config})
	for _, s := range []string{"", "a.b.c", "riposte_x", "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ4In0.", "\x00", own} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if who, err := v.Verify(t.Context(), token); err == nil {
			require.Equal(t, own, token)
			require.Equal(t, "token", who.Name)
		}
	})
}
