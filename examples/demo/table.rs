//! Plain text tables: columns as wide as their widest cell, numbers to the right.

/// Rows of cells, the first of which is a name.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Line>,
}

#[derive(Debug)]
enum Line {
    Cells(Vec<String>),
    Rule,
}

impl Table {
    pub(crate) fn new(head: &[&str]) -> Self {
        let head = head.iter().map(|&cell| cell.to_owned()).collect();
        Self { rows: vec![Line::Cells(head), Line::Rule] }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        self.rows.push(Line::Cells(cells));
    }

    pub(crate) fn rule(&mut self) {
        self.rows.push(Line::Rule);
    }

    fn widths(&self) -> Vec<usize> {
        let mut widths = Vec::new();
        for line in &self.rows {
            let Line::Cells(cells) = line else { continue };
            widths.resize(widths.len().max(cells.len()), 0);
            for (width, cell) in widths.iter_mut().zip(cells) {
                *width = (*width).max(cell.chars().count());
            }
        }
        widths
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let widths = self.widths();
        for line in &self.rows {
            write!(f, "  ")?;
            match line {
                Line::Rule => {
                    let dashes: Vec<String> =
                        widths.iter().map(|&width| "-".repeat(width)).collect();
                    writeln!(f, "{}", dashes.join("  "))?;
                }
                Line::Cells(cells) => {
                    for (column, (cell, &width)) in cells.iter().zip(&widths).enumerate() {
                        match column {
                            0 => write!(f, "{cell:<width$}")?,
                            _ => write!(f, "  {cell:>width$}")?,
                        }
                    }
                    writeln!(f)?;
                }
            }
        }
        Ok(())
    }
}
