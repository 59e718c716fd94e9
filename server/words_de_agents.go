package server

var textGermanRemembered = map[string]string{
	textRememberedSince: "Das haben Sie am %s gewählt; es gilt weiter bis %s.",
	textRememberedNot:   "Sie hatten hier eine Entscheidung merken lassen, aber sie passt nicht mehr: Die Werkzeuge, ihre Regeln, Ihre Rollen, die App oder die Anfrage sind nicht mehr, was sie waren. Bitte wählen Sie neu.",
	textRememberedNever: "noch nicht benutzt",
	textRememberedUsed:  "%d-mal benutzt, zuletzt %s",
	textRememberedOnce:  "einmal benutzt, %s",
	textForgotten:       "Vergessen. Ab jetzt werden Sie wieder gefragt; eine laufende Aufgabe geht weiter, bis sie endet oder Sie sie beenden.",
	textNoSuchChoice:    "Diese gemerkte Entscheidung gibt es nicht.",
}

var textGermanNarrow = map[string]string{
	textTwins:            "Hat sich %d-mal selbst angemeldet",
	textNarrowed:         "Erledigt. Die Aufgabe darf ab jetzt weniger; was ihr Agent für mehr in der Hand hatte, ist bei jedem Dienst wertlos.",
	textLeftOut["spent"]: "diese Aufgabe hat es schon so oft aufgerufen, wie sie höchstens darf",
	textHasItAlready:     "Der Agent darf dieses Werkzeug schon benutzen, soweit Sie es erlauben können. Sein Aufruf wurde wegen etwas anderem abgelehnt, etwa wegen seiner Angaben, oder bevor Sie es erlaubt haben.",
	textWidened:          "Erledigt. Der Agent darf das Werkzeug benutzen, sobald er sein nächstes Token holt.",
	textTaskChanged:      "Die Aufgabe hat sich geändert, seit diese Seite entstand. Bitte sehen Sie noch einmal hin.",
	textNothingToChange:  "An dieser Aufgabe lässt sich nichts mehr ändern.",
	textIn:               "in %s",
	textAsItIs:           "wie bisher: um %s",
	"This is more than one task can hold. Go back and write fewer limits.": "Das ist mehr, als eine Aufgabe fassen kann. Gehen Sie zurück und schreiben Sie weniger Grenzen.",
}
