//! The stem of a word, by Porter's algorithm (1980) in the form that the search index's tokenizer gives it, so that what the index found
//! can be found again in the text.

/// Longer words and those of one or two bytes are left as they are.
const STEMMED: std::ops::RangeInclusive<usize> = 3..=64;

/// Replaces the word, in small letters, by its stem.
pub fn stem(word: &mut String) {
    if STEMMED.contains(&word.len()) {
        let mut letters = std::mem::take(word).into_bytes();
        plural(&mut letters);
        past_and_present(&mut letters);
        if letters.ends_with(b"y") && has_vowel(&letters[..letters.len() - 1]) {
            replace(&mut letters, 1, b"i");
        }
        suffix(&mut letters, DOUBLE, |stem| measure(stem) > 0);
        suffix(&mut letters, SINGLE, |stem| measure(stem) > 0);
        last_suffix(&mut letters);
        last_letters(&mut letters);
        // Only whole letters of ASCII are cut or added.
        *word = String::from_utf8(letters).unwrap_or_default();
    }
}

type Rules = &'static [(&'static [u8], &'static [u8])];

const DOUBLE: Rules = &[
    (b"ational", b"ate"),
    (b"tional", b"tion"),
    (b"enci", b"ence"),
    (b"anci", b"ance"),
    (b"izer", b"ize"),
    (b"logi", b"log"),
    (b"bli", b"ble"),
    (b"alli", b"al"),
    (b"entli", b"ent"),
    (b"eli", b"e"),
    (b"ousli", b"ous"),
    (b"ization", b"ize"),
    (b"ation", b"ate"),
    (b"ator", b"ate"),
    (b"alism", b"al"),
    (b"iveness", b"ive"),
    (b"fulness", b"ful"),
    (b"ousness", b"ous"),
    (b"aliti", b"al"),
    (b"iviti", b"ive"),
    (b"biliti", b"ble"),
];

const SINGLE: Rules = &[
    (b"icate", b"ic"),
    (b"ative", b""),
    (b"alize", b"al"),
    (b"iciti", b"ic"),
    (b"ical", b"ic"),
    (b"ful", b""),
    (b"ness", b""),
];

const LAST: Rules = &[
    (b"al", b""),
    (b"ance", b""),
    (b"ence", b""),
    (b"er", b""),
    (b"ic", b""),
    (b"able", b""),
    (b"ible", b""),
    (b"ant", b""),
    (b"ement", b""),
    (b"ment", b""),
    (b"ent", b""),
    (b"ou", b""),
    (b"ism", b""),
    (b"ate", b""),
    (b"iti", b""),
    (b"ous", b""),
    (b"ive", b""),
    (b"ize", b""),
];

fn replace(letters: &mut Vec<u8>, cut: usize, with: &[u8]) {
    letters.truncate(letters.len() - cut);
    letters.extend_from_slice(with);
}

/// The letters before a suffix, if there are some.
fn before<'a>(letters: &'a [u8], suffix: &[u8]) -> Option<&'a [u8]> {
    letters.strip_suffix(suffix).filter(|stem| !stem.is_empty())
}

fn plural(letters: &mut Vec<u8>) {
    if before(letters, b"sses").is_some() || before(letters, b"ies").is_some() {
        replace(letters, 2, b"");
    } else if letters.ends_with(b"s") && !letters.ends_with(b"ss") {
        replace(letters, 1, b"");
    }
}

fn past_and_present(letters: &mut Vec<u8>) {
    if let Some(stem) = before(letters, b"eed") {
        if measure(stem) > 0 {
            replace(letters, 1, b"");
        }
        return;
    }
    let cut = [&b"ed"[..], b"ing"].into_iter().find(|suffix| before(letters, suffix).is_some_and(has_vowel));
    let Some(cut) = cut else { return };
    replace(letters, cut.len(), b"");
    let grown = [&b"at"[..], b"bl", b"iz"].iter().any(|suffix| before(letters, suffix).is_some());
    let length = letters.len();
    let last = letters[length - 1];
    if grown {
        letters.push(b'e');
    } else if length > 1 && !is_vowel(last, false) && !b"lsz".contains(&last) && letters[length - 2] == last {
        letters.pop();
    } else if measure(letters) == 1 && ends_short(letters) {
        letters.push(b'e');
    }
}

/// The longest of the rules' suffixes decides, whether it may be replaced or not.
fn suffix(letters: &mut Vec<u8>, rules: Rules, allowed: impl Fn(&[u8]) -> bool) {
    let longest = rules.iter().filter(|(suffix, _)| before(letters, suffix).is_some()).max_by_key(|rule| rule.0.len());
    let Some((suffix, with)) = longest else { return };
    if before(letters, suffix).is_some_and(allowed) {
        replace(letters, suffix.len(), with);
    }
}

