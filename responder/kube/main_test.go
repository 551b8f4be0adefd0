package kube

import (
	"os"
	"testing"

	"riposte/deploy/e2e/kubetest"
)

func TestMain(m *testing.M) { os.Exit(kubetest.Main(m)) }
