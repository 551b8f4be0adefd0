package config

import (
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"riposte/agent/alert"
	"riposte/agent/rules/syntax"
)

// decoder fills a Config from a tree of values.
type decoder struct {
	*loader
	// at is where each key that was given stands, by its path.
	at map[string]place
}

// custom is a type that reads itself.
type custom interface {
	decode(d *decoder, path string, v *value)
}

func (d *decoder) config(root *value, c *Config) {
	d.oldNames(root)
	d.mapping("", root, reflect.ValueOf(c).Elem())
	d.plugins(root)
	d.webserver(root, c)
	d.check(c)
}

// oldNames renames what older Falcos call otherwise.
func (d *decoder) oldNames(root *value) {
	old := root.get("rules_file")
	if old == nil {
		return
	}
	d.warn(old.at, "rules_file is the old name of rules_files")
	if root.get("rules_files") == nil {
		old.key = "rules_files"
		return
	}
	root.keys = slices.DeleteFunc(root.keys, func(e entry) bool { return e.key == "rules_file" })
}

// webserver switches the web server on for whoever says something about it and
// not whether it is on: that is Falco's default. Without a word it stays off.
func (d *decoder) webserver(root *value, c *Config) {
	e := root.get("webserver")
	if e == nil || len(e.value.keys) == 0 {
		return
	}
	if on := e.value.get("enabled"); on == nil || on.value.null {
		c.Webserver.Enabled = true
	}
}

// field finds the field of a struct by its key.
func field(of any, key string) reflect.Value {
	v := reflect.ValueOf(of).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("key") == key {
			return v.Field(i)
		}
	}
	panic("config: no field has the key " + key)
}

func (d *decoder) mapping(path string, v *value, to reflect.Value) {
	fields := map[string]reflect.Value{}
	for i := range to.NumField() {
		if key := to.Type().Field(i).Tag.Get("key"); key != "-" {
			fields[key] = to.Field(i)
		}
	}
	prefix := path
	if path != "" {
		prefix += "."
	}
	for _, e := range v.keys {
		full := prefix + e.key
		f, known := fields[e.key]
		other, elsewhere := foreigners[full]
		switch {
		case known:
			d.value(full, e.value, f)
		case elsewhere:
			d.elsewhere(full, e, other)
		case full == "plugins" || full == "load_plugins":
			// See plugins.
		default:
			d.unknown(e, prefix, slices.Collect(maps.Keys(fields)))
		}
	}
}

func (d *decoder) unknown(e entry, prefix string, known []string) {
	for key := range foreigners {
		if rest, ok := strings.CutPrefix(key, prefix); ok && !strings.Contains(rest, ".") {
			known = append(known, rest)
		}
	}
	slices.Sort(known)
	if near := syntax.Nearest(e.key, known); near != "" {
		d.fail(e.at, "unknown key %q: did you mean %q?", e.key, near)
		return
	}
	if prefix == "" {
		d.fail(e.at, "unknown key %q", e.key)
		return
	}
	d.fail(e.at, "unknown key %q: %s has %s", e.key, strings.TrimSuffix(prefix, "."), strings.Join(known, ", "))
}

// value reads one value. Nothing after a key means that the default holds.
func (d *decoder) value(path string, v *value, to reflect.Value) {
	if v.null {
		return
	}
	d.at[path] = v.at
	if c, ok := reflect.TypeAssert[custom](to.Addr()); ok {
		c.decode(d, path, v)
		return
	}
	switch to.Kind() {
	case reflect.Struct:
		if d.want(path, v, mapping) {
			d.mapping(path, v, to)
		}
	case reflect.Slice:
		d.list(path, v, to)
	default:
		if d.want(path, v, scalar) {
			d.scalar(path, v, to)
		}
	}
}

func (d *decoder) want(path string, v *value, k kind) bool {
	if v.kind != k {
		d.fail(v.at, "%s must be %s, this is %s", path, k, v.kind)
	}
	return v.kind == k
}

