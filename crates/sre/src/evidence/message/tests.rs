use super::*;

#[test]
fn frames_of_loggers_go_and_messages_stay() {
    for (line, expected) in [
        (r#"{"severity":"ERROR","body":"no space","trace_id":"7f"}"#, "no space"),
        (r#"{"level":"error","msg":"write failed","err":"disk full"}"#, "write failed: disk full"),
        (r#"level=warn ts=12:00 msg="a \"b\" c" err=EOF"#, r#"a "b" c: EOF"#),
        ("level=info msg=started port=80", "started"),
        ("E0312 10:02:11.123456 1 server.go:12] no route to host", "no route to host"),
        ("10:31:07.240 ERROR [exec-31] c.e.app.Handler : call failed", "call failed"),
        ("2026-03-01T10:02:11Z WARN call failed", "call failed"),
        ("2026-03-01 10:02:11,123 [main] ERROR org.app.Main - call failed", "call failed"),
        ("<11>1 app[77]: call failed", "call failed"),
        ("[FEHLER] kein Platz", "kein Platz"),
        // What has no frame stays, numbers and names at its front included.
        ("503 from cart", "503 from cart"),
        ("lookup cart.default.svc: no such host", "lookup cart.default.svc: no such host"),
        ("10.2.3.4:8080 refused", "10.2.3.4:8080 refused"),
        ("errors rise", "errors rise"),
        ("{broken", "{broken"),
        (r#"{"a":1}"#, r#"{"a":1}"#),
        ("ERROR", "ERROR"),
        ("", ""),
        ("msg=\"", "msg=\""),
    ] {
        assert_eq!(essence(line), expected, "{line}");
    }
}
