//! What somebody may have meant.

/// The nearest of the known names, if it is near enough to be a slip of the fingers, or the beginning or end of a longer one.
pub(super) fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let name = name.to_ascii_lowercase();
    let distance = |candidate: &str| {
        let steps = strsim::damerau_levenshtein(&name, candidate);
        let part = name.len() >= 4 && (candidate.starts_with(&name) || candidate.ends_with(&name));
        let last = candidate.rsplit('.').next().unwrap_or(candidate);
        if part { steps.min(2) } else { steps.min(strsim::damerau_levenshtein(&name, last) + 1) }
    };
    // Far longer names are no slips, and comparing them takes time.
    if name.len() > 100 {
        return None;
    }
    let (steps, found) = known.map(|candidate| (distance(candidate), candidate)).min_by_key(|(steps, _)| *steps)?;
    (steps <= 1 + name.len() / 4).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_seen_through() {
        let known = ["service_name", "service_version", "otlp.endpoint", "enabled"];
        let near = |name: &str| nearest(name, known.into_iter());
        assert_eq!(near("servce_name"), Some("service_name"));
        assert_eq!(near("Enabeld"), Some("enabled"));
        assert_eq!(near("endpoint"), Some("otlp.endpoint"));
        assert_eq!(near("zebra"), None);
        assert_eq!(near(&"x".repeat(1_000_000)), None);
    }
}
