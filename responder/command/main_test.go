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
	os.Exit(storetest.Run(m))
}
