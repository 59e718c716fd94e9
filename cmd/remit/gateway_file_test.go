package main

import (
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/remit-auth/remit/store/redis/redistest"
	guards "github.com/remit-auth/remit/tokens/resource"
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

// TestGatewayGuardSettings: what an author can tell a Guard in Go, an operator can in the file.
func TestGatewayGuardSettings(t *testing.T) {
	redis, err := redistest.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { redis.Kill() })
	dir := t.TempDir()
	read := func(more string) (*gatewayFile, error) {
		text := "listen: 127.0.0.1:0\nissuer: https://auth.example\nupstreams:\n  - resource: https://t.example/mcp\n    policy: p.yaml\n    state_dir: s\n    url: http://127.0.0.1:1/mcp\n" + more
		path := filepath.Join(dir, "gateway.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return readGatewayFile(path)
	}
	if err := os.WriteFile(filepath.Join(dir, "redis.url"), []byte(redis.URL()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	for where, more := range map[string]string{"a file": "redis_url_file: redis.url", "a variable": "redis_url_env: REDIS"} {
		file, err := read("    introspection: always\n    introspect_tools: [wipe]\n    log_arguments: {wipe: [project]}\n    replay: {" + more + "}\n")
		if err != nil {
			t.Fatal(err)
		}
		config, err := file.config(nil, log)
		if err != nil {
			t.Fatal(err)
		}
		forget, err := file.openReplays(t.Context(), []string{"REDIS=" + redis.URL()}, &config)
		if err != nil {
			t.Fatalf("%s: %v", where, err)
		}
		g := config.Upstreams[0].Guard
		if g.Introspection != guards.IntrospectAlways || !slices.Equal(g.IntrospectTools, []string{"wipe"}) || g.Replay == nil ||
			!maps.EqualFunc(g.LogArguments, map[string][]string{"wipe": {"project"}}, slices.Equal) {
			t.Errorf("%s: %+v", where, g)
		}
		if _, err := g.Replay.Epoch(t.Context()); err != nil {
			t.Errorf("%s: %v", where, err)
		}
		if err := forget(); err != nil {
			t.Error(err)
		}
	}
	for name, more := range map[string]string{
		"no place":            "    replay: {limit: 5}\n",
		"two places":          "    replay: {redis_url_env: REDIS, redis_url_file: redis.url}\n",
		"the URL in the file": "    replay: {redis_url: redis://x}\n",
	} {
		if _, err := read(more); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for name, more := range map[string]string{
		"nobody there":     "redis_url_env: NOBODY",
		"no such variable": "redis_url_env: UNSET",
		"no such file":     "redis_url_file: missing.url",
	} {
		file, err := read("    replay: {" + more + "}\n")
		if err != nil {
			t.Fatal(err)
		}
		config, err := file.config(nil, log)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.openReplays(t.Context(), []string{"NOBODY=redis://127.0.0.1:1/0"}, &config); err == nil {
			t.Errorf("%s: it goes on without the memory", name)
		}
	}
}
