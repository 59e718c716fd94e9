package main_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// fence is a block of code of a page: what it is, the file that it is, and its text.
var fence = regexp.MustCompile("(?ms)^```(\\w+)(?: file=(\\S+))?\n(.*?)^```$")

// TestFirstFiveMinutes does what docs/protect-your-server.md says, line by line, as a newcomer does:
// it writes every file, types every command into one shell, and wants to see what the page shows.
func TestFirstFiveMinutes(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles two programs that import this module")
	}
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "protect-your-server.md"))
	if err != nil {
		t.Fatal(err)
	}
	listen := freeAddress(t)
	places := strings.NewReplacer("localhost:8080", strings.Replace(listen, "127.0.0.1", "localhost", 1), "127.0.0.1:8080", listen,
		"localhost:8090", strings.Replace(freeAddress(t), "127.0.0.1", "localhost", 1))
	s := newShell(t, listen)
	blocks := fence.FindAllStringSubmatch(places.Replace(string(page)), -1)
	if len(blocks) < 15 {
		t.Fatalf("%d blocks of code", len(blocks))
	}
	for _, block := range blocks {
		kind, file, text := block[1], block[2], block[3]
		switch {
		case file != "":
			path := filepath.Join(s.dir, file)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		case kind == "console":
			s.plays(text)
		default:
			t.Errorf("a block of %s that nobody runs:\n%s", kind, text)
		}
	}
}

// shell is one terminal.
type shell struct {
	*testing.T
	dir    string
	in     io.Writer
	person *blackbox.Browser

	mu      sync.Mutex
	out     bytes.Buffer
	opened  int // how far the output was looked through for pages to open
	secrets map[string]string
}

func newShell(t *testing.T, listen string) *shell {
	s := &shell{T: t, dir: shortDir(t), secrets: map[string]string{}, person: &blackbox.Browser{Email: "you@example.com", Password: "correct horse battery staple"}}
	cmd := exec.Command("sh")
	cmd.Dir = s.dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "REMIT_") && !strings.HasPrefix(v, "GOFLAGS=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "REMIT_LISTEN="+listen, "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "GOFLAGS=-mod=mod", "GOWORK=off",
		"GOPROXY="+published(t), "GONOSUMDB=*", "GONOSUMCHECK=1", "GOTOOLCHAIN=local")
	cmd.Stdout, cmd.Stderr = s, s
	cmd.WaitDelay, cmd.SysProcAttr = 5*time.Second, &syscall.SysProcAttr{Setpgid: true}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	s.in = in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) // the shell and all that it left running
		_ = cmd.Wait()                                      // with the status of that
		if t.Failed() {
			t.Logf("the terminal:\n%s", s.text(0))
		}
	})
	return s
}

// Write takes in what the terminal shows.
func (s *shell) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.Write(b)
}

func (s *shell) text(from int) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.String()[from:]
}

// plays types the commands of a block and waits for what the page shows after each.
func (s *shell) plays(block string) {
	s.Helper()
	var command string
	var shown []string
	for line := range strings.Lines(block + "$ \n") {
		line = strings.TrimSuffix(line, "\n")
		typed, isCommand := strings.CutPrefix(line, "$ ")
		if !isCommand {
			shown = append(shown, line)
			continue
		}
		if command != "" {
			s.types(command, shown)
		}
		command, shown = typed, nil
	}
}

// secret is what a command prints for the next one to use.
var secret = regexp.MustCompile(`\b(enrol_|cli_)[A-Za-z0-9_-]{20,}`)

// looks matches commands that change nothing, which a person enters again when it was too early.
var looks = regexp.MustCompile(`^remit (doctor|resource drift|task list|audit)`)

