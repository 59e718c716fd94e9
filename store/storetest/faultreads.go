package storetest

import (
	"time"

	"github.com/remit-auth/remit/store"
)

// reading is a world with one of everything that can be read.
type reading struct {
	*world
	pushed         store.Request
	code           store.Approval
	device         store.Device
	top, low, over loan
	widened        store.Grant
	waiting        store.CallApproval
	stopped        store.Switch
	last           int64 // number of the newest chained record
}

func (w *world) reading() *reading {
	w.t.Helper()
	r := &reading{world: w}
	w.ring()
	w.signIn()
	w.must(w.s.AssignRole(w.ctx, w.user.ID, tickets, "reader"))
	w.must(w.s.AddPasskey(w.ctx, aPasskey(w, "one")))
	w.must(w.putFactor())
	w.must(w.s.LinkUpstream(w.ctx, w.user.ID, "https://idp.example", "sub"))
	_, err := w.s.PutDocument(w.ctx, document, says("A"))
	w.must(err)
	code := w.secret()
	w.must(w.s.NewEnrolment(w.ctx, mail, code, w.clock.Now().Add(time.Hour)))
	w.enrol(tickets, "grd_1")
	r.code.Request = code
	w.must(w.s.PutBackend(w.ctx, tickets, mail, []string{"mail.read"}))
	_, err = w.s.PublishManifest(w.ctx, tickets, nil, "v1", []store.Tool{{Name: "a", Live: []byte(`{}`), LiveHash: "sha-256:a"}})
	w.must(err)

	r.pushed, r.device = w.push(), w.device()
	r.code.Code = w.approve(atBoth(w)).Code
	r.top, r.over = w.lend(atBoth(w)), w.lend()
	r.low = w.begun(w.start(r.top))
	r.widened = w.grants(r.top.ID)[0]
	r.waiting = w.asked(w.askCall(r.top, "sha-256:a"))
	w.end(r.over.ID)
	w.must(w.s.Spend(w.ctx, store.Once{ID: w.secret(), Until: w.clock.Now().Add(time.Minute)}))
	_, err = w.s.AppendExecutions(w.ctx, "grd_1", "", 1, w.batch(1, 3, r.top.ID))
	w.must(err)
	w.must(w.s.Append(w.ctx, record("finding.x")))
	r.stopped = w.throw(store.Switch{Level: store.LevelTool, Subject: tickets, Tool: "a"})
	r.last = int64(len(w.chained()))
	_, head, err := w.s.Head(w.ctx)
	w.must(err)
	w.must(w.s.AddCheckpoint(w.ctx, store.Checkpoint{Size: r.last, Head: head, At: w.clock.Now(), Signed: "signed"}))
	w.remembered()
	return r
}

// all is what a read answers, as one value.
func all(err error, answers ...any) (any, error) {
	if err != nil {
		return nil, err
	}
	return answers, nil
}

func both[T, U any](t T, u U, err error) (any, error) { return all(err, t, u) }

func single[T any](t T, err error) (any, error) { return all(err, t) }