fn last_suffix(letters: &mut Vec<u8>) {
    match before(letters, b"ion") {
        Some(stem) if matches!(stem.last(), Some(b's' | b't')) && measure(stem) > 1 => replace(letters, 3, b""),
        Some(_) => {}
        None => suffix(letters, LAST, |stem| measure(stem) > 1),
    }
}

fn last_letters(letters: &mut Vec<u8>) {
    if let Some(stem) = letters.strip_suffix(b"e")
        && (measure(stem) > 1 || (measure(stem) == 1 && !ends_short(stem)))
    {
        letters.pop();
    }
    if letters.ends_with(b"ll") && measure(&letters[..letters.len() - 1]) > 1 {
        letters.pop();
    }
}

/// `y` is a vowel behind a consonant.
fn is_vowel(letter: u8, behind_consonant: bool) -> bool {
    matches!(letter, b'a' | b'e' | b'i' | b'o' | b'u') || (behind_consonant && letter == b'y')
}

/// For each letter whether it is a consonant.
fn consonants(letters: &[u8]) -> impl Iterator<Item = bool> {
    letters.iter().scan(false, |consonant, letter| {
        *consonant = !is_vowel(*letter, *consonant);
        Some(*consonant)
    })
}

fn has_vowel(letters: &[u8]) -> bool {
    letters.iter().enumerate().any(|(place, letter)| is_vowel(*letter, place > 0))
}

/// How often a consonant follows a vowel.
fn measure(letters: &[u8]) -> usize {
    let mut vowel = false;
    consonants(letters).filter(|consonant| std::mem::replace(&mut vowel, !consonant) && *consonant).count()
}

/// Consonant, vowel, consonant at the end, the last none of w, x and y.
fn ends_short(letters: &[u8]) -> bool {
    if letters.is_empty() || matches!(letters.last(), Some(b'w' | b'x' | b'y')) {
        return false;
    }
    consonants(letters).fold(0u32, |mask, consonant| (mask << 1) | u32::from(consonant)) & 7 == 5
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the index itself makes of words.
    fn indexed(words: &[String]) -> Vec<String> {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        let tables = "create virtual table t using fts5 (x, tokenize = 'porter unicode61');
                      create virtual table v using fts5vocab (t, instance);";
        connection.execute_batch(tables).unwrap();
        for word in words {
            connection.execute("insert into t (x) values (?1)", [word]).unwrap();
        }
        let mut statement = connection.prepare("select term from v order by doc").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    }

    fn stemmed(word: &str) -> String {
        let mut word = word.to_owned();
        stem(&mut word);
        word
    }

    #[test]
    fn stems_are_those_of_the_index() {
        let roots = [
            "deploy",
            "connect",
            "relat",
            "hop",
            "hopp",
            "fall",
            "siz",
            "tr",
            "cr",
            "agre",
            "condition",
            "rat",
            "val",
            "electr",
            "form",
            "organ",
            "oper",
            "feud",
            "gyro",
            "adjust",
            "homolog",
            "control",
            "y",
            "sky",
            "ey",
            "communicat",
            "troubl",
            "conflat",
            "migrat",
            "happ",
            "a",
            "abl",
            "ion",
            "caress",
            "pon",
        ];
        let ends = [
            "", "s", "es", "ies", "sses", "ed", "eed", "ing", "y", "e", "ational", "tional", "tion", "ion", "ions",
            "enci", "izer", "ization", "ator", "alism", "iveness", "fulness", "ousness", "aliti", "biliti", "icate",
            "ative", "alize", "ical", "ful", "ness", "al", "ance", "er", "ible", "ement", "ment", "ent", "ou", "ism",
            "ate", "iti", "ous", "ive", "ize", "ll", "logi", "sion", "ss", "eli", "alli", "ying", "ly",
        ];
        let words: Vec<String> =
            roots.iter().flat_map(|root| ends.iter().map(move |end| format!("{root}{end}"))).collect();
        for (word, expected) in words.iter().zip(indexed(&words)) {
            assert_eq!(stemmed(word), expected, "{word}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
        #[test]
        fn stems_of_any_word_are_those_of_the_index(words in prop::collection::vec("[a-z]{1,12}|[aeioustylnbz]{1,9}(ed|ing|s|e|y|ion|al)", 40)) {
            for (word, expected) in words.iter().zip(indexed(&words)) {
                prop_assert_eq!(stemmed(word), expected, "{}", word);
            }
        }
    }
}
