package server

import "maps"

// textGermanTold is the German of what is told of tasks, calls and tools, by the English.
var textGermanTold = map[string]string{
	// Why a tool is not offered.
	"your roles at this server do not include it":                                               "Ihre Rollen bei diesem Dienst umfassen es nicht",
	"the server allows it only to apps that are known better, or whose token is bound to a key": "der Dienst erlaubt es nur Apps, die besser bekannt sind oder deren Token an einen Schlüssel gebunden ist",
	"it is outside the scopes that were asked for":                                              "es liegt außerhalb der Bereiche, um die gebeten wurde",
	"it is new on the server and your admin has not approved it yet":                            "es ist beim Dienst neu, und Ihre Administration hat es noch nicht genehmigt",
	"it changed on the server since your admin approved it":                                     "es hat sich beim Dienst geändert, seit Ihre Administration es genehmigt hat",
	"this app's token is bound to no key, and the server gives such tokens less":                "das Token dieser App ist an keinen Schlüssel gebunden, und der Dienst gibt solchen Token weniger",
	"its description at this server cannot be read":                                             "die Beschreibung, die hier davon vorliegt, ist nicht lesbar",

	// States, and how tasks end.
	"Starting": "Beginnt", "Running": "Läuft", "Paused": "Angehalten", "Finished by the agent": "Vom Agenten abgeschlossen",
	"Time or budget ran out": "Zeit oder Kontingent aufgebraucht",
	"Paused by you":          "Von Ihnen angehalten", "Paused by your admin": "Von Ihrer Administration angehalten",
	"Paused by a safety rule": "Von einer Sicherheitsregel angehalten", "Paused by the agent": "Vom Agenten angehalten",
	"Asleep until the agent goes on": "Ruht, bis der Agent weitermacht",
	"Ended by you":                   "Von Ihnen beendet", "Time ran out": "Zeit abgelaufen", "Its calls were used up": "Aufrufe aufgebraucht",
	"Never started": "Nie begonnen", "Ended by the agent": "Vom Agenten beendet",
	"Ended for safety: its credentials were used twice":  "Zur Sicherheit beendet: Die Zugangsdaten wurden zweimal benutzt",
	"Ended for safety: its code was used twice":          "Zur Sicherheit beendet: Der Code wurde zweimal benutzt",
	"Ended by your admin":                                "Von Ihrer Administration beendet",
	"Ended by your admin: the app was disabled":          "Von Ihrer Administration beendet: Die App wurde gesperrt",
	"Ended by your admin: the server was switched off":   "Von Ihrer Administration beendet: Der Dienst wurde abgeschaltet",
	"somebody used a copy of its token with another key": "jemand hat eine Kopie des Tokens mit einem anderen Schlüssel benutzt",
	"one of its requests was sent a second time":         "eine Anfrage wurde ein zweites Mal geschickt",
	"ten of its calls were refused within a minute":      "zehn Aufrufe wurden innerhalb einer Minute abgelehnt",

	// Why calls were blocked.
	"it came without a token": "er kam ohne Token", "its token is not valid": "das Token ist nicht gültig",
	"its token is for another server": "das Token gilt für einen anderen Dienst", "its token had expired": "das Token war abgelaufen",
	"its token is bound to no key, and the server wants one":                    "das Token ist an keinen Schlüssel gebunden, und der Dienst verlangt einen",
	"a copy of the token was used with another key":                             "eine Kopie des Tokens wurde mit einem anderen Schlüssel benutzt",
	"the caller did not prove that it holds the agent’s key":                    "es fehlte der Nachweis, dass der Schlüssel des Agenten im Spiel ist",
	"it was a copy of an earlier request":                                       "er war die Kopie einer früheren Anfrage",
	"the server asked for a fresh proof first":                                  "der Dienst wollte zuerst einen frischen Nachweis",
	"the server could not tell whether the task still runs":                     "der Dienst konnte nicht feststellen, ob die Aufgabe noch läuft",
	"the task had ended":                                                        "die Aufgabe war beendet",
	"the task was paused":                                                       "die Aufgabe war angehalten",
	"its token had been revoked":                                                "das Token war widerrufen",
	"the request was not in order":                                              "die Anfrage war nicht in Ordnung",
	"it put several calls into one message":                                     "mehrere Aufrufe steckten in einer Nachricht",
	"the server has no such tool":                                               "der Dienst hat kein solches Werkzeug",
	"the tool has changed since you allowed it":                                 "das Werkzeug hat sich geändert, seit Sie es erlaubt haben",
	"it is outside what you allowed":                                            "er liegt außerhalb dessen, was Sie erlaubt haben",
	"your own roles at the server do not include it":                            "Ihre eigenen Rollen bei diesem Dienst umfassen es nicht",
	"you did not allow this tool":                                               "Sie haben dieses Werkzeug nicht erlaubt",
	"it went beyond the limits that you allowed":                                "er ging über die Grenzen hinaus, die Sie erlaubt haben",
	"the server does not allow it at this time, from this place or to this app": "der Dienst erlaubt es nicht um diese Zeit, von diesem Ort oder dieser App",
	"it is nothing that the server lets be read":                                "der Dienst gibt das nicht zum Lesen frei",
	"the calls of this tool are used up":                                        "die Aufrufe dieses Werkzeugs sind aufgebraucht",
	"the calls of this task are used up":                                        "die Aufrufe dieser Aufgabe sind aufgebraucht",
	"the server could not read what you had allowed":                            "der Dienst konnte nicht lesen, was Sie erlaubt haben",
	"the server could not tell whether it was a copy of an earlier request":     "der Dienst konnte nicht feststellen, ob es die Kopie einer früheren Anfrage war",
	"its calls could not be counted":                                            "die Aufrufe ließen sich nicht zählen",
	"it could not be logged":                                                    "er ließ sich nicht aufzeichnen",
	"each call of this tool needs your yes":                                     "jeder Aufruf dieses Werkzeugs braucht Ihr Ja",
	"you did not allow this call":                                               "Sie haben diesen Aufruf nicht erlaubt",
	"you were being asked about too many calls already":                         "Sie wurden schon wegen zu vieler Aufrufe gefragt",
	"it was too long for you to approve":                                        "er war zu lang, um ihn Ihnen vorzulegen",
	"you could not be asked about it":                                           "Sie konnten nicht gefragt werden",

	// The console's, where the user's own words would mislead.
	"the tool has changed since the user allowed it":      "das Werkzeug hat sich geändert, seit es erlaubt wurde",
	"the user’s roles at the server do not include it":    "die Rollen der Person bei diesem Dienst umfassen es nicht",
	"the user did not allow this tool":                    "dieses Werkzeug wurde nicht erlaubt",
	"it went beyond the limits that the user allowed":     "er ging über die erlaubten Grenzen hinaus",
	"a condition of the server's policy did not hold":     "eine Bedingung in den Regeln des Dienstes war nicht erfüllt",
	"it is nothing that the server's policy lets be read": "die Regeln des Dienstes geben das nicht zum Lesen frei",
	"each call of this tool needs the user’s yes":         "jeder Aufruf dieses Werkzeugs braucht ein Ja der Person",
}

// merged is all of these in one.
func merged(all ...map[string]string) map[string]string {
	one := map[string]string{}
	for _, m := range all {
		maps.Copy(one, m)
	}
	return one
}
