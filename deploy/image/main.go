// Command image makes OCI images from files, without a Docker engine, and pushes
// them. The same files make the same image, byte for byte, on every machine.
//
//	image build -o FILE.tar [-name REF] [-version V] [-revision COMMIT] [-created TIME] [-npm PACKAGE-LOCK] BINARY
//	image pack -o FILE.tar -name REF [-entrypoint PATH] SOURCE:PATH... [PATH=TARGET...]
//	image push FILE.tar REF
//
// build makes the image of Riposte, with an SBOM; pack makes one for tests, of
// files and symbolic links. A FILE.tar is an OCI image layout in a tar archive:
// containerd, podman, skopeo and Docker (25 or newer) load it.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const usage = `usage: image build -o FILE.tar [-name REF] [-version V] [-revision COMMIT] [-created TIME] [-npm PACKAGE-LOCK] BINARY
       image pack -o FILE.tar -name REF [-entrypoint PATH] SOURCE:PATH... [PATH=TARGET...]
       image push FILE.tar REF
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) > 0 {
		switch args[0] {
		case "build":
			return build(args[1:])
		case "pack":
			return pack(args[1:])
		case "push":
			if len(args) == 3 {
				return push(ctx, args[1], args[2])
			}
		}
	}
	fmt.Fprint(os.Stderr, usage)
	os.Exit(2)
	return nil
}

func build(args []string) error {
	flags := flag.NewFlagSet("build", flag.ExitOnError)
	out := flags.String("o", "riposte.tar", "archive to write; the SBOM is written beside it too")
	name := flags.String("name", "riposte.local/riposte:dev", "the image's name when it is loaded: registry, repository and tag")
	version := flags.String("version", "dev", "version, for the labels")
	revision := flags.String("revision", "", "commit, for the labels")
	created := flags.String("created", "1970-01-01T00:00:00Z", "the source's time, RFC 3339; the build's would differ each time")
	lock := flags.String("npm", "", "the console's package-lock.json, for the SBOM")
	_ = flags.Parse(args)
	if flags.NArg() != 1 {
		return fmt.Errorf("build takes one binary, not %d", flags.NArg())
	}
	at, err := time.Parse(time.RFC3339, *created)
	if err != nil {
		return fmt.Errorf("-created: %w", err)
	}
	a, err := riposte(flags.Arg(0), about{version: *version, revision: *revision, created: at.UTC(), packageLock: *lock})
	if err != nil {
		return err
	}
	a.name = *name
	if err := os.WriteFile(strings.TrimSuffix(*out, ".tar")+".spdx.json", a.sbom, 0o644); err != nil {
		return err
	}
	return write(*out, a)
}

func pack(args []string) error {
	flags := flag.NewFlagSet("pack", flag.ExitOnError)
	out := flags.String("o", "image.tar", "archive to write")
	name := flags.String("name", "", "the image's name when it is loaded: registry, repository and tag")
	entrypoint := flags.String("entrypoint", "", "program that the image starts")
	_ = flags.Parse(args)
	var files []file
	for _, arg := range flags.Args() {
		if link, target, ok := strings.Cut(arg, "="); ok {
			files = append(files, file{path: link, link: target})
			continue
		}
		source, path, ok := strings.Cut(arg, ":")
		if !ok {
			return fmt.Errorf("%q is neither SOURCE:PATH nor PATH=TARGET", arg)
		}
		text, err := os.ReadFile(source)
		if err != nil {
			return err
		}
		info, err := os.Stat(source)
		if err != nil {
			return err
		}
		mode := int64(0o644) // whatever the umask was
		if info.Mode()&0o100 != 0 {
			mode = 0o755
		}
		files = append(files, file{path: path, text: text, mode: mode})
	}
	a, err := packed(files, *entrypoint)
	if err != nil {
		return err
	}
	a.name = *name
	return write(*out, a)
}

// write writes an archive and prints the image's digest.
func write(out string, a artifact) error {
	digest, err := a.image.Digest()
	if err != nil {
		return err
	}
	if err := writeArchive(out, a); err != nil {
		return err
	}
	fmt.Println(digest, a.name, out)
	return nil
}
