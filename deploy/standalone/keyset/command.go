package keyset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"riposte/responder/kube"
)

// New is the command "keys".
func New() *cobra.Command {
	c := &cobra.Command{
		Use: "keys", Short: "Make the keys of an installation on a cluster", Args: cobra.NoArgs,
		Example: "  riposte keys make --dir keys",
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(newMake())
	return c
}

// options are the flags of "keys make".
type options struct {
	dir, kubeconfig, namespace, secret, public, database, host string
	labels                                                     map[string]string
}

func newMake() *cobra.Command {
	var o options
	c := &cobra.Command{
		Use: "make", Short: "Make the keys that are missing, and write their public halves anew", Args: cobra.NoArgs,
		Long: `Make the keys that are missing in a folder, or in a Secret of a cluster, and write
their public halves anew: to the same folder, or to a ConfigMap. Keys that are there
stay. An order.old among them is the order's key before this one: agents believe both
while it is there. The Helm chart runs this before each install and upgrade; run it yourself to
keep the keys elsewhere, and give the chart keys.existingSecret.`,
		Example: `  riposte keys make --dir keys
  riposte keys make --kubeconfig ~/.kube/config --namespace riposte --secret riposte-keys --public riposte-public`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.dir != "" {
				return o.inFolder()
			}
			if o.namespace == "" || o.secret == "" || o.public == "" || (o.database == "") != (o.host == "") {
				return errors.New("a cluster needs --namespace, --secret and --public, and --database together with --database-host")
			}
			return o.inCluster(cmd.Context())
		},
	}
	f := c.Flags()
	f.StringVar(&o.dir, "dir", "", "folder of keys")
	f.StringVar(&o.kubeconfig, "kubeconfig", "", `cluster, a file or "in-cluster"`)
	f.StringVar(&o.namespace, "namespace", "", "namespace of Secret and ConfigMap")
	f.StringVar(&o.secret, "secret", "", "Secret with the private keys")
	f.StringVar(&o.public, "public", "", "ConfigMap with the public ones")
	f.StringVar(&o.database, "database", "", "Secret with the passwords of the chart's own PostgreSQL (default: none)")
	f.StringVar(&o.host, "database-host", "", "where that is")
	f.StringToStringVar(&o.labels, "label", nil, "labels of what is made, key=value")
	c.MarkFlagsMutuallyExclusive("dir", "kubeconfig")
	c.MarkFlagsOneRequired("dir", "kubeconfig")
	for _, err := range []error{c.MarkFlagDirname("dir"), c.MarkFlagFilename("kubeconfig")} {
		if err != nil {
			panic(err) // the flag's name is wrong: a programming error
		}
	}
	return c
}

func (o options) inFolder() error {
	set := map[string][]byte{}
	for _, name := range []string{ResponderSeed, AccountSeed, OrderKey, OldOrderKey, CheckpointKey, Token} {
		b, err := os.ReadFile(filepath.Join(o.dir, name))
		switch {
		case err == nil:
			set[name] = b
		case !errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("read a key: %w", err)
		}
	}
	if err := Fill(set); err != nil {
		return err
	}
	public, err := Public(set)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of keys: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if err := os.WriteFile(filepath.Join(o.dir, name), set[name], 0o600); err != nil {
			return fmt.Errorf("write a key: %w", err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(public)) {
		if err := os.WriteFile(filepath.Join(o.dir, name), []byte(public[name]), 0o644); err != nil {
			return fmt.Errorf("write a public key: %w", err)
		}
	}
	return nil
}

func (o options) inCluster(ctx context.Context) error {
	file := o.kubeconfig
	if file == "in-cluster" {
		file = ""
	}
	client, err := kube.Open(file)
	if err != nil {
		return err
	}
	place := func(name string) kube.Place { return kube.Place{Namespace: o.namespace, Name: name, Labels: o.labels} }
	var public map[string]string
	if err := client.KeepSecret(ctx, place(o.secret), func(set map[string][]byte) error {
		if err := Fill(set); err != nil {
			return err
		}
		public, err = Public(set)
		return err
	}); err != nil {
		return err
	}
	if o.database != "" {
		if err := client.KeepSecret(ctx, place(o.database), func(set map[string][]byte) error { return Database(set, o.host) }); err != nil {
			return err
		}
	}
	return client.PutConfigMap(ctx, place(o.public), public)
}
