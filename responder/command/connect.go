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
	f.String("context", "", "context to ask (default: the current one, see `riposte context`)")
	f.String("server", "", "address of the API (default: what the context or the data folder says)")
	f.String("token-file", "", "file with the API's token (default: the context's, or DATA/token)")
	f.String("data", "", "data folder of a running Riposte (default: "+DefaultData()+")")
	must(c.MarkPersistentFlagFilename("token-file"))
	must(c.MarkPersistentFlagDirname("data"))
	must(c.RegisterFlagCompletionFunc("context", completeContexts))
}

// setting is a flag's value, or the environment's, or the fallback.
func setting(cmd *cobra.Command, flag, fallback string) string {
	if v := given(cmd, flag); v != "" {
		return v
	}
	if v := os.Getenv("RIPOSTE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))); v != "" {
		return v
	}
	return fallback
}

// given is a flag's value, empty if the command has no such flag.
func given(cmd *cobra.Command, flag string) string {
	if f := cmd.Flag(flag); f != nil {
		return f.Value.String()
	}
	return ""
}

// target is the Riposte that a command asks, and why that one.
type target struct {
	serverContext
	why string
}

// targetOf finds it: a context by --context or RIPOSTE_CONTEXT, in which --server and
// --token-file replace one thing; else --server or RIPOSTE_SERVER; else --data or
// RIPOSTE_DATA; else the current context; else the data folder of the one that runs
// here. Beside --context the environment does not count: a token goes where the same
// source says.
func targetOf(cmd *cobra.Command) (target, error) {
	data := setting(cmd, "data", "")
	name, why := setting(cmd, "context", ""), "--context or RIPOSTE_CONTEXT"
	server := setting(cmd, "server", "")
	if name == "" && server == "" && data == "" {
		f, err := loadContexts()
		if err != nil {
			return target{}, err
		}
		name, why = f.Current, "it is the current context"
	}
	if name != "" {
		f, err := loadContexts()
		if err != nil {
			return target{}, err
		}
		c, err := f.find(name)
		if err != nil {
			return target{}, err
		}
		if v := given(cmd, "server"); v != "" {
			c.Server = v
		}
		if v := given(cmd, "token-file"); v != "" {
			c.TokenFile = v
		}
		return target{c, why}, nil
	}
	if data == "" {
		data = DefaultData()
	}
	t := target{serverContext{Server: server, TokenFile: setting(cmd, "token-file", filepath.Join(data, "token"))}, "--server or RIPOSTE_SERVER"}
	if server == "" {
		t.why = "data folder " + data
		var err error
		if t.Server, err = endpoint(data); err != nil {
			return t, err
		}
	}
	return t, nil
}

// Connect makes a client of the Riposte that a command's flags, the environment, the
// user's contexts or the data folder name. It reads files only; whether anybody answers
// shows with the first request.
func Connect(cmd *cobra.Command) (*client.Client, error) {
	t, err := targetOf(cmd)
	if err != nil {
		return nil, err
	}
	token, err := readToken(t.TokenFile)
	if err != nil {
		return nil, err
	}
	return t.client(token)
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
		return "", coded{fmt.Errorf("riposte is not running on the data folder %s; start it with `riposte up`, or name a server with --server or --context", data), exitUnreachable}
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

// advise says what to do about an error of the client, and which exit code it is.
func advise(c *client.Client, err error) error {
	var already interface{ ExitStatus() int }
	if err == nil || errors.As(err, &already) {
		return err
	}
	var answer *client.Error
	errors.As(err, &answer)
	said := error(shown{err})
	switch {
	case errors.Is(err, client.ErrUnreachable):
		said = fmt.Errorf("riposte is not running at %s; start it with `riposte up`, or name another server with --server or --context (%w)", c.Server(), shown{err})
	case answer == nil:
	case answer.Status == 401:
		said = fmt.Errorf("%s does not take this token (%w); give its own with --token-file", c.Server(), shown{err})
	case answer.Status == 403:
		said = fmt.Errorf("%w; `riposte whoami` says what this token may do", shown{err})
	case answer.Status == 429 || answer.Status == 503:
		said = fmt.Errorf("%w; try again in a moment", shown{err})
	case answer.Status >= 500:
		said = fmt.Errorf("%w; `riposte status` says which part does not work, the responder's log why", shown{err})
	}
	return coded{said, codeOf(err)}
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

// isFinal says that a broken stream cannot be connected again.
func isFinal(err error) bool {
	var answer *client.Error
	return errors.As(err, &answer) && answer.Status < 500
}
