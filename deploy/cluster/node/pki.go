package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// authority signs every certificate of one cluster.
type authority struct {
	place place
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
}

// makeKeys writes all keys, certificates and kubeconfigs of a new cluster.
func makeKeys(p place) error {
	a := authority{place: p}
	err := a.issue("ca", &x509.Certificate{
		Subject: pkix.Name{CommonName: "riposte-cluster"}, IsCA: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	})
	if err != nil {
		return err
	}
	for name, cert := range map[string]*x509.Certificate{
		"apiserver": server("kube-apiserver", nodeAddress, apiService, "127.0.0.1", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "kubernetes", "localhost"),
		"kubelet":   server(nodeName, nodeAddress),
		// The API server's own access to kubelets: exec, logs.
		"apiserver-client": user("kube-apiserver", "system:masters"),
	} {
		if err := a.issue(name, cert); err != nil {
			return err
		}
	}
	for name, cert := range map[string]*x509.Certificate{
		"admin":                   user("admin", "system:masters"),
		"kube-controller-manager": user("system:kube-controller-manager"),
		"kube-scheduler":          user("system:kube-scheduler"),
		"kube-proxy":              user("system:kube-proxy", "system:node-proxier"),
		"node":                    user("system:node:"+nodeName, "system:nodes"),
	} {
		if err := a.issue(name, cert); err != nil {
			return err
		}
		if err := a.kubeconfig(name); err != nil {
			return err
		}
	}
	// Service accounts' tokens are signed by a key without a certificate.
	return a.issue("service-accounts", &x509.Certificate{Subject: pkix.Name{CommonName: "service-accounts"}})
}

func server(name string, hosts ...string) *x509.Certificate {
	c := &x509.Certificate{
		Subject:  pkix.Name{CommonName: name},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, host := range append(hosts, name) {
		if ip := net.ParseIP(host); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, host)
		}
	}
	return c
}

func user(name string, groups ...string) *x509.Certificate {
	return &x509.Certificate{
		Subject:  pkix.Name{CommonName: name, Organization: groups},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

// issue writes pki/NAME.key and pki/NAME.crt. The first certificate is the
// authority's own.
func (a *authority) issue(name string, cert *x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	cert.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return err
	}
	cert.BasicConstraintsValid = true
	cert.NotBefore, cert.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = cert, key
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, parent, key.Public(), signer)
	if err != nil {
		return fmt.Errorf("certificate %s: %w", name, err)
	}
	if a.cert == nil {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			return err
		}
		a.key = key
	}
	secret, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(a.place.file("pki", name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return err
	}
	return os.WriteFile(a.place.file("pki", name+".key"), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: secret}), 0o600)
}

// kubeconfig writes a file that needs no other file beside it.
func (a *authority) kubeconfig(user string) error {
	data := func(file string) string {
		text, _ := os.ReadFile(a.place.file("pki", file)) // written a moment ago
		return base64.StdEncoding.EncodeToString(text)
	}
	return os.WriteFile(a.place.kubeconfig(user), fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters: [{name: local, cluster: {server: "https://%s:6443", certificate-authority-data: %s}}]
users: [{name: %q, user: {client-certificate-data: %s, client-key-data: %s}}]
contexts: [{name: local, context: {cluster: local, user: %q}}]
current-context: local
`, nodeAddress, data("ca.crt"), user, data(user+".crt"), data(user+".key"), user), 0o600)
}
