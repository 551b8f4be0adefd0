package postgres

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	osuser "os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// oldest is the first major version whose SQL and behaviour we rely on.
const oldest = 14

// BinEnv names the folder of PostgreSQL's programs where it is not a usual one.
const BinEnv = "RIPOSTE_POSTGRES_BIN"

// binaries finds the folder of initdb and postgres: Debian keeps them outside
// of PATH, one folder a major version.
func binaries() (string, error) {
	if dir := os.Getenv(BinEnv); dir != "" {
		if !isBin(dir) {
			return "", fmt.Errorf("%s=%s holds no initdb and postgres", BinEnv, dir)
		}
		return dir, nil
	}
	best, found := 0, ""
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"} {
		dirs, _ := filepath.Glob(pattern)
		for _, dir := range dirs {
			name := filepath.Base(filepath.Dir(dir))
			if v, err := strconv.Atoi(strings.TrimPrefix(name, "pgsql-")); err == nil && v > best && isBin(dir) {
				best, found = v, dir
			}
		}
	}
	if best >= oldest {
		return found, nil
	}
	if path, err := exec.LookPath("initdb"); err == nil && isBin(filepath.Dir(path)) {
		return filepath.Dir(path), nil
	}
	return "", fmt.Errorf("PostgreSQL %d or newer is not installed: run `apt-get install postgresql` (or your system's package), or set %s to the folder of its programs", oldest, BinEnv)
}

func isBin(dir string) bool {
	for _, program := range []string{"initdb", "postgres", "createdb", "createuser"} {
		if info, err := os.Stat(filepath.Join(dir, program)); err != nil || info.Mode()&0o111 == 0 {
			return false
		}
	}
	return true
}

// user is who the server runs as, and who its one client is.
type user struct {
	name string
	// credential is nil when the server runs as ourselves.
	credential *syscall.Credential
	// client is our own name in the operating system.
	client string
}

// runAs picks the server's user: PostgreSQL refuses to run as root.
func runAs() (user, error) {
	me, err := osuser.Current()
	if err != nil {
		return user{}, fmt.Errorf("look up the current user: %w", err)
	}
	if os.Geteuid() != 0 {
		return user{name: me.Username, client: me.Username}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := osuser.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(err1, err2); err != nil {
			return user{}, err
		}
		return user{name: name, client: me.Username, credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), NoSetGroups: true}}, nil
	}
	return user{}, errors.New("PostgreSQL must not run as root, and there is neither a user postgres nor nobody: create one of them")
}

// own makes dir, gives it to the user, and checks that the user can get there.
func (u user) own(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if u.credential == nil {
		return nil
	}
	if err := os.Chown(dir, int(u.credential.Uid), int(u.credential.Gid)); err != nil {
		return err
	}
	for parent := filepath.Dir(dir); ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return err
		}
		if info.Mode()&0o001 == 0 && info.Sys().(*syscall.Stat_t).Uid != u.credential.Uid {
			return fmt.Errorf("user %s, as whom PostgreSQL runs, cannot enter %s: use another data folder, or `chmod o+x %s`", u.name, parent, parent)
		}
		if parent == filepath.Dir(parent) {
			return nil
		}
	}
}

// socketDir is inside dir unless that makes the socket's path longer than the
// kernel takes (107 bytes).
func socketDir(dir string, u user) (string, error) {
	socket := filepath.Join(dir, "socket")
	if len(socket)+len("/.s.PGSQL.5432") > 107 {
		socket = filepath.Join(os.TempDir(), fmt.Sprintf("riposte-pg-%x", sha256.Sum256([]byte(dir)))[:27])
	}
	if err := u.own(socket); err != nil {
		return "", err
	}
	return socket, os.Chmod(socket, 0o711)
}
