package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"
)

// File is a Place: one line of JSON a checkpoint, only ever appended to. It can lie
// on a disk, or with an attribute (chattr +a), that the database's owner cannot write.
type File struct {
	Path string
}

// Name is the file's path.
func (f *File) Name() string { return "the file " + f.Path }

// Last reads the file: it is asked for at a start.
func (f *File) Last(ctx context.Context, cluster string) (*Point, error) {
	all, err := f.Newest(ctx)
	for i := range all {
		if all[i].Cluster == cluster {
			return &all[i], nil
		}
	}
	return nil, err
}

// Newest reads the file.
func (f *File) Newest(context.Context) (newest []Point, err error) {
	all, err := f.read()
	at := map[string]int{}
	for _, p := range all {
		i, seen := at[p.Cluster]
		switch {
		case !seen:
			at[p.Cluster] = len(newest)
			newest = append(newest, p)
		case p.Seq > newest[i].Seq:
			newest[i] = p
		}
	}
	return newest, err
}

// All reads the file.
func (f *File) All(_ context.Context, cluster string) ([]Point, error) {
	all, err := f.read()
	return slices.DeleteFunc(all, func(p Point) bool { return p.Cluster != cluster }), err
}

// read leaves out what is no checkpoint, and anchors: none are put here.
func (f *File) read() ([]Point, error) {
	all, _, err := ReadFile(f.Path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return slices.DeleteFunc(all, func(p Point) bool { return p.Kind != PointCheckpoint }), nil
}

// Put appends a line and syncs the disk. A line that a crash cut off is ended first.
func (f *File) Put(_ context.Context, p Point) (err error) {
	line, err := json.Marshal(p)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(f.Path, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	// Of replicas that share a volume each writes all of them, and an append over NFS is
	// not one step.
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock the file: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if size := info.Size(); size > 0 {
		end := make([]byte, 1)
		if _, err := file.ReadAt(end, size-1); err != nil {
			return err
		}
		if end[0] != '\n' {
			line = append([]byte{'\n'}, line...)
		}
	}
	if _, err := file.Write(append(line, '\n')); err != nil {
		return err
	}
	return file.Sync()
}

// ReadFile reads a file of checkpoints. Lines that are none it names by their
// numbers: a crash can leave one, and a vandal many.
func ReadFile(path string) (all []Point, damaged []int, err error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("checkpoints: %w", err)
	}
	defer file.Close()
	all, damaged, err = ReadPoints(file)
	if err != nil {
		return nil, nil, fmt.Errorf("checkpoints of %s: %w", path, err)
	}
	return all, damaged, nil
}

// maxPoint bounds a line; a real one has some 500 bytes and the cluster's name.
const maxPoint = 16 << 10

// ReadPoints is ReadFile for what is open already.
func ReadPoints(r io.Reader) (all []Point, damaged []int, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxPoint)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var p Point
		if err := json.Unmarshal(line, &p); err != nil || p.Cluster == "" {
			damaged = append(damaged, n)
			continue
		}
		all = append(all, p)
	}
	return all, damaged, lines.Err()
}
