package main_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/remit-auth/remit/cmd/remit/blackbox"
)

// certificate makes a certificate of its own for loopback, which ends then, and returns where it and its key are.
func certificate(t *testing.T, ends time.Time, names ...string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "test"}, NotBefore: ends.Add(-48 * time.Hour), NotAfter: ends, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
}

// dialTLS connects to a server that listens with TLS.
func (p *process) dialTLS(ctx context.Context, protocols ...string) (*tls.Conn, error) {
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}} // #nosec G402: the test's own certificate
	conn, err := d.DialContext(ctx, "tcp", p.listen)
	if err != nil {
		return nil, err
	}
	return conn.(*tls.Conn), nil
}

// asksTLS sends one request over TLS, and returns the answer.
func (p *process) asksTLS(t *testing.T, r blackbox.Request) blackbox.Response {
	t.Helper()
	conn, err := p.dialTLS(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(blackbox.Timeout)); err != nil {
		t.Fatal(err)
	}
	res, err := blackbox.Exchange(conn, r.Method, r.Bytes(mustURL(t, p.issuer).Host))
	if err != nil {
		t.Fatal(err)
	}
	sane(t, res)
	return res
}

// TestAttackTLS plays the rows that need a server as it stands on the web: with TLS, and not in dev mode.
func TestAttackTLS(t *testing.T) {
	t.Parallel()
	cert, key := certificate(t, time.Now().Add(24*time.Hour), "127.0.0.1")
	p := &process{dir: shortDir(t), listen: freeAddress(t), secure: true}
	p.issuer = "https://" + p.listen
	p.env = append(engineEnv(t), "REMIT_DEV=", "REMIT_TLS_CERT="+cert, "REMIT_TLS_KEY="+key)
	p.run(t)
	for _, tt := range []struct {
		id   string
		play func(*testing.T, *process)
	}{{"LG1", lg1}, {"RX8", rx8}, {"RX7", rx7}} {
		t.Run(tt.id, func(t *testing.T) { plays(t); tt.play(t, p) })
	}
}

// lg1: the cookies of a session are this host's alone, and out of reach of scripts.
func lg1(t *testing.T, p *process) {
	password := blackbox.Random(12)
	p.remit(t, nil, password+"\n", "user", "add", "--email", "mara@acme.example", "--name", "Mara", "--password-stdin")
	body := blackbox.Form{{Name: "email", Value: "mara@acme.example"}, {Name: "password", Value: password}}.Encode()
	res := p.asksTLS(t, blackbox.Request{Method: "POST", Target: "/signin", Headers: []blackbox.Header{formType}, Body: []byte(body)})
	cookies := (&http.Response{Header: res.Header}).Cookies()
	if res.Status != http.StatusSeeOther || len(cookies) == 0 {
		t.Fatalf("sign-in: %s", res)
	}
	for _, c := range cookies {
		if !strings.HasPrefix(c.Name, "__Host-") || !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" {
			t.Errorf("cookie %s", c)
		}
	}
	if page := p.asksTLS(t, blackbox.Request{Method: "GET", Target: "/signin"}); page.Header.Get("Strict-Transport-Security") == "" {
		t.Error("no Strict-Transport-Security")
	}
	jot(t, "__Host-, Secure, HttpOnly, SameSite=Lax")
}

// frames is an HTTP/2 connection, frame by frame.
type frames struct {
	*http2.Framer
	conn *tls.Conn
}

func (p *process) frames(t *testing.T) *frames {
	t.Helper()
	conn, err := p.dialTLS(t.Context(), "h2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if conn.ConnectionState().NegotiatedProtocol != "h2" {
		t.Fatal("no HTTP/2")
	}
	if err := conn.SetDeadline(time.Now().Add(blackbox.Timeout)); err != nil {
		t.Fatal(err)
	}
	f := &frames{http2.NewFramer(conn, conn), conn}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := f.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return f
}

// pinged is the ping that ends a flood which its connection survives.
var pinged = [8]byte{'r', 'e', 'm', 'i', 't'}

// outcome reads frames until the server has ended the connection, or has answered the ping; how many
// streams it runs at once, it says at the beginning, and how many it refused.
func (f *frames) outcome() (ended bool, most uint32, refused int) {
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return true, most, refused
		}
		switch frame := frame.(type) {
		case *http2.GoAwayFrame:
			if frame.ErrCode != http2.ErrCodeNo {
				return true, most, refused
			}
		case *http2.SettingsFrame:
			if v, ok := frame.Value(http2.SettingMaxConcurrentStreams); ok {
				most = v
			}
		case *http2.RSTStreamFrame:
			refused++
		case *http2.PingFrame:
			if frame.IsAck() && frame.Data == pinged {
				return false, most, refused
			}
		}
	}
}

// headerBlock is the header block of a GET.
func headerBlock(path string) []byte {
	var b strings.Builder
	e := hpack.NewEncoder(&b)
	for _, h := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "x"}, {":path", path}} {
		_ = e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	return []byte(b.String())
}

