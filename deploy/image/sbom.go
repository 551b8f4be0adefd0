package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// The part of SPDX 2.3 that a Go binary fills
// (https://spdx.github.io/spdx-spec/v2.3).
type spdxDocument struct {
	Version       string             `json:"spdxVersion"`
	ID            string             `json:"SPDXID"`
	DataLicense   string             `json:"dataLicense"`
	Name          string             `json:"name"`
	Namespace     string             `json:"documentNamespace"`
	CreationInfo  spdxCreation       `json:"creationInfo"`
	Packages      []spdxPackage      `json:"packages"`
	Relationships []spdxRelationship `json:"relationships"`
}

type spdxCreation struct {
	Created  string   `json:"created"`
	Creators []string `json:"creators"`
}

type spdxPackage struct {
	ID            string         `json:"SPDXID"`
	Name          string         `json:"name"`
	Version       string         `json:"versionInfo,omitempty"`
	Location      string         `json:"downloadLocation"`
	FilesAnalyzed bool           `json:"filesAnalyzed"`
	Declared      string         `json:"licenseDeclared"`
	Concluded     string         `json:"licenseConcluded"`
	Copyright     string         `json:"copyrightText"`
	Checksums     []spdxChecksum `json:"checksums,omitempty"`
	References    []spdxRef      `json:"externalRefs,omitempty"`
	// go.sum's hash: of the module's files in the Go checksum database's own way,
	// so it is not one of SPDX's checksums.
	Comment string `json:"comment,omitempty"`
}

type spdxChecksum struct {
	Algorithm string `json:"algorithm"`
	Value     string `json:"checksumValue"`
}

type spdxRef struct {
	Category string `json:"referenceCategory"`
	Type     string `json:"referenceType"`
	Locator  string `json:"referenceLocator"`
}

type spdxRelationship struct {
	From string `json:"spdxElementId"`
	Type string `json:"relationshipType"`
	To   string `json:"relatedSpdxElement"`
}

// spdx lists what a binary was built from: the Go release and each module with its
// version and hash, as the binary itself tells it, and the console's packages.
func spdx(binary []byte, info *debug.BuildInfo, console []spdxPackage, is about) ([]byte, error) {
	sum := sha256.Sum256(binary)
	hash := hex.EncodeToString(sum[:])
	const product = "SPDXRef-riposte"
	doc := spdxDocument{
		Version: "SPDX-2.3", ID: "SPDXRef-DOCUMENT", DataLicense: "CC0-1.0",
		Name: "riposte-" + is.version, Namespace: "https://riposte.dev/spdx/" + hash,
		CreationInfo:  spdxCreation{Created: is.created.Format(time.RFC3339), Creators: []string{"Tool: riposte-image"}},
		Relationships: []spdxRelationship{{"SPDXRef-DOCUMENT", "DESCRIBES", product}},
	}
	main := newPackage("riposte", is.version)
	main.ID, main.Declared, main.Checksums = product, "Apache-2.0", []spdxChecksum{{"SHA256", hash}}
	doc.Packages = append(doc.Packages, main)

	parts := []spdxPackage{goModule("stdlib", strings.TrimPrefix(info.GoVersion, "go"))}
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		p := goModule(module.Path, module.Version)
		p.Location = "https://" + module.Path
		if module.Sum != "" {
			p.Comment = "go.sum: " + module.Sum
		}
		parts = append(parts, p)
	}
	for i, p := range slices.Concat(parts, console) {
		p.ID = fmt.Sprintf("SPDXRef-part-%d", i)
		doc.Packages = append(doc.Packages, p)
		doc.Relationships = append(doc.Relationships, spdxRelationship{product, "DEPENDS_ON", p.ID})
	}
	text, err := json.MarshalIndent(doc, "", "  ")
	return append(text, '\n'), err
}

// newPackage leaves open what nobody has told.
func newPackage(name, version string) spdxPackage {
	return spdxPackage{
		Name: name, Version: version, Location: "NOASSERTION",
		Declared: "NOASSERTION", Concluded: "NOASSERTION", Copyright: "NOASSERTION",
	}
}

func goModule(path, version string) spdxPackage {
	p := newPackage(path, version)
	p.References = []spdxRef{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + path + "@" + version}}
	return p
}
