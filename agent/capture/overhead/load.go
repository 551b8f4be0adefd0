//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// load is a program's work, measured in how much of it is done in a second.
type load struct {
	name, unit string
	run        func(context.Context) (float64, error)
}

// prepare starts the servers that loads need; stop ends them, whatever came of it.
func prepare(ctx context.Context, dir string, o options) (loads []load, stop func() error, err error) {
	var servers []*server
	stop = func() (err error) {
		for _, s := range servers {
			err = errors.Join(err, s.stop())
		}
		return err
	}
	serve := func(port string, argv ...string) error {
		s, err := startServer(ctx, "127.0.0.1:"+port, argv...)
		if s != nil {
			servers = append(servers, s)
		}
		return err
	}
	seconds := strconv.Itoa(max(1, int(o.each.Seconds())))
	ms := strconv.FormatInt(o.each.Milliseconds(), 10)
	for _, l := range []struct {
		load
		prepare func() error
	}{
		{load{"redis-benchmark GET", "/s", redis(o.each)}, func() error {
			return serve(redisPort, "redis-server", "--port", redisPort, "--bind", "127.0.0.1", "--save", "", "--dir", dir)
		}},
		{load{"compile of a Go package", "/s", compile(dir)}, nil},
		{load{"nginx under wrk", "/s", figure(`Requests/sec:\s+([0-9.]+)`, "wrk", "-t1", "-c16", "-d"+seconds, "http://127.0.0.1:"+nginxPort+"/page.html")}, func() error {
			if err := nginxFiles(dir); err != nil {
				return err
			}
			return serve(nginxPort, "nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"), "-e", "stderr")
		}},
		{load{"open and close", "/s", perSecond(o.each, "/proc/self/exe", helperName, "opens", ms)}, nil},
		{load{"fork and exec", "/s", perSecond(o.each, "/proc/self/exe", helperName, "forks", ms)}, nil},
	} {
		if !strings.Contains(l.name, o.only) {
			continue
		}
		if l.prepare != nil {
			if err := l.prepare(); err != nil {
				return nil, stop, err
			}
		}
		loads = append(loads, l.load)
	}
	return loads, stop, nil
}

// Ports that nothing else is likely to use.
const redisPort, nginxPort = "17379", "17480"

func redis(each time.Duration) func(context.Context) (float64, error) {
	// About as many requests as a small machine serves in the time.
	n := strconv.Itoa(max(1000, int(each.Seconds()*50000)))
	return figure(`"GET","([0-9.]+)"`, "redis-benchmark", "-p", redisPort, "-t", "get", "-n", n, "-c", "20", "--csv")
}

// compile builds a package and all that it needs with an empty cache.
func compile(dir string) func(context.Context) (float64, error) {
	return func(ctx context.Context) (float64, error) {
		cache := filepath.Join(dir, "gocache")
		c := exec.CommandContext(ctx, "go", "build", "-o", os.DevNull, "strconv")
		c.Env = append(os.Environ(), "GOCACHE="+cache, "GOFLAGS=")
		began := time.Now()
		out, err := c.CombinedOutput()
		took := time.Since(began)
		if err != nil {
			return 0, fmt.Errorf("%w: %s", err, out)
		}
		return 1 / took.Seconds(), os.RemoveAll(cache)
	}
}

func nginxFiles(dir string) error {
	conf := fmt.Sprintf(`daemon off; master_process off; pid %[1]s/nginx.pid;
events { worker_connections 256; }
http { access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
server { listen 127.0.0.1:%[2]s; root %[1]s; } }
`, dir, nginxPort)
	return errors.Join(
		os.WriteFile(filepath.Join(dir, "nginx.conf"), []byte(conf), 0o644),                                 //nolint:gosec // nginx reads it
		os.WriteFile(filepath.Join(dir, "page.html"), []byte(strings.Repeat("<p>a page</p>\n", 64)), 0o644), //nolint:gosec // nginx reads it
	)
}

// figure runs a program and takes a number out of what it prints.
func figure(pattern string, argv ...string) func(context.Context) (float64, error) {
	find := regexp.MustCompile(pattern)
	return func(ctx context.Context) (float64, error) {
		out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput()
		if err != nil {
			return 0, fmt.Errorf("%s: %w: %s", argv[0], err, out)
		}
		m := find.FindSubmatch(out)
		if m == nil {
			return 0, fmt.Errorf("%s prints no figure: %s", argv[0], out)
		}
		return strconv.ParseFloat(string(m[1]), 64)
	}
}

// perSecond runs a helper and takes its count by the second.
func perSecond(each time.Duration, argv ...string) func(context.Context) (float64, error) {
	count := figure(`^([0-9]+)\n$`, argv...)
	return func(ctx context.Context) (float64, error) {
		n, err := count(ctx)
		return n / each.Seconds(), err
	}
}

// server is a program that loads talk to.
type server struct{ cmd *exec.Cmd }

// startServer returns when the server listens.
func startServer(ctx context.Context, address string, argv ...string) (*server, error) {
	s := &server{exec.Command(argv[0], argv[1:]...)}
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", argv[0], err)
	}
	err := await(ctx, argv[0]+" to listen", func() bool {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return false
		}
		return c.Close() == nil
	})
	return s, err
}

func (s *server) stop() error {
	err := s.cmd.Process.Kill()
	_ = s.cmd.Wait() // it was killed
	if errors.Is(err, os.ErrProcessDone) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// await asks until it is so, for a minute at most.
func await(ctx context.Context, what string, so func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		case <-t.C:
		}
	}
	return nil
}