// list takes a single value for a list of one, as Falco does.
func (d *decoder) list(path string, v *value, to reflect.Value) {
	items := v.items
	if v.kind != list {
		items = []*value{v}
	}
	to.Set(reflect.MakeSlice(to.Type(), 0, len(items))) // an empty list is not none
	for i, item := range items {
		one := reflect.New(to.Type().Elem()).Elem()
		if item.null {
			d.fail(item.at, "%s[%d] is empty", path, i)
			continue
		}
		d.value(fmt.Sprintf("%s[%d]", path, i), item, one)
		to.Set(reflect.Append(to, one))
	}
}

func (d *decoder) scalar(path string, v *value, to reflect.Value) {
	switch to.Kind() {
	case reflect.String:
		to.SetString(v.text)
	case reflect.Bool:
		switch strings.ToLower(v.text) {
		case "true", "yes", "on":
			to.SetBool(true)
		case "false", "no", "off":
			to.SetBool(false)
		default:
			d.fail(v.at, "%s must be true or false, not %q", path, v.text)
		}
	case reflect.Int, reflect.Int64:
		n, err := strconv.ParseInt(v.text, 10, 64)
		if err != nil {
			d.fail(v.at, "%s must be a whole number, not %q", path, v.text)
			return
		}
		to.SetInt(n)
	case reflect.Float64:
		n, err := strconv.ParseFloat(v.text, 64)
		if err != nil || n != n {
			d.fail(v.at, "%s must be a number, not %q", path, v.text)
			return
		}
		to.SetFloat(n)
	default:
		panic("config: no reader for " + to.Type().String())
	}
}

// choice reads one of some words in any case.
func (d *decoder) choice(path string, v *value, from ...string) (string, bool) {
	if !d.want(path, v, scalar) {
		return "", false
	}
	word := strings.ToLower(v.text)
	if slices.Contains(from, word) {
		return word, true
	}
	hint := ""
	if near := syntax.Nearest(word, from); near != "" {
		hint = fmt.Sprintf(" (did you mean %q?)", near)
	}
	d.fail(v.at, "%s cannot be %q: use one of %s%s", path, v.text, strings.Join(from, ", "), hint)
	return "", false
}

func (p *Priority) decode(d *decoder, path string, v *value) {
	word, ok := d.choice(path, v, "emergency", "alert", "critical", "error", "warning", "notice", "informational", "info", "debug")
	if !ok {
		return
	}
	if got, err := alert.ParsePriority(word); err == nil {
		*p = Priority(got)
	}
}

func (m *RuleMatching) decode(d *decoder, path string, v *value) {
	if word, ok := d.choice(path, v, string(MatchFirst), string(MatchAll)); ok {
		*m = RuleMatching(word)
	}
}

// levels are Falco's names and those of the --log-level flag.
var levels = map[string]slog.Level{
	"emergency": slog.LevelError, "alert": slog.LevelError, "critical": slog.LevelError, "error": slog.LevelError,
	"warning": slog.LevelWarn, "warn": slog.LevelWarn, "notice": slog.LevelInfo, "informational": slog.LevelInfo, "info": slog.LevelInfo,
	"debug": slog.LevelDebug,
}

func (l *Level) decode(d *decoder, path string, v *value) {
	if word, ok := d.choice(path, v, "emergency", "alert", "critical", "error", "warning", "warn", "notice", "informational", "info", "debug"); ok {
		*l = Level(levels[word])
	}
}

func (m *Milliseconds) decode(d *decoder, path string, v *value) {
	const day = 24 * 60 * 60 * 1000
	if !d.want(path, v, scalar) {
		return
	}
	n, err := strconv.ParseInt(v.text, 10, 64)
	if err != nil || n < 1 || n > day {
		d.fail(v.at, "%s is a number of milliseconds from 1 to %d, not %q", path, day, v.text)
		return
	}
	*m = Milliseconds(time.Duration(n) * time.Millisecond)
}

