package server

import (
	"context"
	"net/http"

	"github.com/remit-auth/remit/server/notify"
	"github.com/remit-auth/remit/store"
)

// What users are told by push messages, where a browser of theirs asked for them, and by e-mail, where the
// operator named a mail server: that a call waits for their yes, and that an agent works for them for
// the first time. Nothing waits for it and nothing fails with it.

// tellWaiting tells of a call that waits. It names tool and task and not the arguments: mail is read
// by others.
func (s *Server) tellWaiting(ctx context.Context, a store.CallApproval) {
	s.push(a.UserID, textPushWaiting, s.base+"/approvals/"+a.ID)
	if s.notices == nil {
		return
	}
	user, err := s.store.UserByID(ctx, a.UserID)
	if err != nil {
		s.log.Warn("a user was not told of an approval", "err", err)
		return
	}
	s.notices.Tell(notify.Message{
		To: user.Email, Subject: say(ctx, textMailWaitingSubject, a.Tool),
		Text: say(ctx, textMailWaiting, a.Tool, a.Resource, s.url("/approvals/"+a.ID), int(approvalAskLife.Minutes())),
	})
}

// tellFirst tells of the first task that the user has lent to a client: whoever did it in the user's
// name is found out.
func (s *Server) tellFirst(r *http.Request, v *visitor, client store.Client) {
	n, _, err := s.store.TaskHistory(r.Context(), v.User.ID, client.ID)
	if err != nil || n != 1 {
		return
	}
	s.push(v.User.ID, textPushFirst, s.base+"/agents")
	s.notices.Tell(notify.Message{
		To: v.User.Email, Subject: say(r.Context(), textMailFirstSubject),
		Text: say(r.Context(), textMailFirst, clientHost(r.Context(), client), clock(r.Context(), s.now()), browserName(r.UserAgent()), s.url("/agents")),
	})
}
