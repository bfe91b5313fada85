//! CoreDNS's `cache` plugin (`cache.go`, `item.go`, `dnsutil/ttl.go`): what it stores, for how long, and what it
//! returns. Without prefetch and stale answers, as kubeadm configures it.

use std::sync::{Mutex, PoisonError};

use super::bounded::Bounded;
use super::draft::Draft;
use crate::answer::Request;
use crate::store::Time;
use crate::wire::{RecordType, ResponseCode};

/// Maximum number of replies of each sort (the plugin's `defaultCap`). The plugin evicts any of them, this cache the
/// oldest.
const REPLIES: usize = 10_000;

/// Maximum number of records in all replies together, so that large replies cannot exhaust memory.
const RECORDS: usize = 250_000;

/// Minimum lifetime of any entry, and the lifetime of failures, in seconds.
const LIFETIME_MIN: u32 = 5;

/// The TTL that is assumed for a reply without records (`MinimalDefaultTTL`), in seconds.
const WITHOUT_RECORDS: u32 = 5;

/// Maximum lifetime that the plugin computes (`MaximumDefaulTTL`), in seconds.
const LIFETIME_MAX: u32 = 3600;

/// Name in lower case, type, class, DO, CD.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct CacheKey(Box<[u8]>, RecordType, u16, bool, bool);

impl CacheKey {
    pub(super) fn of(request: &Request<'_>) -> Self {
        let question = &request.question;
        let dnssec_ok = request.opt.is_some_and(|opt| opt.edns.dnssec_ok());
        let name = question.name.to_ascii_lowercase().into();
        CacheKey(name, question.record_type, question.class, dnssec_ok, request.checking_disabled)
    }
}

/// One instance of the plugin.
pub(crate) struct Cache {
    success: Mutex<Bounded<CacheKey, Item>>,
    denial: Mutex<Bounded<CacheKey, Item>>,
}

impl Default for Cache {
    fn default() -> Self {
        let empty = || Mutex::new(Bounded::new(REPLIES, RECORDS));
        Cache { success: empty(), denial: empty() }
    }
}

struct Item {
    draft: Draft,
    /// In seconds.
    lifetime: u32,
    stored: Time,
}

/// A cache, and the maximum lifetimes of its entries, in seconds.
pub(super) struct Layer<'a> {
    pub(super) cache: &'a Cache,
    pub(super) success: u32,
    pub(super) denial: u32,
}

/// The class of a reply (`response.Typify`).
#[derive(Clone, Copy, PartialEq)]
enum Sort {
    Success,
    Denial,
    Failure,
    Other,
}

impl Layer<'_> {
    /// The entry for `key` at `now`. Denials are looked up first.
    pub(super) fn get(&self, key: &CacheKey, now: Time) -> Option<Draft> {
        [&self.cache.denial, &self.cache.success].into_iter().find_map(|store| {
            let store = store.lock().unwrap_or_else(PoisonError::into_inner);
            let item = store.get(key)?;
            let age = u32::try_from(now.since(item.stored).as_secs()).unwrap_or(u32::MAX);
            let left = item.lifetime.checked_sub(age).filter(|left| *left > 0)?;
            let mut draft = item.draft.clone();
            draft.set_ttl(left);
            draft.authoritative = true;
            Some(draft)
        })
    }

    /// Stores `draft` if it can be cached, and sets the TTL of its records to the lifetime in any case.
    pub(super) fn keep(&self, key: &CacheKey, draft: &mut Draft, now: Time) {
        let sort = sort(draft, key.1);
        let least = draft.ttls().min().unwrap_or(WITHOUT_RECORDS).clamp(LIFETIME_MIN, LIFETIME_MAX);
        let lifetime = match sort {
            Sort::Success => least.min(self.success),
            Sort::Failure => LIFETIME_MIN,
            Sort::Denial | Sort::Other => least.min(self.denial),
        };
        // A lifetime of 0 means that the sort is not cached; the reply is returned unchanged.
        if lifetime == 0 {
            return;
        }
        draft.set_ttl(lifetime);
        let store = match sort {
            Sort::Success => &self.cache.success,
            Sort::Denial | Sort::Failure => &self.cache.denial,
            Sort::Other => return,
        };
        if draft.truncated || (sort == Sort::Success && !is_complete(draft, key.1)) {
            return;
        }
        let item = Item { draft: draft.clone(), lifetime, stored: now };
        let weight = draft.ttls().count();
        store.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), item, weight);
    }
}

fn sort(draft: &Draft, asked: RecordType) -> Sort {
    let has_soa = draft.authority.iter().any(|record| record.record_type == RecordType::SOA);
    match draft.code {
        ResponseCode::NOERROR if !draft.answer.is_empty() && (is_complete(draft, asked) || !has_soa) => {
            Sort::Success
        }
        ResponseCode::NOERROR if has_soa => Sort::Denial,
        ResponseCode::NOERROR => Sort::Success,
        ResponseCode::NXDOMAIN if has_soa => Sort::Denial,
        ResponseCode::SERVFAIL | ResponseCode::NOTIMP => Sort::Failure,
        _ => Sort::Other,
    }
}

/// Whether the answer has records of the requested type at the end of its aliases. Nothing else is cached since CoreDNS
/// 1.14.7.
fn is_complete(draft: &Draft, asked: RecordType) -> bool {
    draft.answer.iter().any(|record| record.record_type == asked || asked == RecordType::ANY)
}
