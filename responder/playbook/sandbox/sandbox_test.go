package sandbox

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/stretchr/testify/require"
)

const inputSchema = `{"type": "object", "properties": {"name": {"type": "string"}, "alert": {"type": "object", "properties": {"rule": {"type": "string"}}}}}`

func schema(t testing.TB) Schema {
	s, err := NewSchema([]byte(inputSchema))
	require.NoError(t, err)
	return s
}

func files(t testing.TB, texts ...string) []*File {
	m := fstest.MapFS{}
	for i, text := range texts {
		m[fmt.Sprintf("f%d.rego", i)] = &fstest.MapFile{Data: []byte(text)}
	}
	fs, err := Read(Source{FS: m})
	require.NoError(t, err)
	return fs
}

func query(t testing.TB, ref string, texts ...string) *Query {
	c, err := Compile(files(t, texts...), schema(t))
	require.NoError(t, err)
	q, err := c.Query(context.Background(), ref)
	require.NoError(t, err)
	return q
}

// What would bring in the world outside is not there to be called.
func TestForbiddenBuiltins(t *testing.T) {
	for _, call := range []string{
		`http.send({"method": "get", "url": "http://127.0.0.1"})`,
		`net.lookup_ip_addr("localhost")`,
		`net.cidr_expand("10.0.0.0/8")`,
		`opa.runtime()`,
		`rand.intn("a", 10)`,
		`uuid.rfc4122("a")`,
		`io.jwt.encode_sign({}, {}, {})`,
		`io.jwt.encode_sign_raw("{}", "{}", "{}")`,
		`io.jwt.decode_verify("a", {})`,
		`bits.lsh(1, 1000000000)`,
		`product([2, 3])`,
		`strings.render_template("{{.}}", {})`,
		`trace("a")`,
		`json.match_schema({}, {"$ref": "http://127.0.0.1/s.json"})`,
	} {
		name, _, _ := strings.Cut(call, "(")
		t.Run(name, func(t *testing.T) {
			_, err := Compile(files(t, "package a.b.c\n\nx := "+call+"\n"), schema(t))
			require.ErrorContains(t, err, "f0.rego:3:6: undefined function "+name)
		})
	}
}

// A built-in of a later OPA that is not a function of its arguments needs a look
// before it may be called.
func TestOnlyTheClockIsNondeterministic(t *testing.T) {
	var found []string
	for _, b := range capabilities.Builtins {
		if b.Nondeterministic {
			found = append(found, b.Name)
		}
	}
	require.Equal(t, []string{"time.now_ns"}, found)
	require.NotNil(t, capabilities.AllowNet)
	require.Empty(t, capabilities.AllowNet)
}

func TestCompileErrors(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"misspelt input": {"package a.b.c\n\nx if input.alert.rul == \"a\"\n", "f0.rego:3:18: undefined ref: input.alert.rul"},
		"wrong type":     {"package a.b.c\n\nx if input.alert.rule == 7\n", "f0.rego:3:6: match error"},
		"unused import":  {"package a.b.c\n\nimport data.a.b.d\n\nx := 1\n", "f0.rego:3:1: import data.a.b.d unused"},
		"unused variable": {
			"package a.b.c\n\nx if {\n\ty := 1\n\ttrue\n}\n", "f0.rego:4:2: assigned var y unused",
		},
		"no such rule": {"package a.b.c\n\nx if not data.a.b.gone.y\n", "f0.rego:3:10: data.a.b.gone.y is defined nowhere"},
		"no such function": {
			"package a.b.c\n\nimport data.a.b.d\n\nx if d.f(1)\n", "f0.rego:5:6: undefined function data.a.b.d.f",
		},
		"all of data": {"package a.b.c\n\nx := data\n", "recursive"},
		"too wide":    {"package a.b.c\n\nx := data.b\n", "f0.rego:3:6: data.b is defined nowhere"},
		"dynamic":     {"package a.b.c\n\nx if data[input.name]\n", "recursive"},
		"own schema": {
			"package a.b.c\n\n# METADATA\n# schemas:\n# - input: {type: object}\nx if input.alert.rul == \"a\"\n",
			"f0.rego:6:18: undefined ref: input.alert.rul: did you mean \"rule\"?",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Compile(files(t, tt.text), schema(t))
			require.ErrorContains(t, err, tt.want)
		})
	}
}

