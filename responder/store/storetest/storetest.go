// Package storetest gives tests real, migrated, throw-away databases.
//
// Each test binary runs one private PostgreSQL. The schema is migrated once into
// a template, of which each test gets a copy. A test binary that is killed takes
// its server with it; what it left on disk goes when the next one starts.
//
//	func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }
//
//	func TestSomething(t *testing.T) { s := storetest.New(t) … }
package storetest

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"riposte/deploy/standalone/postgres"
	"riposte/responder/store"
)

// template is the name of the migrated database that is copied.
const template = "riposte_template"

// server is this test binary's PostgreSQL, started by the first test that needs it.
var server struct {
	sync.Mutex
	running bool // Run is on the stack
	pg      *postgres.Server
	dir     *scratch
	err     error
	// copying: a template cannot be copied twice at a time.
	copying sync.Mutex
	count   atomic.Int64
}

// Run runs a test binary's tests and stops the server after them.
func Run(m interface{ Run() int }) int {
	server.Lock()
	server.running = true
	server.Unlock()
	defer stop() // also if a test panics in this goroutine
	return m.Run()
}

// New returns a store on a fresh database, which is dropped when the test ends.
func New(t testing.TB) *store.Store {
	t.Helper()
	s := open(t, URL(t))
	t.Cleanup(s.Close)
	return s
}

func open(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatalf("open the test's database: %v", err)
	}
	return s
}

// URL makes a fresh migrated database and returns its connection string. The
// database is dropped when the test ends.
func URL(t testing.TB) string {
	t.Helper()
	pg := start(t)
	name := fmt.Sprintf("test_%d", server.count.Add(1))
	admin(t, pg, "CREATE DATABASE "+name+" TEMPLATE "+template)
	t.Cleanup(func() { admin(t, pg, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	return in(pg.URL(), name)
}

// Empty is URL without any schema, for tests of the migrations.
func Empty(t testing.TB) string {
	t.Helper()
	pg := start(t)
	name := fmt.Sprintf("test_%d", server.count.Add(1))
	admin(t, pg, "CREATE DATABASE "+name)
	t.Cleanup(func() { admin(t, pg, "DROP DATABASE IF EXISTS "+name+" WITH (FORCE)") })
	return in(pg.URL(), name)
}

// App is a database's connection string for the role that a responder needs. It has no
// rights until store.Grant gives it some.
func App(url string) string { return strings.Replace(url, "user=riposte", "user=riposte_app", 1) }

// start returns the running server. Where PostgreSQL is not installed the test
// is skipped, and fails under CI=true.
func start(t testing.TB) *postgres.Server {
	t.Helper()
	server.Lock()
	defer server.Unlock()
	if !server.running {
		t.Fatal("add func TestMain(m *testing.M) { os.Exit(storetest.Run(m)) }: it stops the server after the tests")
	}
	if server.pg == nil && server.err == nil {
		server.err = launch()
	}
	if server.err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("PostgreSQL is needed here: %v", server.err)
		}
		t.Skipf("PostgreSQL is needed here: %v", server.err)
	}
	return server.pg
}

func launch() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	dir, err := newScratch()
	if err != nil {
		return err
	}
	pg, err := postgres.Start(ctx, postgres.Options{Dir: dir.path, Throwaway: true})
	if err != nil {
		dir.remove()
		return err
	}
	server.pg, server.dir = pg, dir
	if err := run(ctx, pg.URL(), "CREATE DATABASE "+template); err != nil {
		return err
	}
	return store.Migrate(ctx, in(pg.URL(), template))
}

func stop() {
	server.Lock()
	defer server.Unlock()
	if server.pg == nil {
		return
	}
	if err := server.pg.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, "storetest: stop PostgreSQL:", err)
	}
	server.dir.remove()
	server.pg = nil
}

func admin(t testing.TB, pg *postgres.Server, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	server.copying.Lock()
	defer server.copying.Unlock()
	if err := run(ctx, pg.URL(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func run(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql)
	return err
}

// in points a connection string to another database of the same server.
func in(server, database string) string {
	u, err := url.Parse(server)
	if err != nil {
		panic(err) // postgres.Server wrote it
	}
	u.Path = "/" + database
	return u.String()
}
