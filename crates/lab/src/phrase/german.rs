//! Log lines in German, of the shop that writes its own.

use super::{Phrase, Words};

pub(super) const WORDS: &[Words] = &[
    (
        Phrase::AcceptFailed,
        &["Annahme neuer Verbindung misslungen, Pause {ms} ms"],
        &["Listener nimmt nichts an, warte {ms} ms"],
    ),
    (
        Phrase::AllBusy,
        &["Anfrage abgewiesen, alle {n} Arbeiter belegt", "Überlast: {n} Anfragen in Arbeit"],
        &["kein Arbeiter frei ({n} warten), Antwort 503"],
    ),
    (
        Phrase::CertificateEnded,
        &[
            "Zertifikat von {callee} ist abgelaufen seit {date}",
            "TLS zu {callee} abgelehnt: gültig bis {date}",
        ],
        &["Gegenstelle {callee}: Zertifikat endete am {date}"],
    ),
    (
        Phrase::CollectorBusy,
        &[
            "Speicherbereinigung dauerte {ms} ms und brachte wenig",
            "Heap nach Bereinigung noch zu {n} % belegt",
        ],
        &["Aufräumen des Speichers: {ms} ms, kaum etwas frei"],
    ),
    (
        Phrase::ConsumerBehind,
        &["Verbraucher liegt {n} Nachrichten zurück", "älteste Nachricht wartet {n} s"],
        &["Rückstand auf {key}: {n} Nachrichten"],
    ),
    (
        Phrase::Defect,
        &[
            "Ausnahme in {path}: Feld {key} ist null",
            "unerwarteter Zustand in {path}: {key}",
            "Spalte {key} existiert nicht",
        ],
        &["Fehler beim Aufbau von {key}: Index zu groß", "{path} abgebrochen, {key} nicht gesetzt"],
    ),
    (
        Phrase::HandshakeFailed,
        &["TLS-Handschlag vom Client abgebrochen"],
        &["Gegenstelle beendet Aushandlung vorzeitig"],
    ),
    (
        Phrase::LeadershipLost,
        &["Führung verloren, trete zurück"],
        &["Sperre nicht rechtzeitig erneuert, folge nun"],
    ),
    (
        Phrase::LoadsAtOnce,
        &[
            "{n} gleichzeitige Ladevorgänge für {key}",
            "Eintrag {key} fehlt, {n} Anfragen bauen ihn neu",
        ],
        &["{key} nicht mehr vorgehalten, {n} Neuberechnungen"],
    ),
    (
        Phrase::LockWaited,
        &["{ms} ms auf Sperre {key} gewartet", "{n} Threads warten hinter Inhaber von {key}"],
        &["Zugriff auf {key} blockiert seit {ms} ms"],
    ),
    (
        Phrase::LoopDelayed,
        &["Ereignisschleife {ms} ms verspätet", "Takt kam {ms} ms zu spät"],
        &["Prozess kam {ms} ms nicht an die Reihe"],
    ),
    (
        Phrase::NoSpace,
        &[
            "Schreiben nach {path}: kein Platz auf dem Datenträger",
            "Datei {path} kann nicht wachsen, Datenträger voll",
        ],
        &["{path}: kein Byte mehr frei"],
    ),
    (
        Phrase::NotValidYet,
        &["Token abgelehnt: {n} s in der Zukunft ausgestellt"],
        &["Zeitstempel weicht {n} s ab"],
    ),
    (
        Phrase::OutsideSlow,
        &["{host} antwortete nicht in {ms} ms", "Aufruf von {host} dauerte {ms} ms"],
        &["warte seit {ms} ms auf {host}"],
    ),
    (
        Phrase::PoolTimeout,
        &["keine freie Verbindung nach {ms} ms", "Verbindungsvorrat leer, {n} vergeben"],
        &["Ausleihe nach {ms} ms gescheitert, {n} in Benutzung"],
    ),
    (
        Phrase::ProbePathUnknown,
        &["GET {path} 404 (kube-probe)"],
        &["kube-probe fragt {path}, gibt es nicht"],
    ),
    (
        Phrase::ProxyRefused,
        &["Verbindung zu 127.0.0.1:15001 verweigert"],
        &["lokaler Vermittler 15006 nicht da"],
    ),
    (
        Phrase::SettingHostUnknown,
        &["{setting}: Rechner {key}.internal unbekannt"],
        &["Adresse aus {setting} nicht auffindbar"],
    ),
    (
        Phrase::SettingWrong,
        &["{setting}: Wert nicht lesbar", "Pflichtangabe {setting} fehlt"],
        &["{setting} ist leer oder fehlerhaft"],
    ),
    (
        Phrase::SlowRequest,
        &["{path} dauerte {ms} ms", "langsame Anfrage {path}: {ms} ms"],
        &["{path} fertig nach {ms} ms"],
    ),
    (Phrase::Starting, &["Dienst gestartet nach {ms} ms"], &["bereit, Anlauf {ms} ms"]),
    (
        Phrase::TooManyFiles,
        &["{path} nicht zu öffnen: zu viele offene Dateien", "Socket nicht anlegbar, Tabelle voll"],
        &["Dateigrenze des Prozesses erreicht bei {path}"],
    ),
    (Phrase::WriteFailed, &["Stapel {n} nicht gespeichert"], &["Sichern von {key} misslungen"]),
    (
        Phrase::AttemptAgain,
        &["erneuter Versuch {n} bei {callee}", "{callee} gescheitert, wiederhole sofort"],
        &["Wiederholung {n} an {callee}"],
    ),
    (Phrase::BreakerOpen, &["{callee} wird für 30 s übersprungen"], &["Ersatzwert statt {callee}"]),
    (
        Phrase::CallFailed,
        &["Aufruf von {callee} gescheitert: 503", "{callee} meldet 500 bei {path}"],
        &["Fehlerantwort von {callee}"],
    ),
    (
        Phrase::CallTimeout,
        &["keine Antwort von {callee} in {ms} ms", "Zeitgrenze bei {callee} überschritten"],
        &["{callee} zu langsam, nach {ms} ms aufgegeben"],
    ),
    (
        Phrase::ConnectTimeout,
        &[
            "Verbindungsaufbau zu {callee} läuft ins Leere",
            "{callee}:8080 nicht erreichbar, Zeit abgelaufen",
        ],
        &["kein Weg zu {callee}"],
    ),
    (
        Phrase::LookupFailed,
        &["Name {key} nicht auflösbar", "Namensauflösung für {key} vorübergehend gestört"],
        &["Resolver kennt {key} nicht, SERVFAIL"],
    ),
    (Phrase::NoEndpoints, &["{callee} hat keine Endpunkte"], &["niemand bedient {callee}"]),
    (Phrase::NoLeader, &["{callee} hat keinen Anführer"], &["{callee}: Wahl läuft"]),
    (
        Phrase::StaleResult,
        &["Ergebnis von {callee} ist {n} s alt"],
        &["{callee} hängt {n} s hinterher"],
    ),
    (
        Phrase::ClientGone,
        &["Client hat vor der Antwort aufgelegt"],
        &["Aufrufer weg vor Ende von {path}"],
    ),
    (Phrase::Deprecated, &["{path} ist veraltet"], &["alter Pfad {path} in Benutzung"]),
    (Phrase::JobDone, &["Nachtlauf {key} fertig, {n} Zeilen"], &["Aufgabe {key} beendet"]),
    (Phrase::SlowStatement, &["Abfrage auf {key} dauerte {ms} ms"], &["Lesen aus {key}: {ms} ms"]),
];
