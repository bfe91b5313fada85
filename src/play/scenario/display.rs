//! Events and expectations as text, for reports and for references to steps.

use std::fmt;

use super::{Event, Expectation, NodeEvent, PodEvent};
use crate::fault::{Span, Transport};
use crate::store::Name;

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |names: &[Name]| names.join(" ");
        match self {
            Event::Pods(what, names) => {
                let verb = match what {
                    PodEvent::Ready => "ready",
                    PodEvent::Unready => "unready",
                    PodEvent::Crash => "crash",
                    PodEvent::Delete => "delete",
                    PodEvent::ForceDelete => "force delete",
                    PodEvent::Restart => "restart",
                };
                write!(f, "{verb} {}", list(names))
            }
            Event::RestartAt(pod, ip) => write!(f, "restart {pod} at {ip}"),
            Event::Bind(pod, port, address) => write!(f, "bind {port} of {pod} to {address}"),
            Event::Scale(name, replicas) => write!(f, "scale {name} to {replicas}"),
            Event::Node(what, name) => {
                let verb = match what {
                    NodeEvent::Down => "down",
                    NodeEvent::Off => "off",
                    NodeEvent::Up => "up",
                    NodeEvent::Reboot => "reboot",
                };
                write!(f, "node {verb} {name}")
            }
            Event::Fault(name, spec) => write!(f, "fault {name}: {spec}"),
            Event::Clear(names) => write!(f, "clear {}", list(names)),
            Event::Apply(_) => f.write_str("apply manifests"),
            Event::Remove(kind, name) => write!(f, "remove {kind} {name}"),
            Event::Ask(question) => {
                write!(f, "ask {} {}", question.name, question.qtype)?;
                if question.transport == Transport::Tcp {
                    f.write_str(" over TCP")?;
                }
                if let Some(pod) = &question.from {
                    write!(f, " from {pod}")?;
                }
                Ok(())
            }
            Event::Remember(called, _) => write!(f, "remember {called}"),
            Event::Wait => f.write_str("wait"),
        }
    }
}

impl fmt::Display for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at_most {
            Some(0) => f.write_str("no queries")?,
            Some(most) if self.at_least > 0 => write!(f, "{} to {most} queries", self.at_least)?,
            Some(most) => write!(f, "at most {most} queries")?,
            None => write!(f, "at least {} queries", self.at_least)?,
        }
        fn field(f: &mut fmt::Formatter<'_>, what: &str, value: Option<&dyn fmt::Display>) -> fmt::Result {
            value.map_or(Ok(()), |value| write!(f, " {what} {value}"))
        }
        field(f, "for", self.name.as_ref().map(|v| v as _))?;
        field(f, "of type", self.qtype.as_ref().map(|v| v as _))?;
        field(f, "from", self.pod.as_ref().map(|v| v as _))?;
        field(f, "over", self.transport.as_ref().map(|v| v as _))?;
        field(f, "answered with", self.code.as_ref().map(|v| v as _))?;
        field(f, "after", self.after.as_ref().map(|v| v as _))?;
        if !self.within.is_zero() {
            write!(f, " within {}", Span(self.within))?;
        }
        Ok(())
    }
}
