package command

import (
	"errors"

	"github.com/spf13/cobra"

	"riposte/responder/api/client"
)

// Exit codes of the commands that ask a running Riposte; docs/cli.md has the list.
// Everything else is 1.
const (
	exitNotFound    = 3
	exitRefused     = 4
	exitUnreachable = 5
	exitNotWell     = 6
	// exitUsage is EX_USAGE of sysexits.h: 2 was taken by a replay beyond its bounds.
	exitUsage = 64
)

// coded is an error with the process's exit code.
type coded struct {
	error
	code int
}

// ExitStatus is the process's.
func (e coded) ExitStatus() int { return e.code }

// Unwrap returns the error as it was.
func (e coded) Unwrap() error { return e.error }

// usage marks an error in how a command was called.
func usage(cmd *cobra.Command, err error) error {
	if err == nil {
		return nil
	}
	return coded{errors.Join(err, errors.New("`"+cmd.CommandPath()+" --help` says how it is called")), exitUsage}
}

// badFlag marks a flag's value that cannot be meant.
func badFlag(err error) error {
	if err == nil {
		return nil
	}
	return coded{err, exitUsage}
}

// tellUsage has mistakes in the arguments and flags of a command, and of those below
// it, end with exitUsage. What cobra checks after the arguments is checked with them.
func tellUsage(c *cobra.Command) {
	c.SetFlagErrorFunc(usage)
	check := c.Args
	if check == nil {
		check = cobra.ArbitraryArgs
	}
	c.Args = func(cmd *cobra.Command, args []string) error {
		for _, err := range []error{check(cmd, args), cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()} {
			if err != nil {
				return usage(cmd, err)
			}
		}
		return nil
	}
	for _, below := range c.Commands() {
		tellUsage(below)
	}
}

// codeOf is the exit code of what the server answered.
func codeOf(err error) int {
	var answer *client.Error
	switch {
	case errors.Is(err, client.ErrUnreachable):
		return exitUnreachable
	case !errors.As(err, &answer):
		return 1
	case answer.Status == 404:
		return exitNotFound
	case answer.Status == 400:
		return exitUsage
	case answer.Status >= 500 || answer.Status == 429:
		return exitUnreachable
	}
	return exitRefused // 401, 403, and 409, 412, 422: it is not as it would have to be
}
