package replay_test

import (
	"os"
	"testing"

	"riposte/responder/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }
