package server_test

import (
	"context"
	"strings"
	"testing"

	"github.com/remit-auth/remit/server"
	"github.com/remit-auth/remit/server/notify"
)

// mailbox receives what users are told.
type mailbox chan notify.Message

func (m mailbox) Send(_ context.Context, msg notify.Message) error { m <- msg; return nil }

// TestUsersAreTold: of the first task lent to a client, and of each call that waits, once; never what
// the call would do.
func TestUsersAreTold(t *testing.T) {
	box := make(mailbox, 16)
	x := asks(t, func(c *server.Config) { c.Mail = box })
	if first := <-box; first.To != "mara@example.com" || !strings.Contains(first.Text, x.issuer+"/agents") {
		t.Errorf("of the first task: %+v", first)
	}
	x.lend() // the second task of the same client
	path := x.waits("add_comment", hello)
	if x.waits("add_comment", hello) != path {
		t.Error("asked twice")
	}
	x.waits("delete_ticket", `{"id":"WEB-2"}`)
	one, two := <-box, <-box
	if !strings.Contains(one.Text, x.issuer+path) || !strings.Contains(one.Subject, "add_comment") || strings.Contains(one.Text, "hello") {
		t.Errorf("of a call that waits: %+v", one)
	}
	if !strings.Contains(two.Subject, "delete_ticket") {
		t.Errorf("in between: %+v", two)
	}
	x.server.Close()
	if len(box) != 0 {
		t.Errorf("%d messages too many: %+v", len(box), <-box)
	}
}
