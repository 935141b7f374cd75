//! How well a message answers a query, and where: the terms' frequency against the message's length, as BM25 has it, with a bonus for words
//! that stand together as they were typed. A message's score depends on nothing but itself, so pages keep their order.

use super::query::{Query, Term};
use super::stem::stem;
use super::words::each_word;
use std::ops::Range;

/// BM25's usual constants.
const SATURATION: f64 = 1.2;
const LENGTH_WEIGHT: f64 = 0.75;
/// Words of a usual message.
const USUAL_LENGTH: f64 = 20.0;
/// For all terms side by side.
const TOGETHER: f64 = 0.5;
/// Characters of a snippet, and of those how many before the first match.
const SNIPPET: usize = 240;
const BEFORE: usize = 60;
/// Matches of one text that are looked at.
const MOST_MATCHES: usize = 256;

/// A word of the text that is one of the query.
struct Match {
    /// Which word of the text.
    position: usize,
    place: Range<usize>,
    /// Which term, and which word of it.
    term: usize,
    word: usize,
}

/// None if a prefix is not there after all; else the higher, the better.
pub fn score(query: &Query, sender: &str, content: &str) -> Option<f64> {
    let (in_sender, _) = matches(query, sender);
    let (in_content, length) = matches(query, content);
    let weight = SATURATION * (1.0 - LENGTH_WEIGHT + LENGTH_WEIGHT * length as f64 / USUAL_LENGTH);
    let mut score = 0.0;
    for (number, term) in query.terms.iter().enumerate() {
        let found = phrases(&in_content, number, term).count() + phrases(&in_sender, number, term).count();
        if found == 0 && term.is_prefix {
            return None;
        }
        let found = found as f64;
        score += found * (SATURATION + 1.0) / (found + weight);
    }
    Some(score + if stand_together(query, &in_content) { TOGETHER } else { 0.0 })
}

/// The part of the text around the first match, with `**` around each.
pub fn snippet(query: &Query, content: &str) -> String {
    let (found, _) = matches(query, content);
    let mut places: Vec<Range<usize>> =
        query.terms.iter().enumerate().flat_map(|(number, term)| phrases(&found, number, term)).collect();
    places.sort_by_key(|place| (place.start, place.end));
    let shown = window(content, places.first().map_or(0, |place| place.start));
    let mut text = String::from(if shown.start > 0 { "…" } else { "" });
    let mut at = shown.start;
    for place in places {
        if place.start < at || place.end > shown.end {
            continue;
        }
        text.push_str(&content[at..place.start]);
        text.extend(["**", &content[place.clone()], "**"]);
        at = place.end;
    }
    text.push_str(&content[at..shown.end]);
    if shown.end < content.len() {
        text.push('…');
    }
    text
}

/// The whole of a short text; of a long one what stands around `first`, cut between words where possible.
fn window(content: &str, first: usize) -> Range<usize> {
    if content.chars().nth(SNIPPET).is_none() {
        return 0..content.len();
    }
    let back = content[..first].char_indices().rev().take(BEFORE).last().map_or(first, |(place, _)| place);
    let blank = content[back..first].find(char::is_whitespace).map(|place| back + place);
    let start = match blank {
        _ if back == 0 => 0,
        Some(blank) => content[blank..].find(|letter: char| !letter.is_whitespace()).map_or(first, |skip| blank + skip),
        None => back,
    };
    let end = content[start..].char_indices().nth(SNIPPET).map_or(content.len(), |(place, _)| start + place);
    start..end
}