// faultReads are all that only read. After a comma: what for.
var faultReads = map[string]func(r *reading) (any, error){
	"Ping":        func(r *reading) (any, error) { return nil, r.s.Ping(r.ctx) },
	"UserByEmail": func(r *reading) (any, error) { return single(r.s.UserByEmail(r.ctx, r.user.Email)) },
	"UserByID":    func(r *reading) (any, error) { return single(r.s.UserByID(r.ctx, r.user.ID)) },
	"Users":       func(r *reading) (any, error) { return single(r.s.Users(r.ctx)) },
	"RolesOf":     func(r *reading) (any, error) { return single(r.s.RolesOf(r.ctx, r.user.ID, tickets)) },
	"SessionByID": func(r *reading) (any, error) { return both(r.s.SessionByID(r.ctx, r.session)) },
	"SessionsOf":  func(r *reading) (any, error) { return single(r.s.SessionsOf(r.ctx, r.user.ID)) },
	"SessionsOfUpstream": func(r *reading) (any, error) {
		return single(r.s.SessionsOfUpstream(r.ctx, "https://idp.example", "sid"))
	},
	"HasUsers":         func(r *reading) (any, error) { return single(r.s.HasUsers(r.ctx)) },
	"PasskeysOf":       func(r *reading) (any, error) { return single(r.s.PasskeysOf(r.ctx, r.user.ID)) },
	"PasskeyByID":      func(r *reading) (any, error) { return both(r.s.PasskeyByID(r.ctx, []byte("one"))) },
	"SecondFactorOf":   func(r *reading) (any, error) { return single(r.s.SecondFactorOf(r.ctx, r.user.ID)) },
	"UserByUpstream":   func(r *reading) (any, error) { return single(r.s.UserByUpstream(r.ctx, "https://idp.example", "sub")) },
	"ClientByID":       func(r *reading) (any, error) { return single(r.s.ClientByID(r.ctx, r.client.ID)) },
	"Clients":          func(r *reading) (any, error) { return single(r.s.Clients(r.ctx)) },
	"MetadataAt":       func(r *reading) (any, error) { return single(r.s.MetadataAt(r.ctx, document, r.clock.Now())) },
	"ResourceByURI":    func(r *reading) (any, error) { return single(r.s.ResourceByURI(r.ctx, tickets)) },
	"ResourceByGuard":  func(r *reading) (any, error) { return single(r.s.ResourceByGuard(r.ctx, "grd_1")) },
	"Resources":        func(r *reading) (any, error) { return single(r.s.Resources(r.ctx)) },
	"EnrolmentOpen":    func(r *reading) (any, error) { return nil, r.s.EnrolmentOpen(r.ctx, r.code.Request) },
	"Backend":          func(r *reading) (any, error) { return single(r.s.Backend(r.ctx, tickets, mail)) },
	"Backends":         func(r *reading) (any, error) { return single(r.s.Backends(r.ctx, tickets)) },
	"Keys":             func(r *reading) (any, error) { return single(r.s.Keys(r.ctx)) },
	"LastEpoch":        func(r *reading) (any, error) { return single(r.s.LastEpoch(r.ctx)) },
	"RequestByID":      func(r *reading) (any, error) { return single(r.s.RequestByID(r.ctx, r.pushed.ID, r.client.ID)) },
	"CodeByID":         func(r *reading) (any, error) { return single(r.s.CodeByID(r.ctx, r.code.Code.ID)) },
	"DeviceByID":       func(r *reading) (any, error) { return single(r.s.DeviceByID(r.ctx, r.device.ID)) },
	"DeviceByUserCode": func(r *reading) (any, error) { return single(r.s.DeviceByUserCode(r.ctx, r.device.UserCode)) },
	"Above":            func(r *reading) (any, error) { return both(r.s.Above(r.ctx, r.low.ID)) },
	"RefreshByID":      func(r *reading) (any, error) { return single(r.s.RefreshByID(r.ctx, r.top.Refresh.ID)) },
	"AccessByJTI":      func(r *reading) (any, error) { return single(r.s.AccessByJTI(r.ctx, r.top.Access.JTI)) },
	"TaskByID":         func(r *reading) (any, error) { return both(r.s.TaskByID(r.ctx, r.top.ID)) },
	"GrantByHash": func(r *reading) (any, error) {
		return single(r.s.GrantByHash(r.ctx, r.widened.Resource, r.widened.Hash))
	},
	"TaskHistory": func(r *reading) (any, error) { return both(r.s.TaskHistory(r.ctx, r.user.ID, r.client.ID)) },
	"TaskList":    func(r *reading) (any, error) { return single(r.s.TaskList(r.ctx, store.TaskFilter{Live: true})) },
	"TaskCount":   func(r *reading) (any, error) { return single(r.s.TaskCount(r.ctx, store.TaskFilter{Live: true})) },
	"WouldEnd, a task": func(r *reading) (any, error) {
		return single(r.s.WouldEnd(r.ctx, store.Target{TaskIDs: []string{r.top.ID}}))
	},
	"WouldEnd, a user": func(r *reading) (any, error) { return single(r.s.WouldEnd(r.ctx, store.Target{UserID: r.user.ID})) },
	"ApprovalByID":     func(r *reading) (any, error) { return single(r.s.ApprovalByID(r.ctx, r.waiting.ID)) },
	"WaitingApprovals": func(r *reading) (any, error) { return single(r.s.WaitingApprovals(r.ctx, r.user.ID)) },
	"FeedSince":        func(r *reading) (any, error) { return single(r.s.FeedSince(r.ctx, tickets, 0, 10)) },
	"FeedSnapshot":     func(r *reading) (any, error) { return both(r.s.FeedSnapshot(r.ctx, tickets, time.Time{})) },
	"SwitchByID":       func(r *reading) (any, error) { return single(r.s.SwitchByID(r.ctx, r.stopped.ID)) },
	"SwitchTold":       func(r *reading) (any, error) { return single(r.s.SwitchTold(r.ctx, r.stopped.ID)) },
	"Switches":         func(r *reading) (any, error) { return single(r.s.Switches(r.ctx, true)) },
	"HeldBy": func(r *reading) (any, error) {
		return single(r.s.HeldBy(r.ctx, store.Switch{Level: store.LevelTask, Subject: r.top.ID}))
	},
	"TaskEndings":       func(r *reading) (any, error) { return single(r.s.TaskEndings(r.ctx, r.over.ID)) },
	"Records":           func(r *reading) (any, error) { return single(r.s.Records(r.ctx, store.RecordFilter{})) },
	"Records, a task's": func(r *reading) (any, error) { return single(r.s.Records(r.ctx, store.RecordFilter{Task: r.top.ID})) },
	"TaskCalls":         func(r *reading) (any, error) { return single(r.s.TaskCalls(r.ctx, r.top.ID)) },
	"CountedCalls":      func(r *reading) (any, error) { return single(r.s.CountedCalls(r.ctx, r.top.ID, tickets)) },
	"NewestCalls":       func(r *reading) (any, error) { return single(r.s.NewestCalls(r.ctx, r.top.ID, 0, 10)) },
	"NewestRecords":     func(r *reading) (any, error) { return single(r.s.NewestRecords(r.ctx, r.top.ID, 0, 10)) },
	"RecordsBefore": func(r *reading) (any, error) {
		recs, next, err := r.s.RecordsBefore(r.ctx, store.RecordFilter{Kind: "none", Look: 1})
		return []any{recs, next}, err
	},
	"DismissedFindings": func(r *reading) (any, error) { return single(r.s.DismissedFindings(r.ctx, 0, 10)) },
	"Findings":          func(r *reading) (any, error) { return single(r.s.Findings(r.ctx, 0, 10)) },
	"Head":              func(r *reading) (any, error) { return both(r.s.Head(r.ctx)) },
	"LastCheckpoint":    func(r *reading) (any, error) { return single(r.s.LastCheckpoint(r.ctx)) },
	"Checkpoints":       func(r *reading) (any, error) { return single(r.s.Checkpoints(r.ctx)) },
}
