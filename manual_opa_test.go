package main

import (
	"context"
	"flag"
	"fmt"
	"os"

	"github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/compile"
)

// opaBuild is "opa build", as far as the manual has it: what OPA's own command does,
// through OPA's package, because the command needs modules that nothing else here does.
func opaBuild() {
	f := flag.NewFlagSet("opa build", flag.ExitOnError)
	asBundle := f.Bool("bundle", false, "")
	key := f.String("signing-key", "", "")
	algorithm := f.String("signing-alg", "RS256", "")
	output := f.String("output", "bundle.tar.gz", "")
	args := os.Args[1:]
	if len(args) == 0 || args[0] != "build" {
		fail("only build is known")
	}
	var paths []string
	for args = args[1:]; len(args) > 0; {
		_ = f.Parse(args) // it ends the program
		if args = f.Args(); len(args) > 0 {
			paths, args = append(paths, args[0]), args[1:]
		}
	}
	out, err := os.Create(*output)
	if err != nil {
		fail(err)
	}
	err = compile.New().WithAsBundle(*asBundle).WithRegoAnnotationEntrypoints(true).WithPaths(paths...).WithOutput(out).
		WithBundleSigningConfig(bundle.NewSigningConfig(*key, *algorithm, "")).Build(context.Background())
	if err != nil {
		fail(err)
	}
}

func fail(what any) {
	fmt.Fprintln(os.Stderr, "opa:", what)
	os.Exit(1)
}
