// Package standalone runs all of Riposte on one machine: an embedded NATS, a
// private PostgreSQL, the agent, the responder and its console, all bound to
// 127.0.0.1. It also stages the drill.
package standalone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"riposte/agent"
	"riposte/agent/capture"
	"riposte/deploy/standalone/natsd"
	"riposte/deploy/standalone/postgres"
	"riposte/responder"
	"riposte/responder/api/client"
	"riposte/responder/command"
)

// Options says what to run. The zero value of every field has a meaning.
type Options struct {
	// Data is the data folder; see Data. Default: command.DefaultData().
	Data string
	// Throwaway trades the database's durability for speed.
	Throwaway bool
	// Cluster and Node name this machine. Default: "local" and the host's name.
	Cluster, Node string
	// Listen is the API's and the console's address. Default: 127.0.0.1:7411.
	Listen string
	// MetricsListen is the address of the responder's metrics and health checks, which
	// nobody signs in for. Default: nowhere.
	MetricsListen string
	// Kubeconfig lets alerts about pods act on that cluster. Default: none.
	Kubeconfig string
	// RuleFiles replace the built-in rules.
	RuleFiles []string
	// Playbooks is a folder of playbooks beside the built-in ones.
	Playbooks string
	// Recording plays a recording instead of looking at the kernel; see agent.Options.
	Recording string
	// ReportOwn shows the rules what Riposte's own process and its PostgreSQL do.
	ReportOwn bool
	// Console is the built console.
	Console fs.FS
	Version string
	// Alerts takes every alert as Falco prints it. Default: nobody.
	Alerts io.Writer
	// Progress is told what is being started. Default: nobody.
	Progress func(string)
	// Log takes what the parts log. Default: nobody.
	Log *slog.Logger
}

// Stack is everything, running.
type Stack struct {
	// Why eBPF could not be used and a recording is played instead; nil if it is used.
	Unavailable *capture.Unavailable

	client  *client.Client
	url     string
	nats    string
	failed  chan error
	cleanup []cleanup
}

type cleanup struct {
	name string
	do   func(context.Context) error
}

// How long the record and the alerts are kept; the responder's command has the same.
const (
	retention      = 400 * 24 * time.Hour
	alertRetention = 90 * 24 * time.Hour
)

// stopTime bounds Stop: whoever pressed Ctrl-C waits no longer.
const stopTime = 5 * time.Second

