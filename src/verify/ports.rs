//! Whether something listens on a port, by the kernel's tables of sockets.

use super::CheckResult;
use crate::recipe::Protocol;

/// Sockets of the protocol, as the kernel lists them (proc_net_tcp(5)).
pub(super) fn question(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "cat /proc/net/tcp /proc/net/tcp6 2>/dev/null; true",
        Protocol::Udp => "cat /proc/net/udp /proc/net/udp6 2>/dev/null; true",
    }
}

/// Judge the lines that [`question`] leads to.
pub(super) fn judge(name: &str, lines: &[String], (port, protocol): (u16, Protocol), wanted: bool) -> CheckResult {
    let word = match protocol {
        Protocol::Tcp => "port",
        Protocol::Udp => "UDP port",
    };
    let Some(found) = listens(lines, port, protocol) else {
        return CheckResult::could_not_run(name, "the kernel did not list its sockets");
    };
    let detail = format!("{} listens on {word} {port}", if found { "something" } else { "nothing" });
    if found == wanted { CheckResult::passed(name, detail) } else { CheckResult::failed(name, detail) }
}

/// The words of a line are its number, the local and the remote address as `HEX:PORT`, and the state (proc_net_tcp(5)): 0A is LISTEN. A UDP
/// socket that accepts packets from any sender has no remote address and is 07, CLOSE (include/net/tcp_states.h). Without the heading, the
/// result is not known.
fn listens(lines: &[String], port: u16, protocol: Protocol) -> Option<bool> {
    let (suffix, wanted) = (format!(":{port:04X}"), if protocol == Protocol::Tcp { "0A" } else { "07" });
    let is_it = |line: &String| {
        let mut words = line.split_ascii_whitespace().skip(1);
        words.next().is_some_and(|local| local.ends_with(&suffix)) && words.nth(1) == Some(wanted)
    };
    lines.iter().any(|line| line.contains("local_address")).then(|| lines.iter().any(is_it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::Outcome;

    /// Lines of Linux 6.1, shortened.
    #[test]
    fn ports_are_judged() {
        let tcp = ["sl local_address rem_address st", "0: 00000000:0016 00000000:0000 0A 0", "1: 0100007F:0050 0100007F:9C40 01 0"];
        let udp = [
            "sl local_address rem_address st",
            "123: 0100007F:0143 00000000:0000 07 00000000:00000000",
            "124: 0100007F:8000 0100007F:0035 01 00000000:00000000",
            "sl local_address remote_address st",
            "125: 00000000000000000000000000000000:007B 00000000000000000000000000000000:0000 07 00000000:00000000",
        ];
        for (lines, port, protocol, wanted, outcome, detail) in [
            (&tcp[..], 22, Protocol::Tcp, true, Outcome::Passed, "something listens on port 22"),
            (&tcp[..], 22, Protocol::Tcp, false, Outcome::Failed, "something listens on port 22"),
            (&tcp[..], 80, Protocol::Tcp, true, Outcome::Failed, "nothing listens on port 80"),
            (&tcp[..], 80, Protocol::Tcp, false, Outcome::Passed, "nothing listens on port 80"),
            (&tcp[..], 22, Protocol::Udp, true, Outcome::Failed, "nothing listens on UDP port 22"),
            (&udp[..], 323, Protocol::Udp, true, Outcome::Passed, "something listens on UDP port 323"),
            (&udp[..], 123, Protocol::Udp, true, Outcome::Passed, "something listens on UDP port 123"),
            (&udp[..], 32768, Protocol::Udp, true, Outcome::Failed, "nothing listens on UDP port 32768"),
            (&udp[..], 123, Protocol::Tcp, true, Outcome::Failed, "nothing listens on port 123"),
            (&[][..], 123, Protocol::Udp, false, Outcome::CouldNotRun, "the kernel did not list its sockets"),
        ] {
            let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
            let found = judge("p", &lines, (port, protocol), wanted);
            assert_eq!((found.outcome, &*found.detail), (outcome, detail), "{port} {protocol:?} {wanted}");
        }
    }
}
