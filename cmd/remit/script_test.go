package main_test

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestScripts plays the transcripts of testdata against the binary: what an operator types, and
// what the terminal answers.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("REMIT_DATA_DIR", filepath.Join(env.WorkDir, "d"))
			env.Setenv("REMIT_DEV", "true")
			env.Setenv("REMIT_LISTEN", "127.0.0.1:0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"ready": ready},
	})
}

// ready waits until the server of the script answers at its admin socket.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	socket := filepath.Join(ts.Getenv("REMIT_DATA_DIR"), "admin.sock")
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); <-tick.C {
		if conn, err := net.Dial("unix", socket); err == nil {
			conn.Close()
			return
		}
	}
	ts.Fatalf("no server answers at %s", socket)
}
