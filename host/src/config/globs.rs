//! Patterns for names: `*` stands for any text, `?` for one character, everything else for itself.

/// Whether one of the patterns fits the whole name.
pub(super) fn matches_any(patterns: &[String], name: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, name))
}

/// In steps of at most the one length times the other, whatever the pattern is: only the last `*` is ever tried again.
fn matches(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (pattern.chars(), name.chars());
    let mut again = None;
    loop {
        let at_name = name.clone();
        match (pattern.next(), name.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                name = at_name.clone();
                again = Some((pattern.clone(), at_name));
            }
            (Some('?'), Some(_)) => {}
            (Some(wanted), Some(found)) if wanted == found => {}
            _ => {
                let Some((behind, mut longer)) = again.take() else { return false };
                if longer.next().is_none() {
                    return false;
                }
                (pattern, name) = (behind.clone(), longer.clone());
                again = Some((behind, longer));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn patterns_fit_whole_names() {
        for (pattern, name) in [
            ("ada", "ada"),
            ("*", ""),
            ("*", "any"),
            ("a*", "a"),
            ("*@example.org", "bob@example.org"),
            ("a*b*c", "aXbbYc"),
            ("?é?", "aéb"),
            ("**a", "bca"),
        ] {
            assert!(matches(pattern, name), "{pattern} and {name}");
        }
        for (pattern, name) in
            [("ada", "Ada"), ("", "a"), ("?", ""), ("a*", "ba"), ("*a", "ab"), ("a?c", "ac"), ("a*b*c", "acb")]
        {
            assert!(!matches(pattern, name), "{pattern} and {name}");
        }
    }

    /// The same rule, told simply.
    fn told_simply(pattern: &[char], name: &[char]) -> bool {
        match (pattern, name) {
            ([], []) => true,
            (['*', rest @ ..], _) => (0..=name.len()).any(|cut| told_simply(rest, &name[cut..])),
            (['?', rest @ ..], [_, behind @ ..]) => told_simply(rest, behind),
            ([wanted, rest @ ..], [found, behind @ ..]) => wanted == found && told_simply(rest, behind),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn pattern_fits_as_the_rule_says(pattern in "[ab*?]{0,8}", name in "[abc]{0,8}") {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &name), told_simply(&letters(&pattern), &letters(&name)));
        }
    }
}
