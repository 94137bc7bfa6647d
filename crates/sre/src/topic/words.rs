//! The topics and the marks by which each is told: beginnings of words in lower case, a whole word where
//! a blank follows. The more special stand before the more general, since a prompt says the first few.

/// A word of ours, and the marks of texts that touch it, with `|` between them.
type Topic = (&'static str, &'static str);

pub(super) const TOPICS: &[Topic] = &[
    // What a security layer refuses.
    ("certificate", "certif|cert |certs |x509|zertifikat|notafter|not after "),
    (
        "ended",
        "expir|abgelaufen|notafter|not after |validity|ran out on|ran out since|gültig bis|\
         endete am|that ended|lies in the past|outdated",
    ),
    (
        "clock",
        "clock|not yet valid|in the future|ntp|chrony|skew|iat |differs from local|\
         outside the allowed window|uhr|zukunft|time is before|ahead by|lies ahead",
    ),
    ("tls", "tls|ssl|mtls|handshake|secure channel|mutual auth|handschlag|aushandlung"),
    ("token", "token|jwt|claim|signature|credential|secret|password|session key"),
    ("denied", "unauthori|forbidden|denied|401 |403 |permission|not allowed|verweigert|eacces"),
    // What the network does.
    (
        "name lookup",
        "dns|resolv|lookup|no such host|nxdomain|servfail|name resolution|getaddrinfo|\
         eai again|auflös|namensauf|enotfound|unknown host|nameserver|cannot be translated",
    ),
    (
        "packets lost",
        "packet|no syn|syn ack|no route|unanswered|never opened|paket|handshake unanswered",
    ),
    ("policy", "policy|policies|default deny|ingress rule|traffic rule|isolation|firewall"),
    (
        "sidecar",
        "sidecar|envoy|istio|linkerd|mesh|inject|proxy|127 0 0 1|localhost|loopback|15001|\
         15006|relay",
    ),
    ("endpoints", "endpoint|upstream|balancer|nobody serves|no members|no healthy|backend"),
    (
        "refused",
        "refused|econnrefused|unreachable|does not listen|listens not|refuse |unerreichbar",
    ),
    ("connection", "connect|verbindung|dial|socket|accept|listener|econn"),
    // What runs out.
    (
        "open files",
        "descriptor|open file|emfile|enfile|errno 24|file table|deskriptor|offene datei",
    ),
    (
        "no space",
        "no space|enospc|errno 28|disk full|disk is full|bytes free|kein platz|datenträger|\
         volume of|is full|free under|disk pressure|ephemeral storage|byte mehr frei|\
         disk has",
    ),
    ("disk", "disk|volume|filesystem|storage|mount|platte|inode|pvc|persistentvolume"),
    ("collector", "gc |garbage|collection|collector|reclaim|bereinigung|aufräum|speicherber"),
    ("memory", "memory|heap|oom|speicher|cgroup|malloc|allocation|rss |old space"),
    ("killed", "kill|sigkill|137 |terminated|oom"),
    ("quota", "quota|kontingent"),
    ("pool", "pool|datasource|borrow|idle handle|idle entry|check out|checkout a"),
    ("cpu", "cpu|prozessor|cores"),
    ("throttled", "throttl|gedrosselt|cfs "),
    (
        "delayed",
        "event loop|lagged|late |stall|no run time|get to run|run time|heartbeat|drift|starv|\
         verspätet|zu spät|ereignisschleife|an die reihe|scheduler tick",
    ),
    (
        "maximum",
        "maximum|max |capped|more than the|ceiling|höchst|limit reached|at most|obergrenze",
    ),
    ("limit", "limit|request and limit|right sized|resources "),
    // What waits.
    ("lock", "lock|mutex|monitor |deadlock|sperre|exclusive|held by|contention|contended"),
    ("workers", "worker|thread|executor|arbeiter|goroutine|in flight"),
    (
        "overloaded",
        "overload|shed|in flight|turned away|503 |admission|too busy|capacity|überlast|\
         belegt|queue is full|executor full|no free |too much |occupied|kein arbeiter frei",
    ),
    ("rate limited", "429 |rate limit|over its rate|too many requests"),
    ("waiting", "wait|queue|blocked|parked|pending|wart|blockier|outstanding|behind holder"),
    (
        "messages",
        "topic|partition|consumer|backlog|offset|message|nachricht|verbraucher|broker|lag ",
    ),
    ("behind", "behind|lags|lag |stale|caught up|rückstand|zurück|oldest|älteste|replication"),
    (
        "leader",
        "leader|lease|election|primary|follower|stepping down|steps down|führung|anführer|\
         lock object|lead |leading|term |trete zurück|replica follows|quorum|wahl ",
    ),
    (
        "cache",
        "cache|hit rate|misses|recomput|rebuild|eviction of key|neuberechn|ladevorg|\
         vorgehalten|no entry|entry |eintrag|concurrent|gleichzeitig|in parallel|at once",
    ),
    // What was wrong from the start.
    (
        "setting",
        "config|setting|konfig|einstellung|env |malformed|cannot parse|values yaml|invalid|\
         profile|required key|parameter|startup check|not understood|flag |ungültig",
    ),
    (
        "defect",
        "undefined|null|nil |type error|panic|out of bounds|out of range|assert|unhandled|\
         unexpected field|traceback|segfault|segmentation|unerwartet|column|spalte|relation|\
         migration|schema|ausnahme|exception|cannot decode|must not be|index |key error|\
         nicht gesetzt|attribute error|syntax error|stack trace",
    ),
    ("missing", "not found|no such|does not exist|missing|existiert nicht|fehlt|absent|not known"),
    ("probe", "probe|readiness|liveness|health"),
    ("not served", "404 |not served|no route for|status code 404|statuscode 404"),
    ("image", "image|err image|pull|registry|manifest unknown|tag "),
    ("rollout", "rollout|rolled out|deploy|release|version|ausgerollt|revision"),
    ("scaling", "scal|replica|new size|hpa |count set|desired count|instances"),
    ("node", "node|knoten|kubelet"),
    ("unready", "not ready|unready|node lost|nicht bereit"),
    ("evicted", "evict|marking for deletion|taint|preempt|low on resource"),
    ("starting", "starting|started|boot |boot complete|listening on|serving on|gestartet|hello"),
    ("restarting", "restart|crash|back off restart|neustart"),
    // How calls end.
    (
        "retry",
        "retry|retries |retried |repeat|again|attempt|resend|resent|once more|backoff|\
         back off|wiederhol|erneut|try |nochmal|versuch",
    ),
    ("breaker", "circuit|breaker|fallback|fenced|skipping|ausweich"),
    ("outside", "external|partner|https|third party|egress|extern|outbound"),
    (
        "timeout",
        "timeout|timed out|time out|deadline|gave up|giving up|no answer|no reply|not answer|\
         etimedout|zeitüberschreitung|keine antwort|aufgegeben|hangs|frist",
    ),
    ("slow", "slow|latency|latenz|took|langsam|dauert|p99|p95|finished in|missed|exceeded"),
    ("write", "write|append|flush|saving|save |commit|persist|schreib|read only|batch"),
    ("errors", "error|fail|fehler|unsuccessful|500 |502 |misslungen|fehlgeschlagen|abgebrochen"),
    ("traffic", "traffic|requests per|rps |surge|request rate"),
    ("client", "client|caller|peer|broken pipe|gegenstelle|hung up"),
    // Business as usual.
    ("job", "job|cron|nightly|scheduled task|compaction"),
    ("renewed", "renew|rotat|refresh|reload|on schedule|snapshot"),
    ("labels", "label|annotation|metadata|owner|dashboard|panel|threshold"),
    ("deprecated", "deprecat|legacy|will be removed"),
];
