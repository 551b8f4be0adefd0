package web_test

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/web"
)

func TestEitherTheConsoleOrAPageThatSaysHowToBuildIt(t *testing.T) {
	page, err := fs.ReadFile(web.FS(), "index.html")
	require.NoError(t, err)
	require.Regexp(t, `id="root"|make build`, string(page))
}