func (s *shell) types(command string, shown []string) {
	s.Helper()
	for prefix, value := range s.secrets {
		command = strings.ReplaceAll(command, prefix+"…", value)
	}
	from := len(s.text(0))
	mark := blackbox.Random(12)
	began := time.Now()
	enter := func() { fmt.Fprintf(s.in, "%s\necho %s\n", command, mark) }
	enter()
	background := regexp.MustCompile(`&( |$)`).MatchString(strings.ReplaceAll(command, "&&", ""))
	var missing string
	eventually(s.T, 3*time.Minute, command, func() bool {
		s.opens()
		out := s.text(from)
		missing = lacks(out, shown)
		if missing != "" && looks.MatchString(command) && strings.HasSuffix(out, mark+"\n") && time.Since(began) < 30*time.Second {
			enter() // what it looks at may take a moment
			return false
		}
		return strings.Contains(out, mark) && (missing == "" || !background)
	})
	if missing != "" {
		s.Fatalf("after %q there is no %q:\n%s", command, missing, s.text(from))
	}
	for _, found := range secret.FindAllString(s.text(from), -1) {
		prefix, _, _ := strings.Cut(found, "_")
		s.secrets[prefix+"_"] = found
	}
}

// lacks returns the first of the lines that the output has not, in their order. An ellipsis stands
// for anything.
func lacks(out string, lines []string) string {
	have := strings.Split(out, "\n")
	for _, line := range lines {
		if strings.TrimSpace(line) == "" || line == "…" {
			continue
		}
		var pattern strings.Builder
		for i, part := range strings.Split(line, "…") {
			if i > 0 {
				pattern.WriteString(".*")
			}
			pattern.WriteString(strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(part)), " ", `\s+`))
		}
		wanted := regexp.MustCompile(pattern.String())
		i := slices.IndexFunc(have, wanted.MatchString)
		if i < 0 {
			return line
		}
		have = have[i:] // several lines of the page may stand in one of the output
	}
	return ""
}

var page = regexp.MustCompile(`(?m)^Open (http\S+)$`)

// opens does what the page asks of its reader: open the address, sign in, press Allow.
func (s *shell) opens() {
	s.Helper()
	out := s.text(s.opened)
	at := page.FindStringSubmatchIndex(out)
	if at == nil {
		return
	}
	address := out[at[2]:at[3]]
	s.opened += at[1]
	landing, err := s.person.Consent(s.Context(), address, blackbox.Choice{})
	if err != nil || !landing.Left {
		s.Fatalf("consent: %v %+v", err, landing)
	}
	res, err := http.Get(landing.URL)
	if err != nil {
		s.Fatal(err)
	}
	res.Body.Close()
}

// published makes this tree a released module, in front of the modules that are here already.
func published(t *testing.T) string {
	t.Helper()
	const module, version = "github.com/remit-auth/remit", "v0.9.9"
	dir := filepath.Join(t.TempDir(), "proxy")
	at := filepath.Join(dir, filepath.FromSlash(module), "@v")
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join("..", "..")
	gomod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"list": version + "\n", version + ".info": `{"Version":"` + version + `","Time":"2026-01-02T03:04:05Z"}`, version + ".mod": string(gomod),
	} {
		if err := os.WriteFile(filepath.Join(at, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var packed bytes.Buffer
	z := zip.NewWriter(&packed)
	add := func(path string) error {
		raw, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return err
		}
		w, err := z.Create(module + "@" + version + "/" + filepath.ToSlash(path))
		if err == nil {
			_, err = w.Write(raw)
		}
		return err
	}
	err = add("go.mod")
	for _, folder := range []string{"tokens"} { // all that authors of servers and agents import
		err = errorsFirst(err, filepath.WalkDir(filepath.Join(root, folder), func(path string, d fs.DirEntry, err error) error {
			rel, _ := filepath.Rel(root, path)
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") || strings.Contains(path, "testdata") {
				return err
			}
			return add(rel)
		}))
	}
	if err = errorsFirst(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(at, version+".zip"), packed.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	cache, err := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE", "GOPROXY").Output()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(cache)), "\n")
	return "file://" + dir + ",file://" + filepath.Join(lines[0], "cache", "download") + "," + lines[1]
}

func errorsFirst(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
