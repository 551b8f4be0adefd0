package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	"k8s.io/kubernetes/cmd/kube-apiserver/app/options"
)

// apiServer is a running kube-apiserver.
type apiServer struct {
	// kubeconfig is the file with an administrator's access.
	kubeconfig string
	// ended carries the reason if the server stops by itself.
	ended chan error
}

// startAPIServer makes keys and a token in dir and runs kube-apiserver on a
// loopback port that the kernel picks. It does not wait until it is ready.
func startAPIServer(ctx context.Context, dir, etcd string) (*apiServer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	signingKey := filepath.Join(dir, "service-accounts.key")
	if err := writeSigningKey(signingKey); err != nil {
		return nil, err
	}
	token := rand.Text()
	tokens := filepath.Join(dir, "tokens.csv")
	if err := os.WriteFile(tokens, []byte(token+",admin,admin,system:masters\n"), 0o600); err != nil {
		return nil, err
	}

	server := options.NewServerRunOptions()
	flags := pflag.NewFlagSet("kube-apiserver", pflag.ContinueOnError)
	for _, set := range server.Flags().FlagSets {
		flags.AddFlagSet(set)
	}
	certs := filepath.Join(dir, "certs")
	if err := flags.Parse([]string{
		"--etcd-servers=" + etcd,
		"--advertise-address=127.0.0.1",
		"--bind-address=127.0.0.1",
		"--cert-dir=" + certs,
		"--token-auth-file=" + tokens,
		"--authorization-mode=Node,RBAC",
		"--allow-privileged",
		"--service-cluster-ip-range=10.96.0.0/16",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + signingKey,
		"--service-account-signing-key-file=" + signingKey,
		// Both only matter to a server with many clients and make the start slower.
		"--endpoint-reconciler-type=none",
		"--enable-priority-and-fairness=false",
	}); err != nil {
		return nil, err
	}
	server.SecureServing.Listener = listener
	if err := server.GenericServerRunOptions.ComponentGlobalsRegistry.Set(); err != nil {
		return nil, err
	}
	completed, err := server.Complete(ctx)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(completed.Validate()...); err != nil {
		return nil, err
	}

	// Complete has written the serving certificate, so its authority is known now.
	api := &apiServer{kubeconfig: filepath.Join(dir, "kubeconfig"), ended: make(chan error, 1)}
	if err := writeKubeconfig(api.kubeconfig, listener.Addr().String(), filepath.Join(certs, "apiserver.crt"), token); err != nil {
		return nil, err
	}
	go func() { api.ended <- apiserver.Run(ctx, completed) }()
	return api, nil
}

// waitReady returns when the server says that it is ready, and fails when it
// has ended instead.
func (a *apiServer) waitReady(ctx context.Context) error {
	config, err := clientcmd.BuildConfigFromFlags("", a.kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	for {
		if client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error() == nil {
			return nil
		}
		select {
		case err := <-a.ended:
			return fmt.Errorf("ended before it was ready: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// writeSigningKey makes the key that signs service account tokens.
func writeSigningKey(file string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

// writeKubeconfig writes a file that needs no other file beside it.
func writeKubeconfig(file, address, authority, token string) error {
	ca, err := os.ReadFile(authority)
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["kube-cp"] = &clientcmdapi.Cluster{Server: "https://" + address, CertificateAuthorityData: ca}
	config.AuthInfos["admin"] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts["kube-cp"] = &clientcmdapi.Context{Cluster: "kube-cp", AuthInfo: "admin"}
	config.CurrentContext = "kube-cp"
	return clientcmd.WriteToFile(*config, file)
}
