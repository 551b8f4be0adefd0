package command_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/stretchr/testify/require"

	"riposte/responder/command"
)

// signedBundle is a file as `opa build --signing-key` makes one, and the public key's file.
func signedBundle(t *testing.T, text string) (file, key string) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(k)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	require.NoError(t, err)
	m, err := ast.ParseModuleWithOpts("/web/web.rego", text, ast.ParserOptions{ProcessAnnotation: true})
	require.NoError(t, err)
	b := bundle.Bundle{
		Modules:  []bundle.ModuleFile{{URL: "/web/web.rego", Path: "/web/web.rego", RelativePath: "/web/web.rego", Raw: []byte(text), Parsed: m}},
		Manifest: bundle.Manifest{Roots: &[]string{"playbooks"}}, Data: map[string]any{},
	}
	pemOf := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	require.NoError(t, b.GenerateSignature(bundle.NewSigningConfig(pemOf("PRIVATE KEY", private), "ES256", ""), "", false))
	var out bytes.Buffer
	require.NoError(t, bundle.NewWriter(&out).DisableFormat(true).Write(b))
	d := dir(t, "b.tar.gz", out.String(), "key.pem", pemOf("PUBLIC KEY", public))
	return filepath.Join(d, "b.tar.gz"), filepath.Join(d, "key.pem")
}

func TestPlaybooksCheckOfABundle(t *testing.T) {
	file, key := signedBundle(t, goodPlaybook)
	out, errs, err := run("check", "--bundle-key", key, file)
	require.NoError(t, err)
	require.Empty(t, errs)
	require.Equal(t, "OK  web  approve  "+file+"/web/web.rego\n", out)

	_, errs, err = run("check", file)
	require.NoError(t, err)
	require.Equal(t, file+": the signature was not verified: give --bundle-key\n", errs)

	_, other := signedBundle(t, goodPlaybook)
	_, errs, err = run("check", "--bundle-key", other, file)
	require.EqualError(t, err, "1 error in the playbooks: correct it and check again")
	require.Contains(t, errs, file+": failed to verify JWT signature")

	file, key = signedBundle(t, strings.NewReplacer("input.alert.rule", "input.alert.rul", "approve", "ask").Replace(goodPlaybook))
	_, errs, err = run("check", "--bundle-key", key, file, dir(t, "x.rego", "package x\n"))
	require.EqualError(t, err, "2 errors in the playbooks: correct it and check again")
	require.Contains(t, errs, file+"/web/web.rego:8:11: custom.mode: unknown \"ask\"")
	require.Contains(t, errs, "x.rego:1:1: package x is none of ours")

	_, _, err = run("check", "--bundle-key", filepath.Join(t.TempDir(), "gone"), file)
	require.ErrorContains(t, err, "the bundle's key: open ")
}

func TestGuardCheck(t *testing.T) {
	check := func(args ...string) (string, string, error) {
		var out, errs bytes.Buffer
		c := command.NewGuard()
		c.SilenceErrors, c.SilenceUsage = true, true
		c.SetOut(&out)
		c.SetErr(&errs)
		c.SetArgs(append([]string{"check"}, args...))
		err := c.Execute()
		return out.String(), errs.String(), err
	}
	good := "package riposte.guard.site\n\nrefuse contains {\"rule\": \"x\", \"reason\": \"y\"} if input.playbook == \"z\"\n"
	d := dir(t, "a.rego", good)
	out, _, err := check(d)
	require.NoError(t, err)
	require.Equal(t, "OK  riposte.guard.site\n", out)
	require.NoError(t, os.WriteFile(filepath.Join(d, "a.rego"), []byte(strings.Replace(good, "input.playbook", "input.playbok", 1)), 0o600))
	_, errs, err := check(d)
	require.EqualError(t, err, "1 error in the guard rules: correct it and check again")
	require.Contains(t, errs, d+"/a.rego:3:55: undefined ref: input.playbok")
	_, _, err = check(dir(t))
	require.ErrorContains(t, err, "no guard rules in ")
}