// units are those of an Interval, the largest first.
var units = []struct {
	name string
	unit time.Duration
}{{"y", 365 * 24 * time.Hour}, {"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}

var intervalText = regexp.MustCompile(`^(?:(\d{1,6})y)?(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6})s)?(?:(\d{1,6})ms)?$`)

// maxInterval keeps the sum from running over.
const maxInterval = 10 * 365 * 24 * time.Hour

func (i *Interval) decode(d *decoder, path string, v *value) {
	if !d.want(path, v, scalar) {
		return
	}
	m := intervalText.FindStringSubmatch(v.text)
	sum := 0.0
	for n, u := range units {
		if m != nil && m[n+1] != "" {
			count, _ := strconv.Atoi(m[n+1]) //nolint:errcheck // digits, and few of them
			sum += float64(count) * float64(u.unit)
		}
	}
	if m == nil || sum < float64(100*time.Millisecond) || sum > float64(maxInterval) {
		d.fail(v.at, "%s is a duration from 100ms on, such as 1h, 30m or 5s, not %q", path, v.text)
		return
	}
	*i = Interval(sum)
}

func (k *EngineKind) decode(d *decoder, path string, v *value) {
	word, ok := d.choice(path, v, string(EngineEBPF), string(EngineReplay), "auto", "kmod", "ebpf", "nodriver")
	switch {
	case !ok || word == "auto":
	case word == string(EngineReplay):
		*k = EngineReplay
	case word != string(EngineEBPF):
		d.warn(v.at, "%s: %s is not there, events come from eBPF programs", path, word)
	}
}

func (s *StaticFields) decode(d *decoder, path string, v *value) {
	if !d.want(path, v, mapping) {
		return
	}
	*s = StaticFields{}
	for _, e := range v.keys {
		if e.key == "" || e.value.kind != scalar {
			d.fail(e.at, "%s has names, each with a single value", path)
			continue
		}
		(*s)[e.key] = e.value.text
	}
}

func (i *Include) decode(d *decoder, path string, v *value) {
	i.Strategy = StrategyAppend
	if v.kind == scalar {
		i.Path = v.text
		return
	}
	var long struct {
		Path     string `key:"path"`
		Strategy word   `key:"strategy"`
	}
	if !d.want(path, v, mapping) {
		return
	}
	d.mapping(path, v, reflect.ValueOf(&long).Elem())
	if long.Path == "" {
		d.fail(v.at, "%s needs a path", path)
	}
	i.Path = long.Path
	if long.Strategy.v != nil {
		if got, ok := d.choice(path+".strategy", long.Strategy.v, string(StrategyAppend), string(StrategyOverride), string(StrategyAddOnly)); ok {
			i.Strategy = Strategy(got)
		}
	}
}

// word keeps a value for a later look.
type word struct{ v *value }

func (w *word) decode(_ *decoder, _ string, v *value) { w.v = v }

func (s *Selection) decode(d *decoder, path string, v *value) {
	type what struct {
		Rule string `key:"rule"`
		Tag  string `key:"tag"`
	}
	var both struct {
		Enable  what `key:"enable"`
		Disable what `key:"disable"`
	}
	if !d.want(path, v, mapping) {
		return
	}
	before := len(d.errs)
	d.mapping(path, v, reflect.ValueOf(&both).Elem())
	if len(d.errs) > before {
		return
	}
	if len(v.keys) != 1 {
		d.fail(v.at, "%s needs either enable or disable", path)
		return
	}
	w := both.Disable
	if v.keys[0].key == "enable" {
		s.Enable, w = true, both.Enable
	}
	if s.Rule, s.Tag = w.Rule, w.Tag; w == (what{}) {
		d.fail(v.at, "%s.%s needs a rule's name, with * for any text, or a tag", path, v.keys[0].key)
	}
}

func (x *Extra) decode(d *decoder, path string, v *value) {
	if v.kind == scalar {
		x.Name, x.Raw = v.text, true
		return
	}
	if !d.want(path, v, mapping) {
		return
	}
	if len(v.keys) != 1 || v.keys[0].value.kind != scalar {
		d.fail(v.at, "%s is a field's name, or one name with its format", path)
		return
	}
	x.Name, x.Format = v.keys[0].key, v.keys[0].value.text
	d.at[path] = v.keys[0].value.at
}
