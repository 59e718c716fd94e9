package notify_test

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"testing"
	"time"

	"github.com/remit-auth/remit/server/notify"
)

// post is a mail server for one machine: it takes what it is given.
type post struct {
	address  string
	received chan received
	roots    *x509.CertPool
}

type received struct{ from, to, data, auth string }

// newPost starts one; without startTLS it offers none.
func newPost(t *testing.T, startTLS bool) *post {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	cert, roots := certificate(t)
	p := &post{address: l.Addr().String(), received: make(chan received, 8), roots: roots}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(c, startTLS, cert)
		}
	}()
	return p
}

func (p *post) serve(c net.Conn, startTLS bool, cert tls.Certificate) {
	defer c.Close()
	var got received
	r := bufio.NewReader(c)
	say := func(s string) { io.WriteString(c, s+"\r\n") }
	say("220 here")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		verb, rest, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			if startTLS {
				say("250-here\r\n250 STARTTLS")
			} else {
				say("250-here\r\n250 AUTH PLAIN")
			}
		case "STARTTLS":
			if !startTLS {
				say("502 no")
				continue
			}
			say("220 go on")
			c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
			r, startTLS = bufio.NewReader(c), false
		case "AUTH":
			got.auth = rest
			say("235 yes")
		case "MAIL":
			got.from = rest
			say("250 ok")
		case "RCPT":
			got.to = rest
			say("250 ok")
		case "DATA":
			say("354 go on")
			var data strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil || line == ".\r\n" {
					break
				}
				data.WriteString(line)
			}
			got.data = data.String()
			say("250 ok")
			p.received <- got
		default:
			say("221 bye")
			return
		}
	}
}

func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

func mailTo(t *testing.T, p *post) notify.Mail {
	t.Helper()
	m, err := notify.NewMail(p.address, "Acme ID <no-reply@acme.example>")
	if err != nil {
		t.Fatal(err)
	}
	m.TLS = &tls.Config{RootCAs: p.roots}
	return m
}

func TestMail(t *testing.T) {
	p := newPost(t, true)
	m := mailTo(t, p)
	m.Username, m.Password = "remit", "s3cret"
	q := notify.Start(m, slog.New(slog.DiscardHandler))
	defer q.Close()
	q.Tell(notify.Message{
		To: "mara@acme.example", Subject: "Wartet auf Sie: „Löschen“\r\nBcc: everybody@acme.example",
		Text: "Grüße\n.\nline after a dot\nBcc: nobody@acme.example\n",
	})
	got := <-p.received
	if got.from != "FROM:<no-reply@acme.example>" || got.to != "TO:<mara@acme.example>" || got.auth == "" {
		t.Errorf("envelope: %+v", got)
	}
	msg, err := mail.ReadMessage(strings.NewReader(got.data))
	if err != nil {
		t.Fatal(err)
	}
	if msg.Header.Get("Bcc") != "" {
		t.Error("the subject made a header")
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(msg.Header.Get("Subject"))
	if err != nil || subject != "Wartet auf Sie: „Löschen“  Bcc: everybody@acme.example" {
		t.Errorf("subject %q, %v", subject, err)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(msg.Body))
	if want := "Grüße\r\n.\r\nline after a dot\r\nBcc: nobody@acme.example\r\n"; err != nil || strings.ReplaceAll(string(text), "\r\n..\r\n", "\r\n.\r\n") != want {
		t.Errorf("text %q, %v", text, err)
	}
}

func TestMailWithoutTLS(t *testing.T) {
	p := newPost(t, false)
	m := mailTo(t, p)
	if err := m.Send(t.Context(), notify.Message{To: "mara@acme.example", Subject: "x", Text: "x"}); err == nil {
		t.Error("sent in the clear")
	}
	m.InsecurePlain = true
	if err := m.Send(t.Context(), notify.Message{To: "mara@acme.example", Subject: "x", Text: "x"}); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"", "mara", "mara@acme.example, eve@acme.example", "mara@acme.example\r\nRCPT TO:<eve@acme.example>"} {
		if err := m.Send(t.Context(), notify.Message{To: bad, Subject: "x"}); err == nil {
			t.Errorf("sent to %q", bad)
		}
	}
}

func TestQueueIsBounded(t *testing.T) {
	block := make(chan struct{})
	q := notify.Start(sender(func() { <-block }), slog.New(slog.DiscardHandler))
	for range 10_000 { // returns at once, whatever becomes of them
		q.Tell(notify.Message{To: "mara@acme.example"})
	}
	close(block)
	q.Close()
	var none *notify.Queue
	none.Tell(notify.Message{To: "mara@acme.example"})
	none.Close()
}

type sender func()

func (s sender) Send(context.Context, notify.Message) error { s(); return nil }
