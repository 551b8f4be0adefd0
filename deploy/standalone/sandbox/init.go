package sandbox

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// initName is how the container's first process recognises itself.
const initName = "riposte-sandbox-init"

// prompt is the shell's, so that its owner sees when it is ready.
const prompt = "drill# "

// Init becomes the container's first process if this process was started as
// one, and then never returns. A program that starts sandboxes calls it first.
func Init() {
	if len(os.Args) == 0 || os.Args[0] != initName {
		return
	}
	fmt.Fprintln(os.Stderr, enter())
	os.Exit(1)
}

// enter makes the container's own view of the machine and becomes its shell.
func enter() error {
	// Nothing that is mounted here may show outside.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	root := os.TempDir()
	if err := unix.Mount("drill", root, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=1m"); err != nil {
		return fmt.Errorf("mount the root file system: %w", err)
	}
	for _, dir := range []string{"usr", "bin", "sbin", "lib", "lib32", "lib64"} {
		if err := borrow(root, dir); err != nil {
			return err
		}
	}
	if err := fill(root); err != nil {
		return err
	}
	if err := unix.Mount("proc", filepath.Join(root, "proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	if err := pivot(root); err != nil {
		return err
	}
	if err := unix.Sethostname([]byte("riposte-drill")); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if err := drop(); err != nil {
		return err
	}
	return fmt.Errorf("start /bin/sh: %w", unix.Exec("/bin/sh", []string{"sh", "-i"}, []string{"PATH=/usr/bin:/bin", "PS1=" + prompt, "TERM=dumb"}))
}

// borrow shows one of the machine's folders of programs, read-only.
func borrow(root, dir string) error {
	from, to := filepath.Join("/", dir), filepath.Join(root, dir)
	info, err := os.Lstat(from)
	switch {
	case err != nil:
		return nil // not every system has all of them
	case info.Mode()&os.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount /%s: %w", dir, err)
	}
	return unix.Mount("", to, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV, "")
}

// fill writes what a container has: among it a shadow file that is worth
// nothing, for the drill to steal.
func fill(root string) error {
	for _, dir := range []string{"etc", "proc", "dev", "tmp", "root", ".old"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{
		"etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
		"etc/group":  "root:x:0:\n",
		"etc/shadow": "root:!:20000:0:99999:7:::\n",
		"dev/null":   "",
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	if err := unix.Mount("/dev/null", filepath.Join(root, "dev/null"), "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount /dev/null: %w", err)
	}
	return nil
}

// pivot leaves the machine's file system behind.
func pivot(root string) error {
	if err := unix.PivotRoot(root, filepath.Join(root, ".old")); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	if err := unix.Unmount("/.old", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leave the old root: %w", err)
	}
	return os.Remove("/.old")
}

// drop gives up every capability for the shell and what it starts.
func drop() error {
	for c := uintptr(0); ; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err == unix.EINVAL {
			break
		} else if err != nil {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	return unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
}
