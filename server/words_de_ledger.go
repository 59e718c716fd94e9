package server

// textGermanLedger is the German of what the console says of the ledger, by the English.
var textGermanLedger = map[string]string{
	textBlockDots:     "Agent sperren…",
	textBlockAgent:    "Diesen Agenten sperren",
	textBlockAgents:   "Diese %d Agenten sperren",
	textBlockNote:     "Für jeden Agenten wird ein Notschalter umgelegt: Alle seine Aufgaben ruhen, von wem auch immer, und keine kann beginnen. Nichts endet: Es geht weiter, wenn der Schalter zurückgelegt oder seine Zeit um ist.",
	textReconsentDots: "Neu fragen lassen…",
	textReconsent:     "Neu fragen lassen",
	textReconsentNote: "Alles, was diese Personen diesen Agenten vergeben haben, endet, und was sie weiterlaufen ließen, ist vergessen: Die nächste Anfrage fragt sie neu. Den Grund lesen sie auf der Seite der eigenen Agenten.",
	textLentNow:       "laufende Aufgaben: %d, Entscheidungen, die weitergelten: %d",
	"Asked anew":      "Neu gefragt",

	"The user is to be asked anew": "Die Person soll neu gefragt werden",

	textNoProblem:         "Kein Problem…",
	textDismiss:           "Kein Problem",
	textDismissTitle:      "Ist dieser Befund kein Problem?",
	textDismissNote:       "Er verlässt die Liste der Befunde; das Protokoll behält ihn und wer ihn warum verworfen hat. Was eine Regel angehalten hat, bleibt angehalten.",
	textFinding:           "Befund",
	textOpenFindings:      "Offene Befunde",
	textDismissedFindings: "Verworfene Befunde",
	textDismissedBy:       "Kein Problem, sagt %s, %s",

	"A finding was dismissed": "Ein Befund wurde verworfen",
	"Time":                    "Zeit",

	textStolenKey:    "Wurde einer gestohlen, wählen Sie ihn, um ihn unbrauchbar zu machen.",
	textKillKey:      "Diesen Schlüssel unbrauchbar machen",
	textKillKeyTitle: "Diesen Schlüssel unbrauchbar machen?",
	textKillKeyNote:  "Nur für einen gestohlenen Schlüssel. Was er unterschrieben hat, gilt ab jetzt nicht mehr: hier sofort, bei jedem Guard binnen einer Minute. Agenten bekommen für laufende Aufgaben neue Token; ein neuer Schlüssel unterschreibt, und das Protokoll wird neu besiegelt.",
	textNoWayBack:    "Das lässt sich nicht rückgängig machen",
	textRunningNow:   "Laufende Aufgaben",
	textSignInToKill: "Melden Sie sich noch einmal an, um einen Schlüssel unbrauchbar zu machen: Das geht nur binnen fünf Minuten nach der Anmeldung.",
	textRetypeKey:    "Der Schlüssel ist, wie er war. Gehen Sie zurück und geben Sie %s ein.",

	textLedger:       "Protokoll",
	textRecordsTitle: "Einträge, neueste zuerst",
	textNoRecords:    "Solche Einträge gibt es nicht.",
	textLookedAt:     "Von den Einträgen, die dieser Filter über einen Index findet, wurden für diese Seite %d angesehen; ältere folgen.",
	textKindOf:       "Art, etwa task.ended",
	textSize:         "Einträge",
	textHead:         "Kopf der Kette",
	textSealed:       "Besiegelt",
	textSealedOf:     "die ersten %d Einträge",
	textLastSealed:   "Zuletzt besiegelt %s UTC",
	textNotSealed:    "Noch nicht besiegelt",
	textAltered:      "Das Protokoll passt nicht zu seinem neuesten Siegel: Es wurde verändert",
	textVerify:       "Prüfen",
	textVerifyNote:   "Hier wird das neueste Siegel mit der Kette verglichen. Der Befehl unten prüft jeden Eintrag, ohne diesem Server zu trauen.",
	textExportNote:   "Ausgeben, was der Filter findet, höchstens die neuesten %d Zeilen, ohne Werte von Argumenten:",
	textExportsMany:  "Das waren viele Ausgaben. Warten Sie etwas und versuchen Sie es wieder.",
}
