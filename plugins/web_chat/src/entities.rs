//! The HTML escaping of such a bridge: PHP's `htmlspecialchars` with `ENT_QUOTES`, done once to every text that it stores. Undone here for
//! what people wrote, and foreseen for what is posted, because the bridge's bound counts the escaped bytes.

use std::borrow::Cow;

/// Each entity that stands for one of the five characters, in the forms that PHP, Python and browsers write.
const ENTITIES: [(&str, char); 8] = [
    ("&amp;", '&'),
    ("&lt;", '<'),
    ("&gt;", '>'),
    ("&quot;", '"'),
    ("&#039;", '\''),
    ("&#39;", '\''),
    ("&#x27;", '\''),
    ("&apos;", '\''),
];

/// Undoes one round of escaping: `&amp;lt;` becomes `&lt;`, as it was written.
pub(crate) fn decode(text: &str) -> Cow<'_, str> {
    let Some(first) = text.find('&') else { return Cow::Borrowed(text) };
    let mut decoded = String::with_capacity(text.len());
    let (before, mut rest) = text.split_at(first);
    decoded.push_str(before);
    while let Some(character) = rest.chars().next() {
        let entity = ENTITIES.iter().find(|(entity, _)| rest.starts_with(entity));
        let (length, character) =
            entity.map_or((character.len_utf8(), character), |(name, plain)| (name.len(), *plain));
        decoded.push(character);
        rest = &rest[length..];
    }
    Cow::Owned(decoded)
}

/// Bytes that a character has after escaping.
pub(crate) fn escaped_len(character: char) -> usize {
    match character {
        '&' => "&amp;".len(),
        '<' | '>' => "&lt;".len(),
        '"' | '\'' => "&quot;".len(),
        _ => character.len_utf8(),
    }
}

/// Whether the bridge's copy of a text is the posted one: it trims what it stores, and bridges differ in whether they escape it.
pub(crate) fn is_copy(stored: &str, posted: &str) -> bool {
    let (stored, posted) = (stored.trim(), posted.trim());
    stored == posted || decode(stored) == posted
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As the bridge does it.
    fn escape(text: &str) -> String {
        let named = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        named.replace('"', "&quot;").replace('\'', "&#039;")
    }

    #[test]
    fn decode_undoes_one_round_only() {
        assert_eq!(decode("it&#039;s &quot;5 &lt; 6&quot; &amp; &gt;"), "it's \"5 < 6\" & >");
        assert_eq!(decode("&amp;lt;b&amp;gt; &amp;amp;"), "&lt;b&gt; &amp;");
        assert_eq!(decode("it&apos;s it&#39;s it&#x27;s"), "it's it's it's");
    }

    #[test]
    fn decode_leaves_what_is_no_entity_of_ours() {
        for text in ["", "a & b", "&", "&&", "&nbsp; &eacute; &#233;", "&am", "&quot", "grüße 👋"] {
            assert_eq!(decode(text), text);
        }
    }

    #[test]
    fn copy_is_recognised_trimmed_escaped_or_not() {
        assert!(is_copy("a &lt; b", " a < b\n"));
        assert!(is_copy("a < b", "a < b"));
        assert!(is_copy("&lt;", "&lt;") && is_copy("&amp;lt;", "&lt;"));
        assert!(!is_copy("a &lt; b", "a > b"));
    }

    proptest! {
        #[test]
        fn decoding_gives_back_what_was_escaped(text in "([&<>\"'#;a-z0-9]|\\PC|&[a-z#0-9]{1,4};){0,60}") {
            let escaped = escape(&text);
            prop_assert_eq!(decode(&escaped), text.as_str());
            prop_assert!(is_copy(&escaped, &text));
        }

        #[test]
        fn escaped_length_is_foreseen(text in "([&<>\"']|\\PC){0,60}") {
            prop_assert_eq!(text.chars().map(escaped_len).sum::<usize>(), escape(&text).len());
        }
    }
}