// rx8: the floods of HTTP/2 end with their own connection.
func rx8(t *testing.T, p *process) {
	cpu := p.cpu(t)
	for name, flood := range map[string]func(f *frames) error{
		"rapid reset": func(f *frames) error {
			for i := range uint32(20_000) {
				if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: headerBlock("/signin"), EndStream: true, EndHeaders: true}); err != nil {
					return err
				}
				if err := f.WriteRSTStream(2*i+1, http2.ErrCodeCancel); err != nil {
					return err
				}
			}
			return nil
		},
		"CONTINUATION": func(f *frames) error {
			if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headerBlock("/"), EndStream: true}); err != nil {
				return err
			}
			for range 20_000 {
				if err := f.WriteContinuation(1, false, slices.Repeat([]byte{0x00, 0x01, 'a', 0x01, 'b'}, 200)); err != nil {
					return err
				}
			}
			return nil
		},
		"SETTINGS": func(f *frames) error {
			for range 200_000 {
				if err := f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}); err != nil {
					return err
				}
			}
			return nil
		},
		"too many streams": func(f *frames) error {
			for i := range uint32(2_000) {
				if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: headerBlock("/signin"), EndHeaders: true}); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := p.frames(t)
			done := make(chan struct{})
			go func() { // a flood that is not read from ends when nothing more fits in between
				defer close(done)
				if flood(f) == nil {
					_ = f.WritePing(false, pinged)
				}
			}()
			ended, most, refused := f.outcome()
			f.conn.Close()
			<-done
			switch {
			case ended:
				jot(t, "bounded, or the connection is ended")
			case most == 0 || most > 100:
				t.Errorf("%d streams at once", most)
			case name == "too many streams" && refused < 1_800:
				t.Errorf("%d of 2 000 streams were refused", refused)
			default:
				jot(t, "bounded, or the connection is ended")
			}
			if res := p.asksTLS(t, blackbox.Request{Method: "GET", Target: "/.well-known/oauth-authorization-server"}); res.Status != http.StatusOK {
				t.Errorf("afterwards: %s", res)
			}
		})
	}
	if used := p.cpu(t) - cpu; used > 20*time.Second {
		t.Errorf("the floods cost %v of CPU", used)
	}
	if strings.Contains(p.log.String(), "level=ERROR") {
		t.Errorf("strangers write errors into the log: %s", p.log.String())
	}
	jot(t, goodAfter)
}

// rx7: who is slow is closed within ten seconds, and keeps nobody else waiting.
func rx7(t *testing.T, p *process) {
	hello := "POST /token HTTP/1.1\r\nHost: x\r\n"
	type slow struct {
		name  string
		conn  net.Conn
		began time.Time
	}
	var all []slow
	for name, said := range map[string]string{"half a header": hello + "X-Slow: ", "half a body": hello + "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\ngrant_type=", "nothing after the handshake": ""} {
		for range 20 {
			conn, err := p.dialTLS(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(conn, said); err != nil {
				t.Fatal(err)
			}
			all = append(all, slow{name, conn, time.Now()})
		}
	}
	var readers sync.WaitGroup
	for range 5 {
		conn, err := p.dialTLS(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		readers.Go(func() { p.readsNothing(t, conn) })
	}
	idle := 0
	for i := range size("RX7") {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(fmt.Sprintf("127.0.0.%d", 70+i/500))}}
		conn, err := d.DialContext(t.Context(), "tcp", p.listen)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if idle++; i%200 == 0 {
			all = append(all, slow{"no handshake", conn, time.Now()})
		}
	}
	worst := time.Duration(0)
	for range 50 {
		began := time.Now()
		if res := p.asksTLS(t, blackbox.Request{Method: "GET", Target: "/jwks"}); res.Status != http.StatusOK {
			t.Errorf("meanwhile: %s", res)
		}
		worst = max(worst, time.Since(began))
	}
	if worst > 3*time.Second {
		t.Errorf("others waited %v", worst)
	}
	for _, s := range all {
		if err := s.conn.SetReadDeadline(s.began.Add(15 * time.Second)); err != nil {
			t.Fatal(err)
		}
		_, err := io.Copy(io.Discard, s.conn)
		if e, ok := err.(net.Error); ok && e.Timeout() {
			t.Errorf("%s: open after %v", s.name, time.Since(s.began))
		}
		s.conn.Close()
	}
	readers.Wait()
	jot(t, "closed; others served meanwhile")
}

// readsNothing asks for more than all buffers on the way hold, and reads none of it, until the server closes.
func (p *process) readsNothing(t *testing.T, conn net.Conn) {
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Error(err)
	}
	_, err := io.WriteString(conn, strings.Repeat("GET /jwks HTTP/1.1\r\nHost: "+p.listen+"\r\n\r\n", 100_000))
	if e, ok := err.(net.Error); err == nil || ok && e.Timeout() {
		t.Errorf("who reads nothing may ask for 15 seconds: %v", err)
	}
}
