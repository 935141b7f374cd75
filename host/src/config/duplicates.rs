//! Where something that TOML takes only once stands already. The text before the second one is right by itself, so it is read once more, and
//! knows the place of the first.

use toml_edit::{Document, Item, Key, TableLike};

use super::lines::Lines;
use super::mistake::{plain, ticked};

/// What is wrong with the key at `offset`, which is there for the second time.
pub(super) fn again(text: &str, offset: usize, key: &str) -> String {
    let found = first(text, offset, key).map(|first| match first {
        First::Table(table, line) => {
            format!(": [{}] begins in line {line} already; all of it in one table", plain(&table.join(".")))
        }
        First::Key(table, line) if table.is_empty() => format!(", after line {line}; once"),
        First::Key(table, line) => format!(": [{}] has it in line {line} already; once", plain(&table.join("."))),
    });
    format!("{} is here a second time{} would be right", ticked(key), found.unwrap_or_else(|| "; once".into()))
}

/// What stands there already, and in which line.
enum First {
    /// A table of this name.
    Table(Vec<String>, u32),
    /// The key, in the table of this name.
    Key(Vec<String>, u32),
}

fn first(text: &str, offset: usize, key: &str) -> Option<First> {
    let start = text.get(..offset)?.rfind('\n').map_or(0, |at| at + 1);
    let before = Document::parse(&text[..start]).ok()?;
    let line = |table: &[String], key: &str| {
        let around = table.iter().try_fold(before.as_table() as &dyn TableLike, |here, name| below(here.get(name)?))?;
        Some(Lines::new(text).at(around.key(key).and_then(Key::span)?.start).0)
    };
    if let Some(head) = path(text[start..].lines().next()?) {
        let (name, above) = head.split_last()?;
        let line = line(above, name)?;
        return Some(First::Table(head, line));
    }
    let table = text[..start].lines().rev().find_map(path).unwrap_or_default();
    let line = line(&table, key)?;
    Some(First::Key(table, line))
}

fn below(item: &Item) -> Option<&dyn TableLike> {
    match item {
        Item::ArrayOfTables(tables) => tables.iter().last().map(|table| table as &dyn TableLike),
        other => other.as_table_like(),
    }
}

/// The names in `[plugins.shop]` or `[[routes]]`; None: this line is no head of a table.
fn path(line: &str) -> Option<Vec<String>> {
    let document = Document::parse(line).ok().filter(|_| line.trim_start().starts_with('['))?;
    let (mut names, mut here): (Vec<String>, &dyn TableLike) = (Vec::new(), document.as_table());
    while let Some((name, item)) = here.iter().next() {
        names.push(name.into());
        here = match item {
            Item::ArrayOfTables(tables) => tables.iter().next()?,
            Item::Table(table) => table,
            _ => return None,
        };
    }
    Some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> String {
        let error = Document::parse(text).expect_err("something is there twice");
        let span = error.span().expect("a place");
        again(text, span.start, &text[span])
    }

    #[test]
    fn second_one_is_told_with_the_line_of_the_first() {
        let table =
            "[a]\n[plugins.web_chat]\nx = 1\n[plugins.web_chat.settings]\n\n[plugins.web_chat.settings]\ny = 1\n";
        assert_eq!(
            told(table),
            "`settings` is here a second time: [plugins.web_chat.settings] begins in line 4 already; all of it in one table would be right"
        );
        let key = "[server]\nport = 1\nbind = 'a' # b\n\nbind = 'c'\n";
        assert_eq!(told(key), "`bind` is here a second time: [server] has it in line 3 already; once would be right");
        let route = "[[routes]]\nto = 'a'\n[[routes]]\nto = 'b'\nlist = [\n 1,\n]\nto = 'c'\n";
        assert_eq!(told(route), "`to` is here a second time: [routes] has it in line 4 already; once would be right");
        assert_eq!(told("a = 1\na = 2"), "`a` is here a second time, after line 1; once would be right");
    }

    #[test]
    fn first_that_cannot_be_found_is_passed_over() {
        assert_eq!(told("x = { a = 1, a = 2 }"), "`a` is here a second time; once would be right");
    }
}
