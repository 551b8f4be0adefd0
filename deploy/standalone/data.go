package standalone

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Data is the data folder: what outlives a run, and how the command line finds
// a running Riposte.
//
//	token              the API's token, for whoever may read it
//	endpoint.json      where the API listens, while it runs
//	keys/              nkeys of agent and responder, the keys that sign orders and checkpoints
//	checkpoints.jsonl  the record's checkpoints, only ever appended to
//	kill-switch        there while the kill switch is on
//	guard.yaml         the guard's limits, if somebody put it there; people, the same for people's tokens
//	nats/ postgres/ agent/  what the parts keep
type Data struct {
	dir  string
	lock *os.File
}

// OpenData makes the folder if it is missing and claims it for this process.
func OpenData(dir string) (*Data, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	// PostgreSQL's user passes through; every secret in it has a mode of its own.
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the data folder: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("another Riposte runs on %s: stop it, or give --data another folder", dir)
		}
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	return &Data{dir: dir, lock: lock}, nil
}

// Path is a file or folder in the data folder.
func (d *Data) Path(name ...string) string {
	return filepath.Join(append([]string{d.dir}, name...)...)
}

// optional is Path if the file is there, else empty.
func (d *Data) optional(name string) string {
	if _, err := os.Stat(d.Path(name)); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return d.Path(name)
}

// Close gives the folder back.
func (d *Data) Close() error {
	err := os.Remove(d.Path("endpoint.json"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, d.lock.Close())
}

// Announce writes where the API listens, for the command line.
func (d *Data) Announce(url string) error {
	text, err := json.Marshal(map[string]string{"url": url})
	if err != nil {
		return err
	}
	return replace(d.Path("endpoint.json"), text, 0o644)
}

// Token makes sure that there is one and returns its file.
func (d *Data) Token() (file string, err error) {
	file = d.Path("token")
	if text, err := os.ReadFile(file); err == nil && len(text) > 0 {
		return file, nil
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	return file, replace(file, []byte(rand.Text()+"\n"), 0o600)
}

// OrderKey is the key pair of orders.
func (d *Data) OrderKey() (private, public string, err error) { return d.KeyPair("order") }

// KeyPair makes sure that there is a key pair of a name to sign and check with: PEM
// files in PKCS #8 and PKIX, as openssl writes them.
func (d *Data) KeyPair(name string) (private, public string, err error) {
	private, public = d.Path("keys", name+".key"), d.Path("keys", name+".pub")
	if _, err := os.Stat(private); err == nil {
		return private, public, nil
	}
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", "", err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", "", err
	}
	pkix, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		return "", "", err
	}
	if err := os.MkdirAll(d.Path("keys"), 0o700); err != nil {
		return "", "", err
	}
	// The public key first: while there is no private one, both are made anew.
	if err := replace(public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix}), 0o644); err != nil {
		return "", "", err
	}
	return private, public, replace(private, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600)
}

// replace writes a file whole or not at all.
func replace(file string, text []byte, mode os.FileMode) error {
	fresh := file + ".new"
	if err := os.WriteFile(fresh, text, mode); err != nil {
		return err
	}
	return os.Rename(fresh, file)
}