func TestReferenceToAWholeTreeOfRules(t *testing.T) {
	_, err := Compile(files(t, "package a.b.c\n\nx := data.d.e\n", "package d.e.f\n\ny := 1\n"), schema(t))
	require.ErrorContains(t, err, "f0.rego:3:6: data.d.e reaches too wide")
}

func TestErrorShowsWhatThereIs(t *testing.T) {
	_, err := Compile(files(t, "package a.b.c\n\nx if input.alert.rul == \"a\"\n"), schema(t))
	require.ErrorContains(t, err, `want (one of): ["rule"]`)
}

func TestEval(t *testing.T) {
	ctx := context.Background()
	now := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

	t.Run("the clock is the caller's", func(t *testing.T) {
		q := query(t, "data.a.b.c.x", "package a.b.c\n\nx := time.now_ns()\n")
		v, err := q.Eval(ctx, ast.NewObject(), now, time.Second)
		require.NoError(t, err)
		require.Equal(t, strconv.FormatInt(now.UnixNano(), 10), v.String())
	})
	t.Run("undefined is nil, empty is a set", func(t *testing.T) {
		q := query(t, "data.a.b.c.x", "package a.b.c\n\nx := 1 if input.name == \"a\"\n")
		v, err := q.Eval(ctx, ast.NewObject(), now, time.Second)
		require.NoError(t, err)
		require.Nil(t, v)
		q = query(t, "data.a.b.c.x", "package a.b.c\n\nx contains 1 if input.name == \"a\"\n")
		v, err = q.Eval(ctx, ast.NewObject(), now, time.Second)
		require.NoError(t, err)
		require.Equal(t, "set()", v.String())
	})
	t.Run("a failing built-in is an error, also under not", func(t *testing.T) {
		q := query(t, "data.a.b.c.x", "package a.b.c\n\nx if not to_number(input.name) == 1\n")
		_, err := q.Eval(ctx, ast.MustParseTerm(`{"name": "abc"}`).Value, now, time.Second)
		require.ErrorContains(t, err, "f0.rego:3:10: to_number")
	})
	t.Run("a conflict is an error", func(t *testing.T) {
		q := query(t, "data.a.b.c.x", "package a.b.c\n\nx := 1 if input.name\nx := 2 if input.name\n")
		_, err := q.Eval(ctx, ast.MustParseTerm(`{"name": "abc"}`).Value, now, time.Second)
		require.ErrorContains(t, err, "f0.rego:4:1: rule data.a.b.c.x produced conflicting values")
	})
	t.Run("a caller who gives up is told so", func(t *testing.T) {
		q := query(t, "data.a.b.c.x", "package a.b.c\n\nx := count(numbers.range(1, 1000000000))\n")
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		_, err := q.Eval(ctx, ast.NewObject(), now, time.Minute)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// Whatever runs long is stopped soon after its deadline.
func TestDeadline(t *testing.T) {
	for name, body := range map[string]string{
		"one long built-in": `count(numbers.range(1, 1000000000))`,
		"a comprehension":   `count([1 | some i in numbers.range(1, 20000); some j in numbers.range(1, 20000); i * j == -1])`,
	} {
		t.Run(name, func(t *testing.T) {
			q := query(t, "data.a.b.c.x", "package a.b.c\n\nx := "+body+"\n")
			start := time.Now()
			_, err := q.Eval(context.Background(), ast.NewObject(), start, 50*time.Millisecond)
			require.ErrorIs(t, err, ErrDeadline)
			require.Less(t, time.Since(start), 5*time.Second)
		})
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o644))
	}
	// As a mounted ConfigMap lies on the disk.
	write("..2026/a.rego", "package a\n")
	require.NoError(t, os.Symlink("..2026", filepath.Join(dir, "..data")))
	require.NoError(t, os.Symlink("..data/a.rego", filepath.Join(dir, "a.rego")))
	write("deep/b_test.rego", "package b_test\n")
	write("notes.txt", "not Rego")
	write(".hidden.rego", "nonsense")

	got, err := Read(Dir(dir))
	require.NoError(t, err)
	require.Len(t, got, 2)
	require.Equal(t, filepath.Join(dir, "a.rego"), got[0].Path)
	require.Equal(t, "a", got[0].Package)
	require.True(t, got[1].Test)

	write("bad.rego", "package bad\n\nx := := 1\n")
	write("empty.rego", "")
	write("old.rego", "package old\n\nx { true }\n")
	write("long.rego", "package long\n"+strings.Repeat("# long\n", MaxFileBytes/7))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "dangling.rego")))
	got, err = Read(Dir(dir))
	require.Len(t, got, 2, "the good files are read all the same")
	for _, want := range []string{
		"bad.rego:3:", "empty.rego: is empty", "old.rego:3:1: `if` keyword is required", "long.rego: is ", "dangling.rego: no such file or directory",
	} {
		require.ErrorContains(t, err, want)
	}

	_, err = Read(Dir(filepath.Join(dir, "missing")))
	require.EqualError(t, err, filepath.Join(dir, "missing")+": no such file or directory")
}

