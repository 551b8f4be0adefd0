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
	// content is what was loaded last, for the metrics.
	content []rules.File
	// mark and settings are the marks of the rules files and the configuration files
	// from before they were loaded first: a change since then is a change.
	mark, settings string
}

// names lists the files of all paths; absent are those that do not exist.
func (r *ruleFiles) names() (names, absent []string, err error) {
	for _, path := range r.paths {
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
	if len(names) == 0 {
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

// load makes the ruleset of the files and options, and changes nothing else.
func (a *Agent) load() (*rules.Ruleset, []rules.File, error) {
	files, absent, err := a.ruleFiles.read()
	if err != nil {
		return nil, nil, err
	}
	set, err := loadRules(&a.opt, files)
	if err != nil {
		return nil, nil, err
	}
	for _, path := range absent {
		a.log.Warn("a rules file does not exist and is left out", "file", path)
	}
	for _, w := range set.Warnings {
		a.log.Warn("a rules file is odd", "warning", w)
	}
	return set, files, nil
}

// loadRules is the one place where what the configuration says about rules meets
// the engine. What the engine cannot do is an error, never a setting that is
// silently without effect.
func loadRules(o *Options, files []rules.File) (*rules.Ruleset, error) {
	for _, x := range o.Append {
		if x.Output != "" || len(x.Fields) > 0 || !x.Suggested || x.Match.Rule != "" || x.Match.Source != "" || len(x.Match.Tags) > 0 {
			return nil, errors.New("append_output is not supported yet but for suggested_output: true")
		}
	}
	opt := rules.Options{MinPriority: o.Priority, MatchAll: o.Matching == config.MatchAll}
	for _, s := range o.Selection {
		if s.Rule != "" {
			opt.Selections = append(opt.Selections, rules.Selection{Rule: s.Rule, Disable: !s.Enable})
		}
		if s.Tag != "" {
			opt.Selections = append(opt.Selections, rules.Selection{Tag: s.Tag, Disable: !s.Enable})
		}
	}
	return opt.Load(files...)
}

// openRules loads the rules for the first time.
func (a *Agent) openRules() error {
	a.ruleFiles = ruleFiles{paths: a.opt.RuleFiles, optional: a.opt.RuleFilesOptional}
	a.ruleFiles.mark, a.ruleFiles.settings = a.ruleMark(), a.configMark()
	set, files, err := a.load()
	if err != nil {
		return err
	}
	a.take(set, files)
	a.log.Info("rules are loaded", "rules", set.Len(), "ruleset", set.Hash())
	return nil
}
