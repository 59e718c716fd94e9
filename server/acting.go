package server

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/remit-auth/remit/store"
)

// What administrators do is here once; the admin API and the console are its two edges.

// acting is who acts: a person at the console, or whoever may open the server's socket.
type acting struct {
	by     store.Actor
	role   store.ConsoleRole
	person string // usr_…; empty: the socket, which knows no persons

	readArgs bool // may read the values of arguments
}

// atSocket is the operator of the machine.
var atSocket = acting{by: store.ByAdmin, role: store.RoleAdmin, readArgs: true}

// atConsole is a person at the console. What a revoker does is told apart, because a revoker only
// takes away.
func atConsole(u store.User) acting {
	a := acting{by: store.ByAdmin, role: u.ConsoleRole, person: u.ID, readArgs: mayReadArgs(u)}
	if u.ConsoleRole != store.RoleAdmin {
		a.by = store.ByRevoker
	}
	return a
}

// consoleRoles are the console roles from least to most.
var consoleRoles = []store.ConsoleRole{store.RoleUser, store.RoleViewer, store.RoleRevoker, store.RoleAdmin}

// reaches reports whether one role may do all that another may. What is no role reaches nothing.
func reaches(role, other store.ConsoleRole) bool {
	return slices.Index(consoleRoles, role) >= max(0, slices.Index(consoleRoles, other)) && slices.Contains(consoleRoles, other)
}

// record tells the ledger of an action: who, why, and what else there is to say.
func (a acting) record(kind, reason string, more map[string]any) store.Record {
	said := map[string]any{"by": a.by}
	if a.person != "" {
		said["person"] = a.person
	}
	if reason != "" {
		said["reason"] = reason
	}
	for name, value := range more {
		said[name] = value
	}
	return store.NewRecord(kind, said)
}

// records tell who moved a task, beside the record of the move itself, when that is known.
func (a acting) records(kind, reason string, t store.Task) []store.Record {
	if a.person == "" {
		return nil
	}
	rec := a.record(kind, reason, nil)
	rec.Task, rec.User, rec.Client, rec.Agent = t.ID, t.UserID, t.ClientID, t.JKT
	return []store.Record{rec}
}

// forbidden refuses what this person may not do, though others may.
func forbidden(detail string) error { return &problem{Status: http.StatusForbidden, Detail: detail} }

// end ends the task and all under it, everywhere.
func (s *Server) end(ctx context.Context, a acting, id, reason string) ([]store.Task, error) {
	t, _, err := s.store.TaskByID(ctx, id)
	if err != nil {
		return nil, err
	}
	e := store.End{TaskID: id, State: store.TaskRevoked, By: a.by, Reason: reason}
	return s.store.EndTask(ctx, e, a.records("console.ended", reason, t)...)
}

// suspend makes the task's tokens worthless until somebody resumes it.
func (s *Server) suspend(ctx context.Context, a acting, id, reason string) (store.Task, error) {
	t, _, err := s.store.TaskByID(ctx, id)
	if err != nil {
		return t, err
	}
	return s.store.SuspendTask(ctx, id, a.by, reason, a.records("console.suspended", reason, t)...)
}

// resume lifts a suspension: an admin any, a revoker those by revokers.
func (s *Server) resume(ctx context.Context, a acting, id, reason string) (store.Task, error) {
	t, _, err := s.store.TaskByID(ctx, id)
	if err != nil {
		return t, err
	}
	resumed, err := s.store.ResumeTask(ctx, id, a.by, a.records("console.resumed", reason, t)...)
	if errors.Is(err, store.ErrTaskNotSuspended) && a.role != store.RoleAdmin && t.State == store.TaskSuspended {
		return t, forbidden("only an admin resumes what a rule, an admin, the user or the agent has suspended")
	}
	return resumed, err
}

// able names a switch as the ledger does.
func able(noun string, disabled bool) string {
	if disabled {
		return noun + ".disabled"
	}
	return noun + ".enabled"
}

