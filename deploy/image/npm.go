package main

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// npmPackages are the packages of a package-lock.json (version 3) that reach the
// user: those that only build and test are left out.
func npmPackages(lock string) ([]spdxPackage, error) {
	text, err := os.ReadFile(lock)
	if err != nil {
		return nil, err
	}
	var file struct {
		Packages map[string]struct {
			Version   string `json:"version"`
			Integrity string `json:"integrity"` // sha512-BASE64
			License   string `json:"license"`
			Dev       bool   `json:"dev"`
			Optional  bool   `json:"optional"`
		} `json:"packages"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", lock, err)
	}
	var all []spdxPackage
	for _, folder := range slices.Sorted(maps.Keys(file.Packages)) {
		p := file.Packages[folder]
		i := strings.LastIndex(folder, "node_modules/")
		if i < 0 || p.Dev || p.Optional {
			continue // the console itself, or a tool
		}
		name := folder[i+len("node_modules/"):]
		one := newPackage(name, p.Version)
		if p.License != "" {
			one.Declared = p.License
		}
		one.References = []spdxRef{{"PACKAGE-MANAGER", "purl", "pkg:npm/" + strings.Replace(name, "@", "%40", 1) + "@" + p.Version}}
		if sum, ok := strings.CutPrefix(p.Integrity, "sha512-"); ok {
			raw, err := base64.StdEncoding.DecodeString(sum)
			if err != nil {
				return nil, fmt.Errorf("%s: integrity of %s: %w", lock, folder, err)
			}
			one.Checksums = []spdxChecksum{{"SHA512", hex.EncodeToString(raw)}}
		}
		all = append(all, one)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s lists no package: is it a package-lock.json of version 3?", lock)
	}
	return all, nil
}
