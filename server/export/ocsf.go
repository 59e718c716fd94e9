package export

import "strings"

// ocsfVersion is the version of the schema (Open Cybersecurity Schema Framework) that events are of.
const ocsfVersion = "1.7.0"

// The classes of events: calls of tools, what was allowed, and accounts. All else is a base event, so
// that an export holds every record.
const (
	classBase          = 0
	classAccountChange = 3001
	classAuthorize     = 3003
	classAPI           = 6003
)

const activityOther = 99

// event is an OCSF event. Members that its class requires are always there.
type event struct {
	ActivityID   int       `json:"activity_id"`
	ActivityName string    `json:"activity_name"`
	CategoryUID  int       `json:"category_uid"`
	ClassUID     int       `json:"class_uid"`
	TypeUID      int       `json:"type_uid"`
	SeverityID   int       `json:"severity_id"`
	Time         int64     `json:"time"` // milliseconds since 1970
	Metadata     metadata  `json:"metadata"`
	StatusID     int       `json:"status_id,omitempty"`
	StatusDetail string    `json:"status_detail,omitempty"`
	Actor        *actor    `json:"actor,omitempty"`
	User         *entity   `json:"user,omitempty"`
	API          *api      `json:"api,omitempty"`
	SrcEndpoint  *entity   `json:"src_endpoint,omitempty"`
	Duration     int64     `json:"duration,omitempty"` // milliseconds
	Unmapped     *unmapped `json:"unmapped,omitempty"`
}

type metadata struct {
	Version        string  `json:"version"`
	Product        product `json:"product"`
	UID            string  `json:"uid"`
	Sequence       int64   `json:"sequence"`
	EventCode      string  `json:"event_code"`
	CorrelationUID string  `json:"correlation_uid,omitempty"`
}

type product struct {
	Name       string `json:"name"`
	VendorName string `json:"vendor_name"`
}

type entity struct {
	UID string `json:"uid"`
}

type actor struct {
	User   *entity `json:"user,omitempty"`
	AppUID string  `json:"app_uid,omitempty"`
}

type api struct {
	Operation string  `json:"operation"`
	Service   *entity `json:"service,omitempty"`
}

// unmapped is what no attribute of the schema says.
type unmapped struct {
	Agent     string `json:"agent,omitempty"` // thumbprint of its key
	Resource  string `json:"resource,omitempty"`
	JTI       string `json:"jti,omitempty"`
	Execution string `json:"execution,omitempty"`
	Request   string `json:"request,omitempty"` // to this server
	said
}

func eventOf(r Row) event {
	class, activity, name := classOf(r.Kind)
	e := event{
		ActivityID: activity, ActivityName: name, CategoryUID: class / 1000, ClassUID: class, TypeUID: class*100 + activity, SeverityID: 1, Time: r.At.UnixMilli(),
		Metadata: metadata{ocsfVersion, product{"Remit", "Remit"}, r.Hash, r.Seq, r.Kind, r.Task}, StatusDetail: r.Reason,
		Unmapped: &unmapped{r.Agent, r.Resource, r.JTI, r.Execution, r.Request, r.said}, Duration: r.DurationUS / 1000,
	}
	if r.Kind == "rule.fired" || strings.HasPrefix(r.Kind, "finding.") {
		e.SeverityID = 3 // medium
	}
	switch class {
	case classAPI:
		e.Actor = &actor{AppUID: r.Client}
		if r.User != "" {
			e.Actor.User = &entity{r.User}
		}
		e.API = &api{Operation: first(r.Tool, r.Method, "unknown")}
		if r.Resource != "" {
			e.API.Service = &entity{r.Resource}
		}
		e.SrcEndpoint, e.StatusID = &entity{first(r.Agent, r.Client, "unknown")}, statusOf(r)
	case classAuthorize, classAccountChange:
		e.User = &entity{first(r.User, r.Client, "unknown")}
		if doer := first(r.Person, r.By); doer != "" {
			e.Actor = &actor{User: &entity{doer}}
		}
		if e.StatusID = 1; r.Kind == "consent.denied" {
			e.StatusID = 2
		}
	}
	return e
}

// classOf maps kinds of records to classes and their activities.
func classOf(kind string) (class, activity int, name string) {
	switch kind {
	case "consent.allowed", "task.created", "task.widened", "task.delegated", "task.lent_by_assertion", "task.lent_to_client":
		return classAuthorize, 1, "Assign Privileges"
	case "user.added":
		return classAccountChange, 1, "Create"
	case "user.enabled":
		return classAccountChange, 2, "Enable"
	case "password.changed":
		return classAccountChange, 3, "Password Change"
	case "user.disabled":
		return classAccountChange, 5, "Disable"
	}
	group, _, _ := strings.Cut(kind, ".")
	switch group {
	case "execution":
		return classAPI, activityOther, kind
	case "consent", "token":
		return classAuthorize, activityOther, kind
	case "user", "passkey", "factor", "identity":
		return classAccountChange, activityOther, kind
	}
	return classBase, activityOther, kind
}

// statusOf is 1 for what was allowed or went well, 2 for what was refused or failed, 0 when unknown.
func statusOf(r Row) int {
	switch {
	case r.Decision == "refused", r.Outcome == "error":
		return 2
	case r.Decision == "allowed", r.Outcome == "ok":
		return 1
	}
	return 0
}

func first(words ...string) string {
	for _, word := range words {
		if word != "" {
			return word
		}
	}
	return ""
}
