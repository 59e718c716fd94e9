package web

import (
	"context"
	"strconv"
)

// action is where the forms of the agents page post to.
func (a Agents) action() string {
	if a.Action != "" {
		return a.Action
	}
	return "/agents"
}

// noticeTone is the tone of the notice.
func (a Agents) noticeTone() string {
	if a.NoticeTone == "" {
		return ToneOK
	}
	return a.NoticeTone
}

// initial is the letter on the task's tile.
func (t TaskRow) initial() string {
	for _, r := range plain(t.Client, maxName) {
		return string(r)
	}
	return ""
}

// chips are what is to be known of a task at a glance.
func (t TaskRow) chips(ctx context.Context) []Chip {
	all := []Chip{{Text: t.State, Tone: t.StateTone, Icon: stateIcon(t)}}
	if t.Offline {
		all = append(all, Chip{Text: say(ctx).Narrow.Offline, Tone: ToneInfo, Icon: "info"})
	}
	if t.Twins != "" {
		all = append(all, Chip{Text: t.Twins, Tone: ToneWarn, Icon: "alert"})
	}
	if t.Unbound {
		all = append(all, Chip{Text: say(ctx).NotKeyBound, Tone: ToneWarn, Icon: "alert"})
	}
	if t.Reached != "" {
		all = append(all, Chip{Text: t.Reached, Tone: t.ReachedTone, Icon: toneIcon(t.ReachedTone)})
	}
	return all
}

// stateIcon is the mark beside the state of a task that has not ended.
func stateIcon(t TaskRow) string {
	if t.CanResume {
		return "pause"
	}
	return toneIcon(t.StateTone)
}

// callsText counts the calls of a finished task.
func callsText(ctx context.Context, t TaskRow) string {
	text := strconv.Itoa(t.Calls)
	if t.Blocked > 0 {
		text = fill(say(ctx).CallsBlocked, text, strconv.Itoa(t.Blocked))
	}
	if t.Missing > 0 {
		text += ", " + fill(say(ctx).MissingCalls, strconv.Itoa(t.Missing))
	}
	return text
}
