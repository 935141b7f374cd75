//! What a reader types, made into an expression for the search index. Anything is taken: signs that mean nothing part words.

use super::words::{Word, is_accent, is_word, words};

/// Words and phrases of a query that count; what follows is left out.
const MOST_TERMS: usize = 32;
/// Letters of a prefix at least: shorter ones would gather half of the index.
const SHORTEST_PREFIX: usize = 3;
/// Letters by which a prefix may reach into an ending that the index does not keep.
const LONGEST_ENDING: usize = 7;

/// A word, words that belong together (`re-run`), or a quoted phrase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    text: String,
    pub words: Vec<Word>,
    /// The last word may go on.
    pub is_prefix: bool,
}

/// What is looked for; all terms must be there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    pub terms: Vec<Term>,
    /// A bit for each letter of ASCII with which one of its words begins.
    firsts: u128,
}

impl Query {
    pub fn parse(text: &str) -> Self {
        let mut query = Self::default();
        let parts: Vec<&str> = text.split('"').collect();
        for (number, part) in parts.iter().enumerate() {
            // A quote that nobody closed opens nothing.
            if number % 2 == 1 && number + 1 < parts.len() {
                query.add(part, false);
            } else {
                query.add_words(part);
            }
        }
        query.terms.truncate(MOST_TERMS);
        let firsts = query.terms.iter().flat_map(|term| &term.words).filter_map(|word| word.stem.bytes().next());
        query.firsts = firsts.filter(u8::is_ascii).fold(0, |bits, first| bits | 1 << first);
        query
    }

    /// Whether one of its words may begin with this small letter of ASCII.
    pub fn may_begin_with(&self, first: u8) -> bool {
        self.firsts >> first & 1 == 1
    }

    fn add_words(&mut self, part: &str) {
        let mut begin = 0;
        for (place, sign) in part.char_indices().filter(|(_, letter)| !is_kept(*letter)) {
            self.add(&part[begin..place], sign == '*');
            begin = place + sign.len_utf8();
        }
        self.add(&part[begin..], false);
    }

    fn add(&mut self, text: &str, starred: bool) {
        let mut words = words(text);
        words.truncate(MOST_TERMS);
        let Some(last) = words.last() else { return };
        let is_prefix = starred && last.plain.chars().count() >= SHORTEST_PREFIX;
        self.terms.push(Term { text: text.to_owned(), words, is_prefix });
    }

    pub fn has_prefix(&self) -> bool {
        self.terms.iter().any(|term| term.is_prefix)
    }

    /// For the index. Words are quoted, so that nothing in them is taken for an operator, and looked for in what people wrote alone.
    /// `room`: the token of a room. `sender`: words that the sender's name must have.
    pub fn expression(&self, room: Option<i64>, sender: Option<&str>) -> String {
        let terms: Vec<String> = self.terms.iter().map(Term::expression).collect();
        let mut expression = format!("{{sender content}} : ({})", terms.join(" AND "));
        if let Some(sender) = sender.filter(|name| words(name).iter().any(|word| word.plain.chars().all(is_indexed))) {
            expression = format!("(sender : {}) AND {expression}", quoted(sender));
        }
        if let Some(room) = room {
            expression = format!("(room : \"r{room}\") AND {expression}");
        }
        expression
    }
}

impl Term {
    fn expression(&self) -> String {
        if !self.is_prefix {
            return quoted(&self.text);
        }
        let mut choices = vec![format!("{}*", quoted(&self.text))];
        if let [word] = self.words.as_slice() {
            choices.extend(endings(&word.plain));
        }
        format!("({})", choices.join(" OR "))
    }
}

/// The index keeps stems, so a prefix that reaches into an ending (`migrati*`) is found by the stems before it. Some are of other words:
/// each hit is looked at.
fn endings(prefix: &str) -> Vec<String> {
    let places: Vec<usize> = prefix.char_indices().map(|(place, _)| place).collect();
    let shortest = SHORTEST_PREFIX.max(places.len().saturating_sub(LONGEST_ENDING));
    let stems = places.iter().skip(shortest).map(|place| &prefix[..*place]);
    let mut endings: Vec<String> = stems.flat_map(|stem| [quoted(stem), quoted(&format!("{stem}e"))]).collect();
    endings.push(quoted(prefix));
    endings
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// Letters of younger scripts are none to the index's tokenizer.
fn is_indexed(letter: char) -> bool {
    letter < '\u{a000}'
}

fn is_kept(letter: char) -> bool {
    is_word(letter) || is_accent(letter) || "_-'".contains(letter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn expression(text: &str) -> String {
        Query::parse(text).expression(None, None)
    }

    #[test]
    fn words_are_quoted_and_joined() {
        assert_eq!(expression("soup pot"), "{sender content} : (\"soup\" AND \"pot\")");
        assert_eq!(expression("a OR b"), "{sender content} : (\"a\" AND \"OR\" AND \"b\")");
        assert_eq!(expression("it's re-run"), "{sender content} : (\"it's\" AND \"re-run\")");
        assert_eq!(expression("(a.b)+c"), "{sender content} : (\"a\" AND \"b\" AND \"c\")");
        assert_eq!(expression("\"hot soup\" now"), "{sender content} : (\"hot soup\" AND \"now\")");
        assert_eq!(expression("\"hot soup"), "{sender content} : (\"hot\" AND \"soup\")");
        let narrowed = Query::parse("x").expression(Some(7), Some("CI Bot"));
        assert_eq!(narrowed, "(room : \"r7\") AND (sender : \"CI Bot\") AND {sender content} : (\"x\")");
    }

    #[test]
    fn prefixes_have_three_letters() {
        assert!(!Query::parse("so*").has_prefix() && Query::parse("sou*").has_prefix());
        assert!(!Query::parse("s*oup").has_prefix() && !Query::parse("* *").has_prefix());
    }

    #[test]
    fn query_without_a_word_is_empty() {
        for text in ["", "!?", "🤖", "\"\"", "* -", "'_'"] {
            assert!(Query::parse(text).terms.is_empty(), "{text}");
        }
        assert_eq!(Query::parse(&"a ".repeat(250)).terms.len(), MOST_TERMS);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
        #[test]
        fn index_takes_whatever_is_typed(text in "(\\PC|[\"*'_() :^+{}-]|AND|NOT|NEAR){0,60}") {
            thread_local! {
                static TABLE: rusqlite::Connection = {
                    let connection = rusqlite::Connection::open_in_memory().unwrap();
                    let table = "create virtual table t using fts5 (room, sender, content, content = '', contentless_delete = 1,
                                                                    tokenize = 'porter unicode61')";
                    connection.execute_batch(table).unwrap();
                    connection
                };
            }
            let query = Query::parse(&text);
            prop_assume!(!query.terms.is_empty());
            TABLE.with(|table| {
                let sql = "select count(*) from t where t match ?1";
                let count = table.query_row(sql, [query.expression(Some(1), Some("a \"b\""))], |row| row.get::<_, i64>(0));
                prop_assert_eq!(count.expect("the index takes it"), 0);
                Ok(())
            })?;
        }
    }
}
