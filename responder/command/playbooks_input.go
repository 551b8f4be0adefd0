package command

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"riposte/responder"
	"riposte/responder/action"
	"riposte/responder/api"
	"riposte/responder/api/client"
	"riposte/responder/guard"
	"riposte/responder/playbook"
	"riposte/responder/playbook/replay"
)

// registry has every action, to look up what each is: none can be executed.
func registry() action.Registry { return action.NewRegistry(responder.Actions()...) }

// oneAlert is where a command takes its one alert from.
type oneAlert struct{ file, id string }

func (o *oneAlert) flags(c *cobra.Command) {
	ConnectFlags(c)
	c.Flags().StringVarP(&o.file, "file", "f", "", "file with an alert or a playbook's input (JSON), - for the standard input")
	c.Flags().StringVar(&o.id, "alert", "", "id of a stored alert, which is asked for over the API")
	c.MarkFlagsMutuallyExclusive("file", "alert")
	c.MarkFlagsOneRequired("file", "alert")
	must(c.MarkFlagFilename("file", "json"))
}

// read returns the alert as the export of decisions has it.
func (o *oneAlert) read(cmd *cobra.Command) (r api.Recorded, err error) {
	var line []byte
	if o.id != "" {
		line, err = storedAlert(cmd, o.id)
	} else {
		line, err = o.readFile(cmd.InOrStdin())
	}
	if err != nil {
		return r, err
	}
	if r, err = replay.Read(line); err != nil {
		return r, fmt.Errorf("read %s: %w", o, err)
	}
	return r, nil
}

// String names the source for errors.
func (o *oneAlert) String() string {
	switch {
	case o.id != "":
		return "alert " + o.id
	case o.file == "-":
		return "the standard input"
	}
	return o.file
}

// maxAlertFile bounds a file with one alert: an input has a megabyte at most.
const maxAlertFile = 4 << 20

func (o *oneAlert) readFile(stdin io.Reader) ([]byte, error) {
	in := stdin
	if o.file != "-" {
		f, err := os.Open(o.file)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxAlertFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", o, err)
	case len(b) > maxAlertFile:
		return nil, fmt.Errorf("%s has more than %d bytes: give one alert", o, maxAlertFile)
	}
	return bytes.TrimSpace(b), nil
}

func storedAlert(cmd *cobra.Command, id string) (line []byte, err error) {
	err = call(cmd, func(ctx context.Context, c *client.Client) error {
		for one, err := range c.Decisions(ctx, client.DecisionFilter{Alert: id}) {
			if err != nil {
				return err
			}
			if line != nil {
				return fmt.Errorf("several alerts have the id %.60q: give the whole id", id)
			}
			line = one
		}
		if line == nil {
			return fmt.Errorf("no alert has the id %.60q", id)
		}
		return nil
	})
	return line, err
}

// load compiles the playbooks of directories, over those that come with Riposte, and
// prints what is wrong with them.
func load(cmd *cobra.Command, dirs []string) (*playbook.Set, error) {
	src := sources(dirs)
	if len(dirs) > 0 {
		src = append(sources(nil), src...)
	}
	set, err := playbook.Load(playbook.Options{Deadline: replay.Deadline}, src...)
	if err != nil {
		return nil, explain(cmd.ErrOrStderr(), err)
	}
	return set, nil
}

// namesIn are the playbooks of directories alone, all that come with Riposte without.
func namesIn(set *playbook.Set, dirs []string) []string {
	var out []string
	own := sources(dirs)
	for _, p := range set.Playbooks() {
		for _, s := range own {
			if p.Source == s.Name {
				out = append(out, p.Name)
			}
		}
	}
	return out
}

// guardOptions are those of a guard's file, or the defaults.
func guardOptions(file string) (guard.Options, error) {
	var o guard.Options
	if file == "" {
		return o, nil
	}
	c, err := guard.ReadConfig(file)
	if err != nil {
		return o, err
	}
	o.Limits, o.ProtectedNamespaces, o.ProtectedNames, o.ProtectedLabels = c.Limits, c.Namespaces, c.Names, c.Labels
	return o, nil
}

// indented is JSON for a file that people read.
func indented(raw json.RawMessage) ([]byte, error) {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return plainJSON(b.Bytes()), nil
}
