//! Reports an exhausted range: one line for many failed requests, and few lines however long it lasts. Must not depend
//! on what is allocated.

/// Number of failed requests, and the number at which the next report is due.
#[derive(Debug, Default)]
pub(super) struct Shortage {
    refused: usize,
    next_report: usize,
}

/// Factor between the numbers of two successive reports.
const FACTOR: usize = 10;

impl Shortage {
    /// Counts a failed request.
    pub(super) fn count(&mut self) {
        self.refused += 1;
    }

    /// The number of failed requests so far if a report is due: ten times as many as at the last one.
    pub(super) fn report(&mut self) -> Option<usize> {
        if self.refused == 0 || self.refused < self.next_report {
            return None;
        }
        self.next_report = self.refused.saturating_mul(FACTOR);
        Some(self.refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_become_rare() {
        let mut shortage = Shortage::default();
        assert_eq!(shortage.report(), None);
        (0..134_000).for_each(|_| shortage.count());
        assert_eq!([shortage.report(), shortage.report()], [Some(134_000), None], "one for all");
        let mut shortage = Shortage::default();
        let lines = (0..134_000).filter(|_| {
            shortage.count();
            shortage.report().is_some()
        });
        assert_eq!(lines.count(), 6, "one by one");
    }
}