// Start returns when everything runs. After an error nothing is left running.
func Start(ctx context.Context, o Options) (*Stack, error) {
	s := &Stack{failed: make(chan error, 4)}
	if err := s.start(ctx, o.withDefaults()); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (o Options) withDefaults() Options {
	if o.Data == "" {
		o.Data = command.DefaultData()
	}
	if o.Cluster == "" {
		o.Cluster = "local"
	}
	if o.Node == "" {
		o.Node, _ = os.Hostname()
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:7411"
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// start brings the parts up in the order in which they need each other: who
// stores before who decides, who decides before who sees.
func (s *Stack) start(ctx context.Context, o Options) error {
	data, err := OpenData(o.Data)
	if err != nil {
		return err
	}
	s.onStop("data folder", func(context.Context) error { return data.Close() })
	keys, err := makeKeys(data)
	if err != nil {
		return fmt.Errorf("make the keys: %w", err)
	}

	o.Progress("starting PostgreSQL")
	db, err := postgres.Start(ctx, postgres.Options{Dir: data.Path("postgres"), Throwaway: o.Throwaway, Progress: o.Progress})
	if err != nil {
		return err
	}
	s.onStop("PostgreSQL", func(context.Context) error { return db.Stop() })
	s.watch("PostgreSQL", func(stopped <-chan struct{}) error {
		select {
		case <-db.Exited():
			return errors.New("PostgreSQL ended by itself")
		case <-stopped:
			return nil
		}
	})

	o.Progress("starting NATS")
	bus, err := natsd.Start(natsd.Options{
		Dir: data.Path("nats"), Responder: keys.responder, Log: o.Log.With("component", "nats"),
		Nodes: []natsd.Node{{Cluster: o.Cluster, Name: o.Node, Key: keys.agent}},
	})
	if err != nil {
		return err
	}
	s.nats = bus.URL()
	s.onStop("NATS", func(context.Context) error { bus.Stop(); return nil })

	o.Progress("starting the responder")
	if err := s.startResponder(ctx, o, data, keys, db); err != nil {
		return err
	}
	if err := data.Announce(s.url); err != nil {
		return err
	}
	o.Progress("starting the agent")
	return s.startAgent(o, data, keys)
}

func (s *Stack) startResponder(ctx context.Context, o Options, data *Data, keys keys, db *postgres.Server) error {
	r, err := responder.New(responder.Options{
		Cluster: o.Cluster, Instance: "standalone", Version: o.Version, DatabaseURL: db.AppURL(), MigrateURL: db.URL(),
		NATS: s.nats, NATSKeyFile: keys.responderFile, OrderKeyFile: keys.orderPrivate, TokenFile: keys.token, Listen: o.Listen, MetricsListen: o.MetricsListen,
		CheckpointKeyFile: keys.checkpoint, CheckpointFile: data.Path("checkpoints.jsonl"), Retention: retention, AlertRetention: alertRetention,
		Kubeconfig: o.Kubeconfig, PlaybookDir: o.Playbooks, KillSwitchFile: data.Path("kill-switch"),
		GuardFile: data.optional("guard.yaml"), GuardPolicyDir: data.optional("guard"), PeopleFile: data.optional("people"), AccessFile: data.optional("access.yaml"), Console: o.Console, Log: o.Log,
	})
	if err != nil {
		return err
	}
	if err := r.Start(ctx); err != nil {
		return err
	}
	s.onStop("responder", r.Stop)
	s.watch("responder", func(stopped <-chan struct{}) error {
		select {
		case err := <-r.Failed():
			return fmt.Errorf("the responder ended: %w", err)
		case <-stopped:
			return nil
		}
	})
	s.url = "http://" + r.Addr()
	token, err := os.ReadFile(keys.token)
	if err != nil {
		return err
	}
	s.client, err = client.New(s.url, strings.TrimSpace(string(token)))
	return err
}

// startAgent falls back to the recording where the kernel's events cannot be had.
func (s *Stack) startAgent(o Options, data *Data, keys keys) error {
	opt := agent.Options{
		Cluster: o.Cluster, Node: o.Node, Version: o.Version, NATS: s.nats, NATSKeyFile: keys.agentFile, OrderKeyFile: keys.orderPublic,
		DataDir: data.Path("agent"), RuleFiles: o.RuleFiles, Kubeconfig: o.Kubeconfig, Recording: o.Recording, Linger: o.Recording != "", Output: o.Alerts, Log: o.Log,
	}
	opt.Own = agent.OwnHidden
	if o.ReportOwn {
		opt.Own = agent.OwnReported
	}
	if opt.Recording != "" {
		opt.Output = recorded(o.Alerts)
	}
	a, err := agent.New(opt)
	if errors.As(err, &s.Unavailable) {
		opt.Recording, opt.Linger, opt.Output = agent.EmbeddedRecording, true, recorded(o.Alerts)
		a, err = agent.New(opt)
	}
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := a.Run(ctx); err != nil && ctx.Err() == nil {
			s.failed <- fmt.Errorf("the agent ended: %w", err)
		}
	}()
	s.onStop("agent", func(ctx context.Context) error {
		stop()
		select {
		case <-done:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	return nil
}

// recorded marks each line about a recording: nobody may take it for the news.
func recorded(w io.Writer) io.Writer {
	if w == nil {
		return nil
	}
	return marker{w}
}

type marker struct{ w io.Writer }

func (m marker) Write(p []byte) (int, error) {
	var marked []byte
	for line := range bytes.Lines(p) {
		marked = append(append(marked, "[recorded] "...), line...)
	}
	if _, err := m.w.Write(marked); err != nil {
		return 0, err
	}
	return len(p), nil
}

// watch reports a part that ends by itself: failure waits for that, or returns
// nil once stopped is closed.
func (s *Stack) watch(name string, failure func(stopped <-chan struct{}) error) {
	stopped, done := make(chan struct{}), make(chan struct{})
	s.onStop(name+"'s watch", func(context.Context) error { close(stopped); <-done; return nil })
	go func() {
		defer close(done)
		if err := failure(stopped); err != nil {
			s.failed <- err
		}
	}()
}

// Client talks to the running responder.
func (s *Stack) Client() *client.Client { return s.client }

// URL is the API's and the console's address.
func (s *Stack) URL() string { return s.url }

// NATS is the bus's address.
func (s *Stack) NATS() string { return s.nats }

// Failed yields an error when a part ends by itself.
func (s *Stack) Failed() <-chan error { return s.failed }

func (s *Stack) onStop(name string, do func(context.Context) error) {
	s.cleanup = append(s.cleanup, cleanup{name, do})
}

// Stop ends everything in the reverse order: who sees first, so that what it
// saw can still be stored; who stores last. A second call does nothing.
func (s *Stack) Stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	var errs []error
	for _, c := range slices.Backward(s.cleanup) {
		if err := c.do(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stop %s: %w", c.name, err))
		}
	}
	s.cleanup = nil
	return errors.Join(errs...)
}
