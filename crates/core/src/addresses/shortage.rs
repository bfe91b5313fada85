//! Reports of a range that is full: one line for many that get nothing, and few lines however long it stays so. Must not
//! know what is given away.

/// How many requests got nothing, and at which number that is reported next.
#[derive(Debug, Default)]
pub(super) struct Shortage {
    refused: usize,
    next_report: usize,
}

/// By which factor the number grows from one report to the next.
const FACTOR: usize = 10;

impl Shortage {
    /// Counts a request that got nothing.
    pub(super) fn count(&mut self) {
        self.refused += 1;
    }

    /// How many requests got nothing so far, if that is worth a line: there are ten times as many as at the last one.
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
    fn lines_are_few() {
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
