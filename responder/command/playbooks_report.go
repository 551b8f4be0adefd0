package command

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"riposte/responder/api"
	"riposte/responder/playbook"
	"riposte/responder/playbook/sandbox"
)

// testForms are the forms of a test run's output.
var testForms = []string{"text", "json", "junit"}

// testJSON is one test in "test -o json".
type testJSON struct {
	Package string  `json:"package"`
	Name    string  `json:"name"`
	File    string  `json:"file"`
	Line    int     `json:"line"`
	Outcome string  `json:"outcome"`
	Seconds float64 `json:"seconds"`
	Message string  `json:"message,omitempty"`
	Printed string  `json:"printed,omitempty"`
}

func writeJSON(out io.Writer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func writeTestsJSON(out io.Writer, report playbook.Report, covered bool) error {
	var doc struct {
		Passed   int                `json:"passed"`
		Failed   int                `json:"failed"`
		Tests    []testJSON         `json:"tests"`
		Coverage []api.FileCoverage `json:"coverage,omitempty"`
	}
	doc.Failed, doc.Tests = report.Failed(), []testJSON{}
	for _, t := range report.Tests {
		if t.Outcome == sandbox.Pass {
			doc.Passed++
		}
		doc.Tests = append(doc.Tests, testJSON{
			Package: t.Package, Name: t.Name, File: t.File, Line: t.Line, Outcome: string(t.Outcome), Seconds: t.Duration.Seconds(), Message: t.Message, Printed: t.Output,
		})
	}
	if covered {
		doc.Coverage = coverageOf(report.Coverage)
	}
	return writeJSON(out, doc)
}

// The parts of JUnit's XML that build servers read.
type (
	junitSuites struct {
		XMLName xml.Name     `xml:"testsuites"`
		Suites  []junitSuite `xml:"testsuite"`
	}
	junitSuite struct {
		Name     string      `xml:"name,attr"`
		Tests    int         `xml:"tests,attr"`
		Failures int         `xml:"failures,attr"`
		Errors   int         `xml:"errors,attr"`
		Skipped  int         `xml:"skipped,attr"`
		Time     string      `xml:"time,attr"`
		Cases    []junitCase `xml:"testcase"`
	}
	junitCase struct {
		Class   string     `xml:"classname,attr"`
		Name    string     `xml:"name,attr"`
		File    string     `xml:"file,attr"`
		Line    int        `xml:"line,attr"`
		Time    string     `xml:"time,attr"`
		Failure *junitText `xml:"failure"`
		Error   *junitText `xml:"error"`
		Skipped *struct{}  `xml:"skipped"`
		Output  string     `xml:"system-out,omitempty"`
	}
	junitText struct {
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// writeJUnit writes one suite for each package.
func writeJUnit(out io.Writer, tests []sandbox.TestResult) error {
	var doc junitSuites
	at := map[string]int{}
	var took []float64
	for _, t := range tests {
		i, there := at[t.Package]
		if !there {
			i = len(doc.Suites)
			at[t.Package] = i
			doc.Suites = append(doc.Suites, junitSuite{Name: t.Package})
			took = append(took, 0)
		}
		s := &doc.Suites[i]
		took[i] += t.Duration.Seconds()
		s.Tests, s.Time = s.Tests+1, seconds(took[i])
		c := junitCase{Class: t.Package, Name: t.Name, File: t.File, Line: t.Line, Time: seconds(t.Duration.Seconds()), Output: t.Output}
		text := &junitText{Message: t.Message, Text: fmt.Sprintf("%s:%d: %s", t.File, t.Line, t.Message)}
		switch t.Outcome {
		case sandbox.Fail:
			s.Failures, c.Failure = s.Failures+1, text
		case sandbox.Broken:
			s.Errors, c.Error = s.Errors+1, text
		case sandbox.Skipped:
			s.Skipped, c.Skipped = s.Skipped+1, &struct{}{}
		case sandbox.Pass:
		}
		s.Cases = append(s.Cases, c)
	}
	b, err := xml.MarshalIndent(doc, "", "  ")
	if err != nil {
		return err
	}
	_, err = io.WriteString(out, xml.Header+strings.TrimSpace(string(b))+"\n")
	return err
}

func seconds(s float64) string { return fmt.Sprintf("%.6f", s) }
