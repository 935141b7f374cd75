//! Tables that fit: on a terminal as wide as that, with what matters least left out first, and on a narrow one with each row on several
//! lines; otherwise one plain line per row with everything in it.

use super::columns::{cut, packed};
use super::harmless::line;
use super::view::View;
use comfy_table::{
    Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Row, Table as Layout, Width, presets::NOTHING,
};

/// Columns of a terminal between two columns of a table.
const GAP: u16 = 2;
/// What is left of a column that can be cut.
const NARROWEST: u16 = 10;
/// Lines that a note may take on a terminal, unless it matters as a whole.
const NOTE_LINES: usize = 2;
/// Stands in no text: a cell is cut where the room ends, not at a space before.
const NO_DELIMITER: char = '\0';

/// How a column gives way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fit {
    /// Stays whole: somebody may want to copy it.
    Whole,
    /// Is cut with a `…`.
    Cut,
    /// Is left out; the last of the table first.
    Optional,
    /// Is cut, and left out where even that does not help.
    Spare,
}

/// See the module's text. Cells come from outside and are made harmless here.
pub(super) struct Table {
    columns: Vec<(&'static str, Fit)>,
    note: &'static str,
    note_lines: usize,
    rows: Vec<(Vec<Shown>, String)>,
}

/// A cell's text and what it says about how things are.
pub(super) struct Shown {
    text: String,
    tone: Tone,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    Good,
    Busy,
    Bad,
    Faint,
}

impl<T: AsRef<str>> From<T> for Shown {
    fn from(text: T) -> Self {
        Self { text: line(text.as_ref()), tone: Tone::Plain }
    }
}

impl Shown {
    pub(super) fn toned(text: &str, tone: Tone) -> Self {
        Self { tone, ..text.into() }
    }
}

impl Table {
    /// `note`: the title of what a row has to say at length, where it is a column.
    pub(super) fn new(columns: &[(&'static str, Fit)], note: &'static str) -> Self {
        Self { columns: columns.to_vec(), note, note_lines: NOTE_LINES, rows: Vec::new() }
    }

    /// No note is cut.
    #[must_use]
    pub(super) fn with_whole_notes(self) -> Self {
        Self { note_lines: usize::MAX, ..self }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [Shown; N], note: &str) {
        self.rows.push((cells.into(), line(note)));
    }

    /// With a newline at the end of each line. A column that nobody has anything for is left out.
    pub(super) fn render(mut self, view: &View) -> String {
        let filled = |index: usize| self.rows.iter().any(|(cells, _)| !cells[index].text.is_empty());
        let filled: Vec<bool> = (0..self.columns.len()).map(filled).collect();
        self.columns = kept(self.columns, &filled);
        self.rows = self.rows.into_iter().map(|(cells, note)| (kept(cells, &filled), note)).collect();
        match view.width {
            Some(width) => self.fitted(view, width),
            None => self.plain(),
        }
    }

    fn plain(&self) -> String {
        let mut table = layout();
        let noted = self.rows.iter().any(|(_, note)| !note.is_empty());
        let titles = self.columns.iter().map(|(title, _)| *title).chain(noted.then_some(self.note));
        table.set_header(titles.collect::<Vec<_>>());
        for (cells, note) in &self.rows {
            let cells = cells.iter().map(|cell| cell.text.as_str()).chain(noted.then_some(note.as_str()));
            table.add_row(cells.collect::<Vec<_>>());
        }
        spaced(&mut table);
        lines(&table).concat()
    }

    fn fitted(&self, view: &View, width: u16) -> String {
        let mut table = layout();
        let styled = |cell: Cell, attribute| if view.colour { cell.add_attribute(attribute) } else { cell };
        let titles = self.columns.iter().map(|(title, _)| styled(Cell::new(title), Attribute::Bold));
        table.set_header(one_line(titles.collect()));
        for (cells, _) in &self.rows {
            let cells = cells.iter().map(|cell| if view.colour { coloured(cell) } else { Cell::new(&cell.text) });
            table.add_row(one_line(cells.collect()));
        }
        table.set_delimiter(NO_DELIMITER);
        if view.colour {
            table.enforce_styling();
        }
        spaced(&mut table);
        let Some(shown) = self.shown(&table.column_max_content_widths(), width) else {
            return self.stacked(view, width);
        };
        self.arrange(&mut table, &shown, width);
        let mut lines = lines(&table).into_iter();
        let header = lines.next().unwrap_or_default();
        let rows = lines.zip(&self.rows).map(|(line, (_, note))| line + &self.note(view, note, width));
        header + &rows.collect::<String>()
    }

    /// The columns that have room; None where not even those have that matter.
    fn shown(&self, widths: &[u16], width: u16) -> Option<Vec<usize>> {
        let mut shown: Vec<usize> = (0..self.columns.len()).collect();
        // The first column needs no gap before it.
        while shown.iter().map(|index| self.least(widths, *index)).sum::<u16>() > width + GAP {
            let can_go = |index: &usize| matches!(self.columns[*index].1, Fit::Optional | Fit::Spare);
            let at = shown.iter().rposition(can_go)?;
            shown.remove(at);
        }
        Some(shown)
    }

    fn least(&self, widths: &[u16], index: usize) -> u16 {
        match self.columns[index].1 {
            Fit::Cut | Fit::Spare => widths[index].min(NARROWEST) + GAP,
            Fit::Whole | Fit::Optional => widths[index] + GAP,
        }
    }

    /// Leaves out and cuts what does not fit.
    fn arrange(&self, table: &mut Layout, shown: &[usize], width: u16) {
        let widths = table.column_max_content_widths();
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(width);
        let constraints = (0..self.columns.len()).map(|index| match self.columns[index].1 {
            _ if !shown.contains(&index) => ColumnConstraint::Hidden,
            Fit::Cut | Fit::Spare => ColumnConstraint::LowerBoundary(Width::Fixed(self.least(&widths, index))),
            Fit::Whole | Fit::Optional => ColumnConstraint::ContentWidth,
        });
        table.set_constraints(constraints.collect::<Vec<_>>());
    }

    /// Each row on as many lines as it takes: what somebody copies stays whole.
    fn stacked(&self, view: &View, width: u16) -> String {
        let columns = usize::from(width);
        let room = columns.saturating_sub(usize::from(GAP)).max(usize::from(NARROWEST));
        let packed = |texts: Vec<&str>| {
            let kept = texts.into_iter().zip(&self.columns).filter(|(_, (_, fit))| *fit != Fit::Optional);
            let words = kept.map(|(text, (_, fit))| if *fit == Fit::Whole { text.into() } else { cut(text, room) });
            packed(&words.collect::<Vec<_>>(), columns)
        };
        let header = packed(self.columns.iter().map(|(title, _)| *title).collect());
        let rows = self.rows.iter().map(|(cells, note)| {
            packed(cells.iter().map(|cell| cell.text.as_str()).collect()) + &self.note(view, note, width)
        });
        header + &rows.collect::<String>()
    }

    /// The lines below a row, indented.
    fn note(&self, view: &View, note: &str, width: u16) -> String {
        if note.is_empty() {
            return String::new();
        }
        let mut table = layout();
        let cell = Cell::new(note);
        let mut row = Row::from(vec![if view.colour { cell.add_attribute(Attribute::Dim) } else { cell }]);
        row.max_height(self.note_lines);
        table.add_row(row);
        if view.colour {
            table.enforce_styling();
        }
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(width.saturating_sub(GAP).max(NARROWEST));
        spaced(&mut table);
        lines(&table).into_iter().map(|line| format!("  {line}")).collect()
    }
}

fn kept<T>(columns: Vec<T>, filled: &[bool]) -> Vec<T> {
    columns.into_iter().zip(filled).filter_map(|(column, filled)| filled.then_some(column)).collect()
}

/// Names and values below each other; empty values are left out, long ones go on below themselves.
pub(super) fn pairs(rows: &[(&str, String)], view: &View) -> String {
    let mut table = layout();
    for (name, value) in rows.iter().filter(|(_, value)| !value.is_empty()) {
        table.add_row([name.to_string(), line(value)]);
    }
    spaced(&mut table);
    if let Some(width) = view.width {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(width);
        table.set_constraints([ColumnConstraint::ContentWidth]);
    }
    lines(&table).concat()
}

fn one_line(cells: Vec<Cell>) -> Row {
    let mut row = Row::from(cells);
    row.max_height(1);
    row
}

fn layout() -> Layout {
    let mut table = Layout::new();
    table.load_style(NOTHING).force_no_tty();
    table
}

/// Space between columns, and none at the edges, where it would make a line too long.
fn spaced(table: &mut Layout) {
    for (index, column) in table.column_iter_mut().enumerate() {
        column.set_padding((if index == 0 { 0 } else { GAP }, 0));
    }
}

fn lines(table: &Layout) -> Vec<String> {
    table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

fn coloured(cell: &Shown) -> Cell {
    let plain = Cell::new(&cell.text);
    match cell.tone {
        Tone::Plain => plain,
        Tone::Good => plain.fg(Color::Green),
        Tone::Busy => plain.fg(Color::Yellow),
        Tone::Bad => plain.fg(Color::Red),
        Tone::Faint => plain.add_attribute(Attribute::Dim),
    }
}
