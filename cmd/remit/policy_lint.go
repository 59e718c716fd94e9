package main

import (
	"context"
	"fmt"
	"io"

	"github.com/remit-auth/remit/tokens/resource/policy"
)

type policyLintCmd struct {
	File string `arg:"" help:"Policy file; - is standard input."`
	manifestFlags
	FailOn string `enum:"error,warning,note,never" default:"warning" help:"End with status 1 when there is a finding this bad: error, warning, note, never."`
	SARIF  bool   `name:"sarif" help:"Answer in SARIF 2.1.0, for code scanning."`
}

// Run prints the findings. It ends with 1 when one is bad enough, and with 2 when there is nothing
// to judge.
func (c *policyLintCmd) Run(ctx context.Context, a *app) error {
	p, err := a.readPolicy(c.File)
	if err != nil {
		return err
	}
	m, err := c.read(ctx, a)
	if err != nil {
		return err
	}
	found := policy.Lint(p, m.facts)
	switch {
	case c.SARIF:
		err = writeJSON(a.out, sarif(c.File, found))
	case a.json:
		err = writeJSON(a.out, map[string]any{"file": c.File, "policy": p.Version(), "findings": append([]policy.Finding{}, found...)})
	default:
		err = printFindings(a.out, c.File, found)
		if err == nil && m.facts == nil {
			_, err = fmt.Fprintln(a.err, "remit: what the tools do was guessed from their names; give --manifest or --resource")
		}
	}
	if err != nil {
		return err
	}
	for _, f := range found {
		if c.FailOn != "never" && f.Severity.AtLeast(policy.Severity(c.FailOn)) {
			return errSilent
		}
	}
	return nil
}

// printFindings writes file:line:column: as compilers do, so that editors can jump there.
func printFindings(w io.Writer, file string, found []policy.Finding) error {
	for _, f := range found {
		_, err := fmt.Fprintf(w, "%s:%d:%d: %s: %s [%s]\n\tmend: %s\n", plain(file), f.Line, f.Column, f.Severity, plain(f.Message), f.Code, plain(f.Mend))
		if err != nil {
			return err
		}
	}
	if len(found) == 0 {
		_, err := fmt.Fprintln(w, "OK")
		return err
	}
	return nil
}

// The part of SARIF 2.1.0 (OASIS) that code scanning reads.
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		ColumnKind string        `json:"columnKind"`
		Tool       sarifTool     `json:"tool"`
		Results    []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name           string      `json:"name"`
		InformationURI string      `json:"informationUri"`
		Rules          []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID                   string     `json:"id"`
		ShortDescription     sarifText  `json:"shortDescription"`
		DefaultConfiguration sarifLevel `json:"defaultConfiguration"`
	}
	sarifLevel struct {
		Level policy.Severity `json:"level"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		RuleIndex int             `json:"ruleIndex"`
		Level     policy.Severity `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		PhysicalLocation sarifPlace `json:"physicalLocation"`
	}
	sarifPlace struct {
		ArtifactLocation sarifFile   `json:"artifactLocation"`
		Region           sarifRegion `json:"region"`
	}
	sarifFile struct {
		URI string `json:"uri"`
	}
	sarifRegion struct {
		StartLine   int `json:"startLine"`
		StartColumn int `json:"startColumn"`
	}
)

// sarif is the findings as SARIF 2.1.0.
func sarif(file string, found []policy.Finding) sarifLog {
	driver := sarifDriver{Name: "remit policy lint", InformationURI: "https://github.com/remit-auth/remit", Rules: []sarifRule{}}
	index := map[string]int{}
	for i, c := range policy.Codes() {
		index[c.Name] = i
		driver.Rules = append(driver.Rules, sarifRule{c.Name, sarifText{c.Text}, sarifLevel{c.Severity}})
	}
	run := sarifRun{ColumnKind: "unicodeCodePoints", Tool: sarifTool{driver}, Results: []sarifResult{}}
	for _, f := range found {
		run.Results = append(run.Results, sarifResult{
			RuleID: f.Code, RuleIndex: index[f.Code], Level: f.Severity, Message: sarifText{f.Message + "; mend: " + f.Mend},
			Locations: []sarifLocation{{sarifPlace{sarifFile{fileURI(file)}, sarifRegion{f.Line, f.Column}}}},
		})
	}
	return sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}
}
