package server

import (
	"context"
	"errors"
	"slices"
	"time"

	"riposte/responder/api"
	"riposte/responder/guard"
	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

// playbookStatuses are the loaded playbooks with their modes.
func (s *Server) playbookStatuses() []api.PlaybookStatus {
	all := []api.PlaybookStatus{}
	for _, p := range s.Playbooks() {
		all = append(all, s.playbookStatus(p))
	}
	return all
}

func (s *Server) playbookStatus(p *playbook.Playbook) api.PlaybookStatus {
	mode, row := s.Guard.ModeOf(p.Name, p.Mode)
	one := api.PlaybookStatus{
		Name: p.Name, Title: p.Title, Description: p.Description, Mode: string(mode), Declared: string(p.Mode), Revision: p.Revision, Source: p.Source,
		SteppedBack: row.SteppedBack, Namespaces: row.Namespaces, Labels: row.LabelMap(), ModeReason: row.Reason, ModeActor: row.Actor,
	}
	if row.Playbook != "" {
		at := row.At.UTC().Truncate(time.Microsecond)
		one.ModeAt = &at
	}
	return one
}

func (s *Server) listPlaybooks(context.Context, *call) (any, error) {
	return api.Page[api.PlaybookStatus]{Items: s.playbookStatuses()}, nil
}

// playbook is the one that the path names.
func (s *Server) playbook(c *call) (*playbook.Playbook, error) {
	name, all := c.PathValue("name"), s.Playbooks()
	if i := slices.IndexFunc(all, func(p *playbook.Playbook) bool { return p.Name == name }); i >= 0 {
		return all[i], nil
	}
	return nil, problemf("not_found", "no playbook is called %.63q", name)
}

func (s *Server) showPlaybook(_ context.Context, c *call) (any, error) {
	p, err := s.playbook(c)
	if err != nil {
		return nil, err
	}
	return s.playbookStatus(p), nil
}

func (s *Server) showSource(_ context.Context, c *call) (any, error) {
	p, err := s.playbook(c)
	if err != nil {
		return nil, err
	}
	source := api.PlaybookSource{Name: p.Name, Revision: p.Revision, Source: p.Source, Files: []api.SourceFile{}}
	for i, path := range p.Files {
		source.Files = append(source.Files, api.SourceFile{Path: path, Text: p.Texts[i]})
	}
	return source, nil
}

// showCoverage waits for the tests, which run when a set's coverage is asked for first.
func (s *Server) showCoverage(ctx context.Context, c *call) (any, error) {
	p, err := s.playbook(c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, coverageTime)
	defer cancel()
	got, err := s.Coverage(ctx, p.Name)
	switch {
	case errors.Is(err, playbook.ErrTesting):
		busy := problemf("tests_running", "%v", err)
		busy.retry = 5
		return nil, busy
	case errors.Is(err, playbook.ErrNotLoaded): // another set came in between
		return nil, problemf("not_found", "no playbook is called %.63q", p.Name)
	case err != nil:
		return nil, err
	}
	out := api.PlaybookCoverage{
		Name: got.Playbook.Name, Revision: got.Playbook.Revision, Percent: got.Percent(), Tests: got.Tests, Failed: got.Failed,
		At: got.At.UTC().Truncate(time.Microsecond), Files: []api.FileCoverage{},
	}
	if got.Err != nil {
		out.Error, out.Percent = sandbox.First(got.Err), 0
	}
	for _, f := range got.Files {
		one := api.FileCoverage{File: f.File, Percent: f.Percent()}
		one.Covered, one.Missed = f.Ordered()
		out.Files = append(out.Files, one)
	}
	return out, nil
}

// coverageTime is how long a request waits for the tests; the answer must come before the
// request's own time is over.
const coverageTime = queryTimeout - 3*time.Second

func (s *Server) setMode(ctx context.Context, c *call) (any, error) {
	m := c.body.(*api.Mode)
	if err := checkText("reason", m.Reason); err != nil {
		return nil, err
	}
	if m.Mode == "" {
		return nil, problemf("bad_body", "mode: say observe, approve, enforce or default")
	}
	p, err := s.playbook(c)
	if err != nil {
		return nil, err
	}
	change := guard.Mode{Playbook: p.Name, Mode: playbook.Mode(m.Mode), Namespaces: m.Namespaces, Labels: m.Labels, Reason: m.Reason, Actor: c.actor()}
	if m.Mode == "default" {
		change.Mode = ""
	}
	if c.Header.Get("If-Match") != "" {
		if err := s.Guard.Refresh(ctx); err != nil {
			return nil, err
		}
		_, row := s.Guard.ModeOf(p.Name, p.Mode)
		if err := c.unchanged(s.playbookStatus(p)); err != nil {
			return nil, err
		}
		change.If = &row.At
	}
	if err := s.Guard.SetMode(ctx, change); err != nil {
		return nil, err
	}
	return s.playbookStatus(p), nil
}
