//! Everything that can happen to a machine, as one closed enum.

use std::fmt;
use std::process::ExitStatus;

use super::qmp::RawEvent;

/// An event. Events have the order in which QEMU reported them; console lines come in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MachineEvent {
    /// A line of the serial console; safe to show.
    ConsoleLine(String),
    /// The serial console printed text without an end of line and then nothing more: `login: `. A longer text may be reported later.
    ConsolePrompt(String),
    /// The guest opened or closed one of its ports.
    Port {
        /// The port's name.
        name: String,
        /// Whether it is open now.
        open: bool,
    },
    /// The guest ended. QEMU is paused and can still be asked; [`super::Machine::quit`] ends it.
    Shutdown(ShutdownReason),
    /// The guest rebooted and goes on ([`super::MachineSpec::reboots`]).
    Reset,
    /// The guest's kernel panicked (pvpanic). QEMU is paused.
    GuestPanicked,
    /// A disk of the host failed. The guest is paused.
    IoError {
        /// The drive's node.
        node: String,
        /// `read` or `write`.
        operation: String,
        /// The host's words.
        reason: String,
        /// Whether the host's disk is full.
        no_space: bool,
    },
    /// QEMU paused the guest, and no earlier event gave the reason.
    Stopped,
    /// QEMU is gone. This is the last event, and every later call gets it again. It has no status when the kernel did not report one.
    Exited(Option<ExitStatus>),
}

/// Why a guest ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShutdownReason {
    /// It powered itself off.
    PowerOff,
    /// It rebooted, and was not allowed to: its kernel panicked with `panic=N`, it triple-faulted, or something called `reboot`.
    Reset,
    /// Its kernel panicked.
    Panic,
    /// The host ended it: QEMU's word for how.
    Host(String),
}

impl fmt::Display for ShutdownReason {
    /// Completes "the guest …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PowerOff => f.write_str("powered off"),
            Self::Reset => f.write_str("rebooted or crashed"),
            Self::Panic => f.write_str("panicked"),
            Self::Host(how) => write!(f, "was ended by the host ({how})"),
        }
    }
}

/// The QMP events that become a [`MachineEvent`] (QEMU's `qapi/run-state.json`, `block-core.json`, `char.json`).
pub(super) const INTERESTING: &[&str] = &["SHUTDOWN", "RESET", "GUEST_PANICKED", "BLOCK_IO_ERROR", "STOP", "VSERPORT_CHANGE"];

impl MachineEvent {
    /// The event in `raw`; `None` when it has nothing new. `ports` are the spec's.
    pub(super) fn of(raw: &RawEvent, ports: &[String]) -> Option<Self> {
        let text = |key: &str| raw.data.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        let flag = |key: &str| raw.data.get(key).and_then(serde_json::Value::as_bool).unwrap_or_default();
        Some(match raw.name.as_str() {
            "SHUTDOWN" => Self::Shutdown(match text("reason").as_str() {
                "guest-shutdown" => ShutdownReason::PowerOff,
                "guest-reset" => ShutdownReason::Reset,
                "guest-panic" => ShutdownReason::Panic,
                other => ShutdownReason::Host(other.to_owned()),
            }),
            // QEMU also resets the machine when it starts, which is not the guest's doing.
            "RESET" if flag("guest") => Self::Reset,
            "GUEST_PANICKED" => Self::GuestPanicked,
            "BLOCK_IO_ERROR" => {
                Self::IoError { node: text("node-name"), operation: text("operation"), reason: text("reason"), no_space: flag("nospace") }
            }
            "STOP" => Self::Stopped,
            "VSERPORT_CHANGE" => {
                let index: usize = text("id").strip_prefix("port")?.parse().ok()?;
                Self::Port { name: ports.get(index)?.clone(), open: flag("open") }
            }
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qemus_events_are_read_and_nonsense_is_not() {
        let ports = ["zero".to_owned(), "one".to_owned()];
        let shutdown = |reason| Some(MachineEvent::Shutdown(reason));
        for (json, expected) in [
            (r#"{"event":"SHUTDOWN","data":{"guest":true,"reason":"guest-shutdown"}}"#, shutdown(ShutdownReason::PowerOff)),
            (r#"{"event":"SHUTDOWN","data":{"guest":true,"reason":"guest-reset"}}"#, shutdown(ShutdownReason::Reset)),
            (r#"{"event":"SHUTDOWN","data":{"guest":false,"reason":"host-signal"}}"#, shutdown(ShutdownReason::Host("host-signal".into()))),
            (r#"{"event":"SHUTDOWN"}"#, shutdown(ShutdownReason::Host(String::new()))),
            (r#"{"event":"RESET","data":{"guest":true,"reason":"guest-reset"}}"#, Some(MachineEvent::Reset)),
            (r#"{"event":"RESET","data":{"guest":false,"reason":"none"}}"#, None),
            (r#"{"event":"GUEST_PANICKED","data":{"action":"pause"}}"#, Some(MachineEvent::GuestPanicked)),
            (
                r#"{"event":"BLOCK_IO_ERROR","data":{"node-name":"disk","operation":"write","action":"stop","nospace":true,"reason":"No space left on device"}}"#,
                Some(MachineEvent::IoError {
                    node: "disk".into(),
                    operation: "write".into(),
                    reason: "No space left on device".into(),
                    no_space: true,
                }),
            ),
            (r#"{"event":"STOP"}"#, Some(MachineEvent::Stopped)),
            (
                r#"{"event":"VSERPORT_CHANGE","data":{"id":"port1","open":true}}"#,
                Some(MachineEvent::Port { name: "one".into(), open: true }),
            ),
            (r#"{"event":"VSERPORT_CHANGE","data":{"id":"port2","open":true}}"#, None),
            (r#"{"event":"VSERPORT_CHANGE","data":[]}"#, None),
            (r#"{"event":"NIC_RX_FILTER_CHANGED","data":{}}"#, None),
        ] {
            let raw: RawEvent = serde_json::from_str(json).unwrap();
            assert_eq!(MachineEvent::of(&raw, &ports), expected, "{json}");
        }
    }
}
