package role

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"riposte/deploy/standalone"
	"riposte/deploy/standalone/child"
	"riposte/responder/api/client"
)

// Folder is what the parts of one test have on disk: keys, settings, data, logs. It
// stays if the test fails.
type Folder struct {
	dir string
	// orderKey signs orders, token opens the API; both are files.
	orderKey, orderPublic, token string
}

// NewFolder makes a folder with keys in it.
func NewFolder(t testing.TB, name string) *Folder {
	t.Helper()
	dir, err := os.MkdirTemp("", "riposte-"+name+"-")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o711)) // PostgreSQL's user goes through it
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("what the parts said is in %s", dir)
			return
		}
		_ = os.RemoveAll(dir)
	})
	f := &Folder{dir: dir}
	data, err := standalone.OpenData(f.Path("data"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, data.Close()) })
	f.orderKey, f.orderPublic, err = data.OrderKey()
	require.NoError(t, err)
	f.token, err = data.Token()
	require.NoError(t, err)
	return f
}

// Path is a place in the folder.
func (f *Folder) Path(below ...string) string {
	return filepath.Join(append([]string{f.dir}, below...)...)
}

// OrderPublic is the file of the key that agents verify orders with.
func (f *Folder) OrderPublic() string { return f.orderPublic }

// Client asks the API of a responder that [Folder.ResponderFlags] started at this address.
func (f *Folder) Client(t testing.TB, address string) *client.Client {
	t.Helper()
	token, err := os.ReadFile(f.token)
	require.NoError(t, err)
	c, err := client.New("http://"+address, strings.TrimSpace(string(token)))
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// Write keeps settings as JSON, for [Settings], and returns the file.
func (f *Folder) Write(t testing.TB, name string, settings any) (file string) {
	t.Helper()
	b, err := json.MarshalIndent(settings, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(f.Path(name), b, 0o600))
	return f.Path(name)
}

// Start starts this test binary in a role; what it says is appended to NAME.log in
// the folder. It is killed when this process ends.
func (f *Folder) Start(name, role string, args ...string) (*child.Process, error) {
	return start(f.Path(name+".log"), name, role, args...)
}
