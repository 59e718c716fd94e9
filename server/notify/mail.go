package notify

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"strings"
	"time"
)

// Mail is how to reach the operator's mail server.
type Mail struct {
	// Server is host:port. Port 465 speaks TLS from the first byte; any other must offer STARTTLS.
	Server string
	From   mail.Address
	// Username and Password authenticate; empty: not asked for.
	Username, Password string
	// InsecurePlain sends without TLS: right for a mail server on this machine alone.
	InsecurePlain bool
	// TLS is nil for the system's authorities.
	TLS *tls.Config
	// Now tells the time; nil: time.Now.
	Now func() time.Time
}

// NewMail checks the server's address and the sender's.
func NewMail(server, from string) (Mail, error) {
	address, err := mail.ParseAddress(from)
	if err != nil {
		return Mail{}, fmt.Errorf("notify: the sender: %w", err)
	}
	if _, _, err := net.SplitHostPort(server); err != nil {
		return Mail{}, fmt.Errorf("notify: the mail server is host:port: %w", err)
	}
	return Mail{Server: server, From: *address}, nil
}

// Send hands the message to the mail server.
func (m Mail) Send(ctx context.Context, msg Message) error {
	to, err := mail.ParseAddress(msg.To)
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	c, err := m.dial(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if m.Username != "" {
		host, _, _ := net.SplitHostPort(m.Server)
		if err := c.Auth(smtp.PlainAuth("", m.Username, m.Password, host)); err != nil {
			return fmt.Errorf("notify: %w", err)
		}
	}
	body, err := m.compose(to, msg)
	if err != nil {
		return err
	}
	if err := errors.Join(c.Mail(m.From.Address), c.Rcpt(to.Address)); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	w, err := c.Data()
	if err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	_, err = w.Write(body)
	if err := errors.Join(err, w.Close(), c.Quit()); err != nil {
		return fmt.Errorf("notify: %w", err)
	}
	return nil
}

// dial connects, under TLS unless that was switched off.
func (m Mail) dial(ctx context.Context) (*smtp.Client, error) {
	host, port, err := net.SplitHostPort(m.Server)
	if err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.Server)
	if err != nil {
		return nil, fmt.Errorf("notify: %w", err)
	}
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
	}
	secure := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	if m.TLS != nil {
		secure = m.TLS.Clone()
		secure.ServerName = host
	}
	if port == "465" && !m.InsecurePlain {
		conn = tls.Client(conn, secure)
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("notify: %w", err), conn.Close())
	}
	if port == "465" || m.InsecurePlain {
		return c, nil
	}
	if err := c.StartTLS(secure); err != nil { // RFC 3207: never in the clear because the other side says so
		return nil, errors.Join(fmt.Errorf("notify: the mail server offers no TLS: %w", err), c.Close())
	}
	return c, nil
}

// compose writes the message (RFC 5322): a subject that cannot end its line, a body in
// quoted-printable.
func (m Mail) compose(to *mail.Address, msg Message) ([]byte, error) {
	now := time.Now
	if m.Now != nil {
		now = m.Now
	}
	_, domain, _ := strings.Cut(m.From.Address, "@")
	var b bytes.Buffer
	for _, line := range [][2]string{
		{"From", m.From.String()},
		{"To", to.String()},
		{"Subject", mime.QEncoding.Encode("utf-8", oneLine(msg.Subject))},
		{"Date", now().Format(time.RFC1123Z)},
		{"Message-ID", "<" + rand.Text() + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"}, // RFC 3834 §5: no answer is wanted
		{"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"},
		{"Content-Transfer-Encoding", "quoted-printable"},
	} {
		b.WriteString(line[0] + ": " + line[1] + "\r\n")
	}
	b.WriteString("\r\n")
	w := quotedprintable.NewWriter(&b)
	_, err := w.Write([]byte(strings.ReplaceAll(msg.Text, "\n", "\r\n")))
	return b.Bytes(), errors.Join(err, w.Close())
}

// oneLine leaves nothing that could begin another header.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
