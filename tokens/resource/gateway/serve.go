package gateway

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/remit-auth/remit/tokens/resource"
)

// failure is an exchange that ends with an error of the gateway's own. cause is for the log alone.
type failure struct {
	status     int
	rpc        rpcError
	retryAfter int // seconds; 0: not said
	allow      string
	cause      error
}

func (f *failure) Error() string {
	if f.cause != nil {
		return f.rpc.Message + ": " + f.cause.Error()
	}
	return f.rpc.Message
}

func (f *failure) Unwrap() error { return f.cause }

// reason is the data of an error.
type reason struct {
	Reason string `json:"reason"`
	Hint   string `json:"hint,omitempty"`
}

// unavailable is the failure of an exchange with a server that does not answer as it should.
func unavailable(cause error) *failure {
	return &failure{status: http.StatusBadGateway, cause: cause, rpc: rpcError{
		Code: rpcInternal, Message: "the server behind this gateway gave no answer",
		Data: reason{Reason: "upstream_unavailable", Hint: "Try again later."},
	}}
}

// ended is the failure of an exchange whose permit no longer stands.
func ended(cut resource.CutOff) *failure {
	f := &failure{status: http.StatusForbidden, rpc: rpcError{Code: rpcDenied, Message: cut.Message, Data: cut}}
	if cut.Code == resource.StaleView {
		f.status, f.retryAfter = http.StatusServiceUnavailable, 2
	}
	return f
}

// serve answers a request that the Guard let through.
func (r *route) serve(w http.ResponseWriter, req *http.Request) {
	permit, ok := resource.PermitFrom(req.Context())
	if !ok { // never behind a Guard
		http.Error(w, "this request did not come through the guard", http.StatusForbidden)
		return
	}
	if permit.Method() == methodCall || permit.Target() != "" {
		permit.SetOutcome(false) // until an answer says otherwise
	}
	in := &message{permit: permit, header: req.Header}
	do := r.backend.listen
	switch permit.Method() {
	case http.MethodGet:
	case http.MethodDelete:
		do = r.backend.forget
	default:
		do = r.backend.exchange
		var err error
		if in, err = readMessage(req, permit); err != nil {
			r.log.Error("a message that the guard let through cannot be read", "error", err)
			http.Error(w, "the message could not be read", http.StatusBadRequest)
			return
		}
		in.bindings = r.tools.bindings(in.tool)
	}
	ctx, cut := context.WithCancelCause(req.Context())
	defer cut(nil)
	go func() {
		if code := permit.Wait(ctx); code != "" {
			cut(ended(permit.CutOff(code)))
		}
	}()
	out := &answer{w: w, ctx: ctx, in: in}
	stop := context.AfterFunc(ctx, func() { out.deadline(lastWord) }) // a slow reader holds nothing up
	defer stop()
	err := do(ctx, in, out)
	if err == nil && !out.done {
		err = errAnswer
	}
	if err != nil {
		r.failed(ctx, out, err)
	}
}

// failed tells agent and operator that an exchange went wrong.
func (r *route) failed(ctx context.Context, out *answer, err error) {
	if out.open && out.in.Method == "" {
		return // a stream that answers nothing just ends
	}
	f, known := errors.AsType[*failure](context.Cause(ctx))
	if !known {
		if ctx.Err() != nil {
			return // the agent has left
		}
		if f, known = errors.AsType[*failure](err); !known {
			f = unavailable(err)
		}
	}
	if f.status == http.StatusBadGateway {
		r.log.Warn("the upstream gave no answer", "method", out.in.Method, "tool", out.in.tool, "error", f)
	}
	if f.retryAfter > 0 && !out.open {
		out.header().Set("Retry-After", strconv.Itoa(f.retryAfter))
	}
	if f.allow != "" {
		out.header().Set("Allow", f.allow)
	}
	out.fail(f.status, f.rpc)
}
