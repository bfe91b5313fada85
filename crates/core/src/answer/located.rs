//! Which of the served zones a question is about (CoreDNS's `plugin.Zones`, Matches).

use super::request::Request;
use crate::wire::{DomainName, IN, NAME_MAX};
use crate::zone::Zone;

/// A request, and the zone that it is about.
#[derive(Clone, Copy)]
pub(super) struct Located<'a> {
    pub(super) request: &'a Request<'a>,
    /// The question's name in lower case.
    pub(super) name: &'a [u8],
    /// Where in the name its zone begins, and whether that is a reverse zone; `None` outside the served zones.
    pub(super) within: Option<(usize, bool)>,
}

impl<'a> Located<'a> {
    /// Locates the question of `request`. The name is written to `lower`.
    pub(super) fn new(zone: &Zone, request: &'a Request<'a>, lower: &'a mut [u8; NAME_MAX]) -> Self {
        let name = request.question.lower_case(lower);
        Located { request, name, within: zone_of(zone, name).filter(|_| request.question.class == IN) }
    }
}

/// Whether one of the served zones is below `name` (lower case, wire form).
pub(super) fn is_above(zone: &Zone, name: &[u8]) -> bool {
    let settings = zone.settings();
    let zones = std::iter::once(&settings.domain).chain(&settings.reverse_zones);
    zones.map(DomainName::as_wire).any(|own| {
        let at = own.len().checked_sub(name.len());
        at.is_some_and(|at| own[at..].eq_ignore_ascii_case(name) && is_label(own, at))
    })
}

/// The zone that `name` (lower case, wire form) is in: where it begins, and whether it is a reverse zone. The longest,
/// if one is within another.
pub(crate) fn zone_of(zone: &Zone, name: &[u8]) -> Option<(usize, bool)> {
    let settings = zone.settings();
    let begins = |zone: &DomainName| {
        let at = name.len().checked_sub(zone.as_wire().len())?;
        (name[at] != 0 && zone.equals(&name[at..]) && is_label(name, at)).then_some(at)
    };
    let own = begins(&settings.domain).map(|at| (at, false));
    let reverse = settings.reverse_zones.iter().filter_map(begins).map(|at| (at, true));
    own.into_iter().chain(reverse).min()
}

/// Whether a label of `name`, in wire form, begins `at` there.
fn is_label(name: &[u8], at: usize) -> bool {
    let mut label = 0;
    while label < at {
        label += 1 + usize::from(name[label]);
    }
    label == at
}
