package command

import (
	"fmt"
	"io"
	"os"

	"riposte/responder/playbook"
	"riposte/responder/playbook/bundle"
	"riposte/responder/playbook/sandbox"
)

// bundleSources are sources of which some may be bundles: what is no directory is one. A
// bundle that cannot be read is in the errors.
func bundleSources(args []string, keyFile string, say io.Writer) ([]sandbox.Source, error) {
	if len(args) == 0 {
		return sources(nil), nil
	}
	read := []sandbox.Source{}
	var errs sandbox.Errors
	for _, name := range args {
		if info, err := os.Stat(name); err != nil || info.IsDir() {
			read = append(read, playbook.Dir(name))
			continue
		}
		trust := bundle.Unsigned()
		if keyFile != "" {
			var err error
			if trust, err = bundle.SignedBy(keyFile); err != nil {
				return nil, err
			}
		} else {
			fmt.Fprintf(say, "%s: the signature was not verified: give --bundle-key\n", name)
		}
		src, err := bundle.File{Path: name, Trust: trust}.Open()
		if err != nil {
			errs = errs.Append(err)
			continue
		}
		read = append(read, src)
	}
	return read, errs.Err()
}