func TestPlain(t *testing.T) {
	require.Equal(t, "a b  c", Plain("a\nb\x00\x1bc", 100))
	require.Equal(t, "\uFFFDa", Plain("\xffa", 100))
	require.Equal(t, "aü…", Plain("aüüü", 4), "no half character")
}

func TestRunTestsTellsWhatFailed(t *testing.T) {
	fs := fstest.MapFS{
		"a.rego": {Data: []byte("package p.q.a\n\nx if input.name == \"a\"\n\ny if input.name == \"b\"\n")},
		"a_test.rego": {Data: []byte(`package p.q.a_test

import data.p.q.a

test_holds if a.x with input as {"name": "a"}

test_fails if {
	print("name is", "b")
	a.x with input as {"name": "b"}
}

test_breaks if to_number("abc") == 1

todo_test_later if false

test_cases[name] if {
	some name, value in {"one": "a", "two": "b"}
	a.x with input as {"name": value}
}
`)},
	}
	all, err := Read(Source{FS: fs})
	require.NoError(t, err)
	results, coverage, err := RunTests(context.Background(), all, schema(t), TestOptions{})
	require.NoError(t, err)
	byName := map[string]TestResult{}
	for _, r := range results {
		byName[r.Name] = r
	}
	require.Len(t, byName, 5)
	require.Equal(t, Pass, byName["test_holds"].Outcome)
	require.Equal(t, Fail, byName["test_fails"].Outcome)
	require.Contains(t, byName["test_fails"].Message, "line 9 does not hold: a.x with input")
	require.Equal(t, "name is b", byName["test_fails"].Output)
	require.Equal(t, Broken, byName["test_breaks"].Outcome)
	require.Contains(t, byName["test_breaks"].Message, "to_number")
	require.Equal(t, Skipped, byName["todo_test_later"].Outcome)
	require.Equal(t, Fail, byName["test_cases"].Outcome)
	require.Contains(t, byName["test_cases"].Message, "case two fails")
	require.Len(t, coverage, 1)
	require.Equal(t, []string{"5"}, coverage[0].MissedAt)
}

func TestRunTestsCompilesAgainstTheSchema(t *testing.T) {
	fs := fstest.MapFS{"a_test.rego": {Data: []byte("package p.q.a_test\n\ntest_x if input.nam == \"a\"\n")}}
	all, err := Read(Source{FS: fs})
	require.NoError(t, err)
	_, _, err = RunTests(context.Background(), all, schema(t), TestOptions{})
	require.ErrorContains(t, err, "a_test.rego:3:17: undefined ref: input.nam")
}
