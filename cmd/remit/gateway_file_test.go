package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestGatewayExample reads the configuration of docs/gateway.md.
func TestGatewayExample(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "gateway.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(page), "```yaml\n")
	example, _, _ = strings.Cut(example, "```")
	dir := t.TempDir()
	for name, text := range map[string]string{"gateway.yaml": example, "tickets.key": "sesame\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file, err := readGatewayFile(filepath.Join(dir, "gateway.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	config, err := file.config([]string{"TICKETS_CODE=enrol_a", "PATH=/bin", "FILES_TOKEN=f", "REMIT_DATA_DIR=/x"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	tickets, files := config.Upstreams[0], config.Upstreams[1]
	if tickets.Guard.EnrolmentCode != "enrol_a" || tickets.Credential.Value != "sesame" || tickets.Guard.Issuer != "https://auth.example" ||
		tickets.Guard.StateDir != filepath.Join(dir, "state", "tickets") || tickets.Guard.InsecureHTTP || files.Guard.EnrolmentCode != "" {
		t.Errorf("tickets: %+v", tickets)
	}
	if want := []string{"PATH=/bin", "FILES_TOKEN=f", "ROOT=/srv/files"}; !slices.Equal(files.Env, want) {
		t.Errorf("the environment of files is %q", files.Env)
	}
}