// switchUser disables or enables a user; disabling ends the user's tasks and sessions.
func (s *Server) switchUser(ctx context.Context, a acting, u store.User, disabled bool, reason string) ([]store.Task, error) {
	if !reaches(a.role, u.ConsoleRole) {
		return nil, forbidden("this user's console role is above your own")
	}
	rec := a.record(able("user", disabled), reason, nil)
	rec.User = u.ID
	return s.store.DisableUser(ctx, u.ID, disabled, rec)
}

// switchClient disables or enables a client; disabling ends its tasks.
func (s *Server) switchClient(ctx context.Context, a acting, id string, disabled bool, reason string) ([]store.Task, error) {
	rec := a.record(able("client", disabled), reason, nil)
	rec.Client = id
	return s.store.DisableClient(ctx, id, disabled, rec)
}

// switchResource disables or enables a resource; disabling ends the tasks with a part there.
func (s *Server) switchResource(ctx context.Context, a acting, uri string, disabled bool, reason string) ([]store.Task, error) {
	rec := a.record(able("resource", disabled), reason, nil)
	rec.Resource = uri
	return s.store.DisableResource(ctx, uri, disabled, rec)
}

// setConsoleRights changes what a user may do in Remit itself; nobody changes their own. It returns the
// user as that left them.
func (s *Server) setConsoleRights(ctx context.Context, a acting, u store.User, rights store.ConsoleRights, reason string) (store.User, error) {
	switch {
	case rights.Role != "" && !slices.Contains(consoleRoles, rights.Role), rights.Role == "" && rights.ReadArgs == nil:
		return u, bad("console_role is user, viewer, revoker or admin")
	case a.person == u.ID:
		return u, forbidden("nobody changes their own console role or rights; ask another admin")
	}
	var recs []store.Record
	if rights.Role != "" {
		rec := a.record("user.role_changed", reason, map[string]any{"console_role": rights.Role, "former": u.ConsoleRole})
		recs = append(recs, rec)
	}
	if rights.ReadArgs != nil || rights.Role == store.RoleUser && u.ReadArgs {
		given := rights.ReadArgs != nil && *rights.ReadArgs
		recs = append(recs, a.record("user.read_args", reason, map[string]any{"read_args": given}))
	}
	for i := range recs {
		recs[i].User = u.ID
	}
	if err := s.store.SetConsoleRights(ctx, u.ID, rights, recs...); err != nil {
		return u, err
	}
	return s.store.UserByID(ctx, u.ID)
}

// approve makes the live definition with this hash the approved one. It returns that hash.
func (s *Server) approve(ctx context.Context, a acting, uri, name, hash, reason string) (string, error) {
	res, err := s.store.ResourceByURI(ctx, uri)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(res.Tools, func(t store.Tool) bool { return t.Name == name })
	if i < 0 {
		return "", store.ErrResourceNotFound
	}
	tool := res.Tools[i]
	if tool.LiveHash == "" && hash == tool.Hash {
		return hash, nil
	}
	rec := a.record("tool.approved", reason, map[string]any{"tool": name, "definition": hash, "former": tool.Hash})
	rec.Resource = uri
	return hash, s.store.ApproveTool(ctx, uri, name, hash, rec)
}

// rotate makes a new key the signing one.
func (s *Server) rotate(ctx context.Context, a acting, reason string) (kid string, err error) {
	return s.ring.Rotate(ctx, func(about map[string]any) store.Record { return a.record("key.rotated", reason, about) })
}

// killKey makes a key worthless everywhere, and seals the ledger with the one that takes its place.
func (s *Server) killKey(ctx context.Context, a acting, kid, reason string) error {
	err := s.ring.Kill(ctx, kid, func(about map[string]any) store.Record { return a.record("key.killed", reason, about) })
	if err != nil {
		return err
	}
	if err := s.Settle(ctx); err != nil { // the housekeeping tries again
		s.log.Error("ledger not sealed anew after a key was killed", "err", err)
	}
	return nil
}

// rewrapKeys wraps what seals the keys under the newest master key.
func (s *Server) rewrapKeys(ctx context.Context, a acting, reason string) (int, error) {
	return s.ring.Rewrap(ctx, func(about map[string]any) store.Record { return a.record("key.rewrapped", reason, about) })
}
