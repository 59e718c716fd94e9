package web

// toneOf is the class of a tone; a tone that is not ours becomes ToneInfo, so that nothing a view
// carries can name another class.
func toneOf(tone string) string {
	switch tone {
	case ToneOK, ToneWarn, ToneBad:
		return tone
	}
	return ToneInfo
}

// toneIcon is the mark that says the same as the tone's colour.
func toneIcon(tone string) string {
	switch tone {
	case ToneOK:
		return "check"
	case ToneWarn:
		return "alert"
	case ToneBad:
		return "cross"
	}
	return "info"
}
