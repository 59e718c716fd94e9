package main

import (
	"fmt"
	"net"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/server/notify"
)

// mail tells the server how to send mail. A mail server on this machine is spoken to without TLS,
// unless on port 465.
func (c Config) mail(into *server.Config) error {
	if c.MailServer == "" {
		return nil
	}
	m, err := notify.NewMail(c.MailServer, c.MailFrom)
	if err != nil {
		return fmt.Errorf("REMIT_MAIL_SERVER, REMIT_MAIL_FROM: %w", err)
	}
	host, port, _ := net.SplitHostPort(c.MailServer)
	m.Username, m.Password, m.InsecurePlain = c.MailUsername, c.MailPassword, loopback(host) && port != "465"
	into.Mail = m
	return nil
}
