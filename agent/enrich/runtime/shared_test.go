package runtime

import (
	"errors"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSharedAnswersAreAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s shared[string]
		asked := 0
		get := func(key string, keep bool, fails error) string {
			t.Helper()
			v, err := s.get(key, func() (string, bool, error) { asked++; return key, keep, fails })
			require.Equal(t, fails, err)
			return v
		}
		require.Equal(t, "image", get("image", true, nil))
		require.Equal(t, "image", get("image", true, nil))
		require.Equal(t, 1, asked)
		time.Sleep(sharedFor)
		get("image", true, nil)
		require.Equal(t, 2, asked, "it may be another by now")

		gone := errors.New("gone")
		for _, again := range []struct {
			keep  bool
			fails error
		}{{false, nil}, {true, gone}} {
			asked = 0
			get("sandbox", again.keep, again.fails)
			get("sandbox", again.keep, again.fails)
			require.Equal(t, 2, asked)
		}
		for i := range 3 * maxShared {
			get(strconv.Itoa(i), true, nil)
			require.LessOrEqual(t, len(s.all), maxShared)
		}
	})
}
