//! Subscription patterns: an event's name, `namespace.*` or `*`. Their syntax was checked by the macro.

/// Whether events of that name are meant by the pattern.
///
/// `task.*` stands for any one or more segments after `task`: it means `task.failed`, neither `task` nor `tasks.failed`.
pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    if pattern == "*" {
        return true;
    }
    match pattern.strip_suffix(".*") {
        Some(namespace) => {
            name.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('.')).is_some_and(|rest| !rest.is_empty())
        }
        None => pattern == name,
    }
}

/// Whether the pattern at `index` also stands before it: the macro's check of subscriptions by path, whose names it cannot
/// see. `const`, so that it is an error at compile time.
#[must_use]
pub const fn is_repeated(patterns: &[&str], index: usize) -> bool {
    let mut earlier = 0;
    while earlier < index {
        if is_same(patterns[earlier].as_bytes(), patterns[index].as_bytes()) {
            return true;
        }
        earlier += 1;
    }
    false
}

/// `==` of byte strings, which is not `const` yet.
const fn is_same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let mut index = 0;
    while index < a.len() {
        if a[index] != b[index] {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_itself() {
        assert!(matches("task.failed", "task.failed"));
        assert!(!matches("task.failed", "task.failed_twice"));
    }

    #[test]
    fn a_wildcard_means_whole_segments() {
        assert!(matches("task.*", "task.failed"));
        assert!(!matches("task.*", "task"));
        assert!(!matches("task.*", "task."));
        assert!(!matches("task.*", "tasks.failed"));
        assert!(!matches("task.*", "observability.task.start"));
        assert!(matches("observability.*", "observability.task.start"));
        assert!(matches("observability.task.*", "observability.task.start"));
    }

    #[test]
    fn a_star_means_everything() {
        assert!(matches("*", "task.failed"));
        assert!(matches("*", "payment.risk_flagged"));
    }

    #[test]
    fn the_second_of_two_equals_is_repeated() {
        let patterns = ["a.b", "a.c", "a.b"];
        assert_eq!([0, 1, 2].map(|index| is_repeated(&patterns, index)), [false, false, true]);
    }
}
