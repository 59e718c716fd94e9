package server

import "github.com/remit-auth/remit/store"

// textGermanKill is the German of console_words_kill.go, by the English.
var textGermanKill = map[string]string{
	textKill:         "Notaus",
	textKillNote:     "Was hier angehalten ist, wird abgelehnt, bis der Schalter zurückgenommen wird oder seine Zeit um ist. Nichts endet: Danach geht es von selbst weiter.",
	textNoKills:      "Nichts ist angehalten, und nichts war es je.",
	textStop:         "Stoppen",
	textForHowLong:   "Wie lange",
	textUntilLifted:  "Bis er zurückgenommen wird",
	textSubject:      "Aufgabe, client_id, Domain, Person oder Dienst",
	textToolOnly:     "Werkzeug bei diesem Dienst",
	textKillTitle:    "Stoppen: %s?",
	textKillNow:      "Ab jetzt wird es abgelehnt, auf jedem Server und von jedem Guard. Sie können es sofort zurücknehmen.",
	textKillTwo:      "Es wird abgelehnt, sobald eine zweite Person mit Adminrolle es innerhalb von 15 Minuten bestätigt.",
	textWouldStop:    "Diese Aufgaben stoppen",
	textNoTaskStops:  "Keine Aufgabe stoppt; keine kann dort beginnen.",
	textRetypeStop:   "%d Aufgaben würden jetzt stoppen. Gehen Sie zurück, laden Sie die Seite neu und geben Sie ein, wie viele.",
	textWhereStopped: "Wo es wirksam ist",
	textNotYet:       "noch nicht",
	textConfirmedBy:  "Bestätigt von",
	textConfirm:      "Bestätigen",
	textConfirmNote:  "Jemand anderes mit Adminrolle will alles stoppen. Mit Ihrem Wort wird ab jetzt abgelehnt.",
	textLift:         "Zurücknehmen",
	textLiftNote:     "Was er hielt, geht sofort weiter, wenn seine eigene Zeit nicht um ist.",

	textKillDots:     "Notaus…",
	textRunningTasks: "laufende Aufgaben",
	textCallsHour:    "Aufrufe, letzte Stunde",
	textBlockedHour:  "abgelehnte Aufrufe, letzte Stunde",
	textSlowest:      "vom Ende bis zum letzten Dienst, der ablehnt (p99 der neuesten 60)",
	textCallsChart:   "Aufrufe je Minute, letzte 60 Minuten",
	textCallsNote:    "Der rote Teil eines Balkens wurde abgelehnt; die neueste Minute ist rechts.",
	textNoCallsHour:  "In der letzten Stunde gab es keinen Aufruf.",
	textEndsChart:    "Wie lange Enden brauchten",
	textEndsNote:     "Vom Ende bis zum letzten Guard, der sagt, dass es wirksam ist; das neueste von 60 ist rechts.",
	"Minute":         "Uhrzeit", "Blocked": "Abgelehnt", "Took": "Dauer",

	textWhoCan:        "Wer bei %s was aufrufen kann",
	textSeeAccess:     "Wer was aufrufen kann",
	textMatrixUsers:   "Personen, und Clients, die für sich selbst handeln",
	textMatrixRoles:   "Rollen",
	textMatrixNote:    "Nach der Richtlinie und dem, was freigegeben ist. Einwilligung, Aufgabe und Grenzen werden außerdem geprüft.",
	textNobodyThere:   "Niemand hat hier eine Rolle.",
	textWouldIt:       "Würde dieser Aufruf erlaubt?",
	textWouldItNote:   "Schritt für Schritt geprüft, wie Server und Guard es täten. Nichts wird gefragt, ausgestellt oder verbraucht.",
	textArgumentsJSON: "Argumente als JSON (darf leer sein)",
	textWouldAllow:    "Er würde erlaubt.",
	textWouldRefuse:   "Er würde abgelehnt: %s",

	textLevels[store.LevelTask]: "Eine Aufgabe", textLevels[store.LevelClient]: "Ein Agent", textLevels[store.LevelDomain]: "Eine Domain von Agenten",
	textLevels[store.LevelUser]: "Eine Person", textLevels[store.LevelTool]: "Ein Werkzeug", textLevels[store.LevelResource]: "Ein Dienst", textLevels[store.LevelEverything]: "Alles",
	textSwitchStates[store.SwitchWaiting]: "Wartet auf eine zweite Person", textSwitchStates[store.SwitchThrown]: "Wirksam",
	textSwitchStates[store.SwitchLifted]: "Zurückgenommen", textSwitchStates[store.SwitchVoid]: "Nie wirksam gewesen",

	"Stops": "Stoppt", "Until": "Bis", "By": "Von", "Who": "Wer", "Yes": "Ja", "No": "Nein", "Check": "Prüfung", "Reason": "Grund", "passed": "bestanden", "refused": "abgelehnt",

	textRecords["switch.thrown"]: "Ein Notaus wurde ausgelöst", textRecords["switch.lifted"]: "Ein Notaus wurde zurückgenommen",

	textBy[store.BySwitch]: "einen Notaus", textSuspended[store.BySwitch]: "Vom Betreiber vorerst gestoppt",
	textLeftOut["switched"]: "vom Betreiber vorerst gestoppt", textBlocked["switched_off"]: "der Betreiber hat es vorerst gestoppt",
}
