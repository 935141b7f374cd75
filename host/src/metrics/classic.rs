//! Prometheus' older text format, made of OpenMetrics: counters are named in full where they are described, and there are no units and
//! no end.

use std::collections::HashSet;

/// `open` is OpenMetrics, as it is written here: no exemplars, no time stamps.
pub(super) fn classic(open: &str) -> String {
    let counters: HashSet<&str> = open.lines().filter_map(counter).collect();
    let mut text = String::with_capacity(open.len());
    for line in open.lines() {
        match line.strip_prefix("# ").map(|rest| rest.splitn(3, ' ').collect::<Vec<_>>()).as_deref() {
            Some([word @ ("HELP" | "TYPE"), name, rest]) => {
                let total = if counters.contains(name) { "_total" } else { "" };
                text += &format!("# {word} {name}{total} {rest}\n");
            }
            Some(_) => {}
            None => text += &format!("{line}\n"),
        }
    }
    text
}

fn counter(line: &str) -> Option<&str> {
    line.strip_prefix("# TYPE ")?.strip_suffix(" counter")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_described_by_their_whole_name() {
        let open = "# HELP a_b Seen.\n# TYPE a_b counter\na_b_total{c=\"# d\"} 1\n# HELP e Now.\n# TYPE e gauge\n# UNIT e s\ne 2\n# EOF\n";
        let wanted = "# HELP a_b_total Seen.\n# TYPE a_b_total counter\na_b_total{c=\"# d\"} 1\n# HELP e Now.\n# TYPE e gauge\ne 2\n";
        assert_eq!(classic(open), wanted);
    }
}
