package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"riposte/responder/api/client"
)

// ConnectFlags gives a command, and those below it, the flags that Connect reads.
func ConnectFlags(c *cobra.Command) {
	f := c.PersistentFlags()
	f.String("server", "", "address of the API (default: what the data folder says)")
	f.String("token-file", "", "file with the API's token (default: DATA/token)")
	f.String("data", "", "data folder of a running Riposte (default: "+DefaultData()+")")
	must(c.MarkPersistentFlagFilename("token-file"))
	must(c.MarkPersistentFlagDirname("data"))
}

// setting is a flag's value, or the environment's, or the fallback.
func setting(cmd *cobra.Command, flag, fallback string) string {
	if f := cmd.Flag(flag); f != nil && f.Value.String() != "" {
		return f.Value.String()
	}
	if v := os.Getenv("RIPOSTE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))); v != "" {
		return v
	}
	return fallback
}

// Connect makes a client of the Riposte that a command's flags --server,
// --token-file and --data name, or the variables RIPOSTE_SERVER,
// RIPOSTE_TOKEN_FILE and RIPOSTE_DATA, or else of the one that runs here. It
// reads files only; whether anybody answers shows with the first request.
func Connect(cmd *cobra.Command) (*client.Client, error) {
	data := setting(cmd, "data", DefaultData())
	server := setting(cmd, "server", "")
	if server == "" {
		var err error
		if server, err = endpoint(data); err != nil {
			return nil, err
		}
	}
	token, err := readToken(setting(cmd, "token-file", filepath.Join(data, "token")))
	if err != nil {
		return nil, err
	}
	return client.New(server, token)
}

// DefaultData is where `riposte up` keeps its data unless it is told otherwise:
// /var/lib/riposte for root, else riposte in the user's state folder.
func DefaultData() string {
	if os.Geteuid() == 0 {
		return "/var/lib/riposte"
	}
	if state := os.Getenv("XDG_STATE_HOME"); state != "" {
		return filepath.Join(state, "riposte")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		home = os.TempDir()
	}
	return filepath.Join(home, ".local", "state", "riposte")
}

func endpoint(data string) (string, error) {
	file := filepath.Join(data, "endpoint.json")
	b, err := readSmall(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("riposte is not running on the data folder %s; start it with `riposte up`, or name a server with --server", data)
	case err != nil:
		return "", fmt.Errorf("find the running riposte: %w", err)
	}
	var e struct {
		URL string `json:"url"`
	}
	if err := json.Unmarshal(b, &e); err != nil || e.URL == "" {
		return "", fmt.Errorf("find the running riposte: %s is damaged; name the server with --server", file)
	}
	return e.URL, nil
}

func readToken(file string) (string, error) {
	b, err := readSmall(file)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("the token in %s is for the user that runs riposte: run this as that user (sudo), or give --token-file", file)
	case err != nil:
		return "", fmt.Errorf("read the token: %w; give its file with --token-file", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("%s holds no token", file)
	}
	return token, nil
}

func readSmall(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 64<<10))
}

// call runs do with a client until it is done or the user ends it.
func call(cmd *cobra.Command, do func(ctx context.Context, c *client.Client) error) error {
	c, err := Connect(cmd)
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	return advise(c, do(ctx, c))
}

// advise says what to do about an error of the client.
func advise(c *client.Client, err error) error {
	var answer *client.Error
	switch {
	case errors.Is(err, client.ErrUnreachable):
		return fmt.Errorf("riposte is not running at %s; start it with `riposte up`, or name another server with --server (%w)", c.Server(), err)
	case errors.As(err, &answer) && answer.Status == 401:
		return fmt.Errorf("%s does not take this token (%w); give its own with --token-file", c.Server(), err)
	case err != nil:
		return shown{err}
	}
	return nil
}

// shown is an error fit for a terminal: the server's text may quote an attacker's.
type shown struct{ error }

func (e shown) Error() string { return visible(e.error.Error()) }

// Unwrap returns the error as it was.
func (e shown) Unwrap() error { return e.error }

func must(err error) {
	if err != nil {
		panic(err) // a flag's name is wrong: a programming error
	}
}

// fatal says whether a broken stream cannot be connected again.
func fatal(err error) (error, bool) {
	var answer *client.Error
	return err, errors.As(err, &answer) && answer.Status < 500
}
