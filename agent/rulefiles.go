package agent

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"riposte/agent/config"
	"riposte/agent/rules"
	"riposte/agent/rules/defaults"
)

// ruleFiles knows where the rules come from.
type ruleFiles struct {
	paths    []string
	optional bool
	// loaded are the files that were read last.
	loaded []string
}

// names lists the files of all paths; absent are those that do not exist.
func (r *ruleFiles) names() (names, absent []string, err error) {
	for i, path := range r.paths {
		if i == 0 && path == EmbeddedRules {
			continue
		}
		more, err := config.Expand(path)
		if errors.Is(err, fs.ErrNotExist) && r.optional {
			absent = append(absent, path)
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read a rules file: %w", err)
		}
		names = append(names, more...)
	}
	return names, absent, nil
}

// read reads all files. One of the configuration's that was there before must
// still be: that it is gone for a moment must not switch its rules off.
func (r *ruleFiles) read() (files []rules.File, absent []string, err error) {
	if len(r.paths) == 0 {
		return defaults.Files(), nil, nil
	}
	names, absent, err := r.names()
	if err != nil {
		return nil, nil, err
	}
	for _, path := range absent {
		if slices.Contains(r.loaded, path) {
			return nil, nil, fmt.Errorf("read a rules file: %s was loaded before and is gone", path)
		}
	}
	if r.paths[0] == EmbeddedRules {
		files = defaults.Files()
	}
	if len(names)+len(files) == 0 {
		return nil, nil, fmt.Errorf("there is no rules file in %q", r.paths)
	}
	for _, name := range names {
		content, err := readFile(name, rules.MaxFileBytes)
		if err != nil {
			return nil, nil, fmt.Errorf("read a rules file: %w", err)
		}
		files = append(files, rules.File{Name: name, Content: content})
	}
	return files, absent, nil
}

// readFile reads at most a byte more than limit, so that no device or pipe fills
// the memory; whoever gets the content refuses what is too long.
func readFile(name string, limit int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// load makes the ruleset of the files, and changes nothing else.
func (r *ruleFiles) load(o *Options) (set *rules.Ruleset, files []rules.File, absent []string, err error) {
	if files, absent, err = r.read(); err != nil {
		return nil, nil, nil, err
	}
	set, err = o.RuleOptions().Load(files...)
	return set, files, absent, err
}

// tellOdd logs what is odd about the rules files.
func (a *Agent) tellOdd(set *rules.Ruleset, absent []string) {
	for _, path := range absent {
		a.log.Warn("a rules file does not exist and is left out", "file", path)
	}
	for _, w := range set.Warnings {
		a.log.Warn("a rules file is odd", "warning", w)
	}
}

// LoadRules loads the rules as an agent with these options would. absent are
// files that do not exist and may be left out.
func (o *Options) LoadRules() (set *rules.Ruleset, absent []string, err error) {
	set, _, absent, err = o.ruleFiles().load(o)
	return set, absent, err
}

// ReadRules reads the files that LoadRules loads.
func (o *Options) ReadRules() (files []rules.File, absent []string, err error) {
	return o.ruleFiles().read()
}

func (o *Options) ruleFiles() *ruleFiles {
	return &ruleFiles{paths: o.RuleFiles, optional: o.RuleFilesOptional}
}

// RuleOptions is the one place where what the configuration says about rules
// meets the engine.
func (o *Options) RuleOptions() rules.Options {
	opt := rules.Options{MinPriority: o.Priority, MatchAll: o.Matching == config.MatchAll, Static: o.Static}
	for _, s := range o.Selection {
		if s.Rule != "" {
			opt.Selections = append(opt.Selections, rules.Selection{Rule: s.Rule, Disable: !s.Enable})
		}
		if s.Tag != "" {
			opt.Selections = append(opt.Selections, rules.Selection{Tag: s.Tag, Disable: !s.Enable})
		}
	}
	if o.Append != nil {
		opt.Append = make([]rules.Append, 0, len(o.Append))
	}
	for _, x := range o.Append {
		a := rules.Append{Rule: x.Match.Rule, Source: x.Match.Source, Tags: x.Match.Tags, Output: x.Output, Suggested: x.Suggested}
		for _, f := range x.Fields {
			a.Fields = append(a.Fields, rules.ExtraField{Name: f.Name, Raw: f.Raw, Format: f.Format})
		}
		opt.Append = append(opt.Append, a)
	}
	return opt
}

// keep remembers which files were read.
func (r *ruleFiles) keep(files []rules.File) {
	r.loaded = nil
	for _, f := range files {
		r.loaded = append(r.loaded, f.Name)
	}
}

// openRules loads the rules for the first time.
func (a *Agent) openRules() (*rules.Ruleset, []rules.File, error) {
	a.ruleFiles = *a.opt.ruleFiles()
	// From before they are read: a change since then is a change.
	a.filesSeen = a.opt.marks(&a.ruleFiles)
	set, files, absent, err := a.ruleFiles.load(&a.opt)
	if err != nil {
		return nil, nil, err
	}
	a.tellOdd(set, absent)
	a.ruleFiles.keep(files)
	a.log.Info("rules are loaded", "rules", set.Len(), "ruleset", set.Hash())
	return set, files, nil
}
