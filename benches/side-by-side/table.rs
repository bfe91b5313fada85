//! Aligned text: the first column to the left, figures to the right. Must not depend on their meaning.

use std::fmt;

/// A table with a headline.
pub struct Table {
    headline: String,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// With these columns and no rows.
    pub fn new(headline: impl Into<String>, columns: &[&str]) -> Self {
        Table { headline: headline.into(), rows: vec![columns.iter().map(ToString::to_string).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, name: impl fmt::Display, figures: impl IntoIterator<Item = String>) {
        self.rows.push(std::iter::once(name.to_string()).chain(figures).collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.headline)?;
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            for (at, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                match at {
                    0 => write!(f, "  {cell:width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// Formats a value with three significant digits: `0.87`, `12.3`, `4210`; a dash if it was not measured.
pub fn figure(value: f64) -> String {
    match value {
        _ if value.is_nan() => "–".into(),
        _ if value.abs() < 10.0 => format!("{value:.2}"),
        _ if value.abs() < 100.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}