/// The matches of a text, and how many words it has.
fn matches(query: &Query, text: &str) -> (Vec<Match>, usize) {
    let (mut found, mut stemmed) = (Vec::new(), String::new());
    let begins = |first| query.may_begin_with(first);
    let length = each_word(text, begins, |position, place, plain| {
        stemmed.clear();
        for (number, term) in query.terms.iter().enumerate() {
            for (index, word) in term.words.iter().enumerate().filter(|(_, word)| word.begins_like(plain)) {
                if stemmed.is_empty() {
                    stemmed.push_str(plain);
                    stem(&mut stemmed);
                }
                let open = term.is_prefix && index + 1 == term.words.len();
                let same = if open { plain.starts_with(&word.plain) } else { word.stem == stemmed };
                if same && found.len() < MOST_MATCHES {
                    found.push(Match { position, place: place.clone(), term: number, word: index });
                }
            }
        }
    });
    (found, length)
}

/// Where all words of a term stand one behind the other.
fn phrases(found: &[Match], number: usize, term: &Term) -> impl Iterator<Item = Range<usize>> {
    let length = term.words.len();
    let of_term = move |matched: &&Match| matched.term == number;
    found.iter().enumerate().filter(move |(_, first)| first.term == number && first.word == 0).filter_map(
        move |(index, first)| {
            let mut end = first.place.end;
            for word in 1..length {
                let next =
                    found[index..].iter().filter(of_term).take_while(|next| next.position <= first.position + word);
                end = next.filter(|next| next.word == word && next.position == first.position + word).last()?.place.end;
            }
            Some(first.place.start..end)
        },
    )
}

/// Whether the query's words stand side by side, in their order.
fn stand_together(query: &Query, found: &[Match]) -> bool {
    let words: Vec<(usize, usize)> = query
        .terms
        .iter()
        .enumerate()
        .flat_map(|(number, term)| (0..term.words.len()).map(move |word| (number, word)))
        .collect();
    query.terms.len() > 1
        && found.iter().filter(|first| (first.term, first.word) == (0, 0)).any(|first| {
            words.iter().enumerate().all(|(step, place)| {
                found.iter().any(|next| next.position == first.position + step && (next.term, next.word) == *place)
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn marked(query: &str, content: &str) -> String {
        snippet(&Query::parse(query), content)
    }

    fn scored(query: &str, content: &str) -> Option<f64> {
        score(&Query::parse(query), "ada", content)
    }

    #[test]
    fn snippets_mark_words_stems_and_phrases() {
        assert_eq!(marked("run", "He runs, running: run!"), "He **runs**, **running**: **run**!");
        assert_eq!(marked("\"hot soup\"", "soup, hot soup"), "soup, **hot soup**");
        assert_eq!(marked("migrati*", "two migrations"), "two **migrations**");
        assert_eq!(marked("cafe", "the café"), "the **café**");
        assert_eq!(marked("ada", "nothing here"), "nothing here");
        let long = format!("{}needle {}", "hay ".repeat(200), "straw ".repeat(200));
        let snippet = marked("needle", &long);
        assert!(snippet.starts_with("…hay") && snippet.ends_with('…') && snippet.contains("**needle**"), "{snippet}");
        assert!(snippet.chars().count() < 260, "{snippet}");
    }

    #[test]
    fn scores_go_by_terms_length_and_order() {
        assert!(scored("soup", "soup soup bread") > scored("soup", "soup with bread"));
        assert!(scored("soup", "soup") > scored("soup", &format!("soup {}", "and more ".repeat(30))));
        assert!(scored("hot soup", "hot soup now") > scored("hot soup", "soup is hot"));
        assert_eq!(scored("soup", "soup one"), scored("soup", "soup two"));
        assert_eq!(scored("conn*", "con man"), None, "no word begins so");
        assert!(scored("conn*", "connected").is_some());
    }

    proptest! {
        #[test]
        fn any_text_is_scored_and_shown(query in "(\\PC|[\"* a-c]){0,20}", content in "(\\PC|[ a-c]){0,400}") {
            let query = Query::parse(&query);
            let _ = score(&query, &content, &content);
            let shown = snippet(&query, &content);
            prop_assert!(shown.chars().filter(|letter| *letter != '*').count() <= SNIPPET + 2);
        }
    }
}
