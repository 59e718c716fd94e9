package main_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// BenchmarkStart measures what an operator waits for: from exec to the first 200, and the memory
// of a server that has nothing to do (DESIGN §6: 150 ms, 60 MiB).
func BenchmarkStart(b *testing.B) {
	var resident float64
	for _, fresh := range []bool{true, false} {
		b.Run(map[bool]string{true: "fresh", false: "again"}[fresh], func(b *testing.B) {
			dir := filepath.Join(b.TempDir(), "d")
			startOnce(b, dir)
			var total time.Duration
			for b.Loop() {
				if fresh {
					if err := os.RemoveAll(dir); err != nil {
						b.Fatal(err)
					}
				}
				took, rss := startOnce(b, dir)
				total, resident = total+took, max(resident, rss)
			}
			b.ReportMetric(float64(total.Microseconds())/1000/float64(b.N), "ms/first-200")
			b.ReportMetric(resident, "MiB-RSS")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// startOnce starts a server, asks until it answers, and ends it.
func startOnce(b *testing.B, dir string) (took time.Duration, mib float64) {
	b.Helper()
	listen := "127.0.0.1:18931"
	cmd := exec.Command(binary, "serve")
	cmd.Env = append(os.Environ(), "REMIT_DEV=1", "REMIT_DATA_DIR="+dir, "REMIT_LISTEN="+listen)
	began := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		resp, err := client.Get("http://" + listen + "/.well-known/oauth-authorization-server")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				break
			}
		}
		if time.Since(began) > 10*time.Second {
			b.Fatal("the server does not answer")
		}
	}
	took = time.Since(began)
	mib = residentMiB(b, cmd.Process.Pid)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return took, mib
}

// residentMiB is the resident memory of a process, where the kernel tells it.
func residentMiB(b *testing.B, pid int) float64 {
	b.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib / 1024
		}
	}
	return 0
}
