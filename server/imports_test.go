package server_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/remit-auth/remit"

// arrows is the package picture of ARCHITECTURE.md: a package matches its own entry, or else the
// "x/..." above it, and may import of this module what stands there ("..." being everything). A
// package without an entry has no place in the house.
var arrows = map[string][]string{
	"cmd/...":                      {"..."},
	"docs":                         {},
	"server":                       {"consent", "docs", "server/...", "tokens", "tokens/resource/policy", "store", "web"},
	"server/oauth":                 {},
	"server/fetch":                 {},
	"server/fetch/fetchtest":       {},
	"server/passkey":               {},
	"server/export":                {},
	"server/onetime":               {},
	"server/notify":                {},
	"server/upstream":              {"server/fetch"},
	"server/provider":              {"tokens", "store", "server/oauth"},
	"consent":                      {"store", "tokens"},
	"store":                        {},
	"store/...":                    {"store", "migrations"},
	"store/sqlite/sqlitetest":      {"store/storetest", "migrations"},
	"migrations":                   {},
	"web":                          {},
	"web/webtest":                  {},
	"deploy":                       {},
	"deploy/image":                 {},
	"docs/scale":                   {},
	"tokens":                       {},
	"tokens/agent":                 {"tokens"},
	"tokens/resource":              {"tokens", "tokens/resource/policy"},
	"tokens/resource/policy":       {},
	"tokens/resource/mcpauth":      {"tokens/resource"},
	"tokens/resource/gateway":      {"tokens/resource"},
	"tokens/resource/redisreplay":  {"tokens/resource"},
	"tokens/resource/resourcetest": {"tokens", "tokens/resource"},
}

// libraries are the only modules that these packages may import besides the standard library.
var libraries = map[string][]string{
	"server/oauth":           {},
	"server/fetch":           {"code.dny.dev/ssrf"},
	"tokens":                 {"github.com/go-jose/go-jose/v4"},
	"tokens/resource/policy": {"go.yaml.in/yaml/v3"},
	"web":                    {"github.com/a-h/templ"},
}

// homes are the only packages that may import these modules.
var homes = map[string][]string{
	"github.com/ory/fosite":                  {"server/provider"},
	"github.com/go-webauthn/webauthn":        {"server/passkey"},
	"github.com/coreos/go-oidc/v3":           {"server/upstream"},
	"github.com/pquerna/otp":                 {"server/onetime"},
	"github.com/redis/go-redis/v9":           {"store/redis", "tokens/resource/redisreplay"},
	"github.com/jackc/pgx/v5":                {"store/postgres", "store/postgres/postgrestest"},
	"modernc.org/sqlite":                     {"store/sqlite", "store/sqlite/sqlitetest"},
	"github.com/modelcontextprotocol/go-sdk": {"tokens/resource/mcpauth", "tokens/resource/gateway", "cmd/..."},
	"github.com/alecthomas/kong":             {"cmd/..."},
	"github.com/knadh/koanf/v2":              {"cmd/..."},
}

// linkedByGuards is all that importing tokens/resource may link besides the standard library:
// authors of MCP servers are asked for nothing more.
var linkedByGuards = []string{module, "github.com/go-jose/go-jose/v4", "go.yaml.in/yaml/v3"}

// listed is a package as `go list -json` describes it.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
	Module     *struct{ Path string }
}

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-json=ImportPath,Standard,Imports,Module"}, args...)...)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

// inside is the path of a package of this module, and whether it is one.
func inside(importPath string) (string, bool) {
	return strings.CutPrefix(importPath, module+"/")
}

func matches(pattern, pkg string) bool {
	if pattern == "..." {
		return true
	}
	if dir, all := strings.CutSuffix(pattern, "/..."); all {
		return pkg == dir || strings.HasPrefix(pkg, dir+"/")
	}
	return pattern == pkg
}

func matchesAny(patterns []string, pkg string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, pkg) })
}

// entry is the entry of arrows for a package: the exact one, or else the pattern above it.
func entry(pkg string) (allowed []string, ok bool) {
	if allowed, ok = arrows[pkg]; ok {
		return allowed, true
	}
	for pattern, allowed := range arrows {
		if matches(pattern, pkg) {
			return allowed, true
		}
	}
	return nil, false
}

// TestImportsRunOneWay holds the direct imports of every package to the picture.
func TestImportsRunOneWay(t *testing.T) {
	all := goList(t, "./...")
	if len(all) < len(arrows)/2 {
		t.Fatalf("go list found %d packages only", len(all))
	}
	for _, p := range all {
		pkg, _ := inside(p.ImportPath)
		allowed, ok := entry(pkg)
		if !ok {
			t.Errorf("%s has no place in the package picture (ARCHITECTURE.md)", pkg)
			continue
		}
		for _, imported := range p.Imports {
			if target, ok := inside(imported); ok && !matchesAny(allowed, target) {
				t.Errorf("%s imports %s: that arrow runs the wrong way (ARCHITECTURE.md)", pkg, target)
			}
		}
	}
}

// TestLibrariesStayInTheirHomes holds the imports of other modules: fosite is the engine behind
// server/provider alone, and leaves stay leaves.
func TestLibrariesStayInTheirHomes(t *testing.T) {
	modules := map[string]string{} // import path -> module
	all := goList(t, "-deps", "./...")
	for _, p := range all {
		if p.Module != nil {
			modules[p.ImportPath] = p.Module.Path
		}
	}
	for _, p := range all {
		pkg, ours := inside(p.ImportPath)
		if !ours {
			continue
		}
		for _, imported := range p.Imports {
			library := modules[imported]
			if library == "" || library == module {
				continue
			}
			if only, ok := libraries[pkg]; ok && !slices.Contains(only, library) {
				t.Errorf("%s imports %s, and may import only the standard library and %q", pkg, library, only)
			}
			if home, ok := homes[library]; ok && !matchesAny(home, pkg) {
				t.Errorf("%s imports %s, which only %q may", pkg, library, home)
			}
		}
	}
}

// TestGuardLinksLittle: whoever imports tokens/resource links this list and nothing else.
func TestGuardLinksLittle(t *testing.T) {
	linked := map[string]bool{}
	for _, p := range goList(t, "-deps", "./tokens/resource") {
		if p.Standard {
			continue
		}
		if p.Module == nil {
			t.Errorf("%s belongs to no module", p.ImportPath)
			continue
		}
		linked[p.Module.Path] = true
		if !slices.Contains(linkedByGuards, p.Module.Path) {
			t.Errorf("tokens/resource links %s of %s", p.ImportPath, p.Module.Path)
		}
	}
	if !linked[module] {
		t.Error("tokens/resource links nothing of this module: this test looks at the wrong thing")
	}
}
