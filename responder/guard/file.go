package guard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"riposte/responder/playbook"
)

// maxFile bounds the guard's file.
const maxFile = 1 << 20

// Config is what the guard's file says. What it does not say has its default.
type Config struct {
	Limits Limits
	// Namespaces, Names and Labels are protected; nil where the file does not say.
	Namespaces []string
	Names      []string
	Labels     map[string]string
}

// ReadConfig reads the guard's file, YAML; docs/guard.md describes it. A key that
// nobody knows is an error with its line: a budget with a misspelt name must not
// be no budget.
func ReadConfig(file string) (Config, error) {
	b, err := readFile(file)
	if err != nil {
		return Config{}, err
	}
	return parseFile(file, b)
}

func readFile(file string) ([]byte, error) {
	if err := regular(file); err != nil {
		return nil, fmt.Errorf("the guard's file %s: %w", file, err)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("the guard's file: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("the guard's file: %w", err)
	case len(b) > maxFile:
		return nil, fmt.Errorf("the guard's file %s has more than %d bytes", file, maxFile)
	}
	return b, nil
}

// regular keeps what is no file, such as a named pipe, from holding us up.
func regular(file string) error {
	info, err := os.Stat(file)
	if err == nil && !info.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	return err
}

func parseFile(file string, text []byte) (Config, error) {
	c, err := ParseConfig(text)
	if err != nil {
		return c, fmt.Errorf("the guard's file %s: %w", file, err)
	}
	return c, nil
}

// span is a duration as the file has it, such as 10m.
type span time.Duration

// UnmarshalYAML reads Go's form of a duration.
func (s *span) UnmarshalYAML(n *yaml.Node) error {
	d, err := time.ParseDuration(n.Value)
	if err != nil || n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: %.60q is no duration such as 90s or 10m", n.Line, n.Value)
	}
	*s = span(d)
	return nil
}

type fileBudget struct {
	Count  *int  `yaml:"count"`
	Window *span `yaml:"window"`
}

func (f fileBudget) or(b Budget) Budget {
	set(&b.Count, f.Count)
	set(&b.Window, (*time.Duration)(f.Window))
	return b
}

// file is the shape of the guard's file.
type file struct {
	Budgets struct {
		Playbook  fileBudget            `yaml:"playbook"`
		Workload  fileBudget            `yaml:"workload"`
		Namespace fileBudget            `yaml:"namespace"`
		Node      fileBudget            `yaml:"node"`
		Cluster   fileBudget            `yaml:"cluster"`
		Playbooks map[string]fileBudget `yaml:"playbooks"`
	} `yaml:"budgets"`
	Cooldown *span `yaml:"cooldown"`
	Loop     struct {
		Settle *span `yaml:"settle"`
		Window *span `yaml:"window"`
	} `yaml:"loop"`
	ReadyShare    *int `yaml:"ready_share"`
	CordonedNodes *int `yaml:"cordoned_nodes"`
	Errors        struct {
		Share   *int  `yaml:"share"`
		Actions *int  `yaml:"actions"`
		Window  *span `yaml:"window"`
	} `yaml:"errors"`
	Modes struct {
		Max       *playbook.Mode           `yaml:"max"`
		Playbooks map[string]playbook.Mode `yaml:"playbooks"`
	} `yaml:"modes"`
	Uncounted *[]string `yaml:"uncounted"`
	Protected struct {
		Namespaces []string          `yaml:"namespaces"`
		Names      []string          `yaml:"names"`
		Labels     map[string]string `yaml:"labels"`
	} `yaml:"protected"`
}

// ParseConfig is ReadConfig for a file's text.
func ParseConfig(text []byte) (Config, error) {
	var f file
	dec := yaml.NewDecoder(bytes.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return Config{}, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Config{}, errors.New("there is more than one YAML document")
	}
	l := DefaultLimits()
	b := f.Budgets
	l.Playbook, l.Workload, l.Namespace = b.Playbook.or(l.Playbook), b.Workload.or(l.Workload), b.Namespace.or(l.Namespace)
	l.Node, l.Cluster = b.Node.or(l.Node), b.Cluster.or(l.Cluster)
	if len(b.Playbooks) > 0 {
		l.Playbooks = map[string]Budget{}
	}
	for name, own := range b.Playbooks {
		l.Playbooks[name] = own.or(l.Playbook)
	}
	set(&l.Cooldown, (*time.Duration)(f.Cooldown))
	set(&l.LoopSettle, (*time.Duration)(f.Loop.Settle))
	set(&l.LoopWindow, (*time.Duration)(f.Loop.Window))
	set(&l.ReadyShare, f.ReadyShare)
	set(&l.CordonedNodes, f.CordonedNodes)
	set(&l.ErrorShare, f.Errors.Share)
	set(&l.ErrorActions, f.Errors.Actions)
	set(&l.ErrorWindow, (*time.Duration)(f.Errors.Window))
	set(&l.MaxMode, f.Modes.Max)
	set(&l.Uncounted, f.Uncounted)
	l.MaxModes = f.Modes.Playbooks
	c := Config{Limits: l, Namespaces: f.Protected.Namespaces, Names: f.Protected.Names, Labels: f.Protected.Labels}
	return c, errors.Join(l.check(), checkNames(c.Names))
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}
