package command

import (
	"flag"
	"os"
	"testing"

	"riposte/responder/store/storetest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		// The contexts and the data folder of whoever runs the tests are not theirs.
		home, err := os.MkdirTemp("", "riposte-command-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(home)
		for _, name := range []string{"XDG_CONFIG_HOME", "XDG_STATE_HOME"} {
			if err := os.Setenv(name, home); err != nil {
				panic(err)
			}
		}
		return storetest.Run(m)
	}())
}
