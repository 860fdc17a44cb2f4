//! The limits of a document, in one setting: `tokens=3000,cost=4000`. What is not named keeps its default.

use berth_router::Limits;

use super::{Config, Refusal};

type Limit = (&'static str, usize, fn(&mut Limits) -> &mut usize);

/// Name, largest value and place of each. What is walked by recursion is bounded by the stack.
const NAMES: [Limit; 12] = [
    ("bytes", 256 * 1024, |limits| &mut limits.query_bytes),
    ("tokens", 10_000, |limits| &mut limits.tokens),
    ("depth", 60, |limits| &mut limits.depth),
    ("aliases", 10_000, |limits| &mut limits.aliases),
    ("root_fields", 10_000, |limits| &mut limits.root_fields),
    ("directives", 10_000, |limits| &mut limits.directives),
    ("selections", 100_000, |limits| &mut limits.selections),
    ("selection_set", 10_000, |limits| &mut limits.selection_set),
    ("repeats", 1_000_000, |limits| &mut limits.repeats),
    ("spreads", 64, |limits| &mut limits.spreads),
    ("introspection_lists", 5, |limits| &mut limits.introspection_lists),
    ("cost", 1_000_000, |limits| &mut limits.cost),
];

impl Config {
    /// The limits of a document.
    pub fn limits(&self) -> Result<Limits, Refusal> {
        let mut limits = Limits::default();
        for part in self.document_limits.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let known = NAMES.iter().find(|(known, ..)| *known == name.trim());
            let (_, largest, place) = known.ok_or_else(|| refused(format!("{:?} is no limit of a document", name.trim())))?;
            let value = value.trim().parse().ok().filter(|value| (1..=*largest).contains(value));
            *place(&mut limits) = value.ok_or_else(|| refused(format!("{} must be between 1 and {largest}", name.trim())))?;
        }
        Ok(limits)
    }
}

fn refused(problem: String) -> Refusal {
    Refusal::new("document_limits", problem, "BERTH_DOCUMENT_LIMITS=selections=8000,cost=4000")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> Result<Limits, String> {
        let config = Config { document_limits: text.to_owned(), ..Config::default() };
        config.limits().map_err(|refusal| refusal.to_string())
    }

    #[test]
    fn what_is_named_changes_and_the_rest_stays() {
        let changed = limits(" selections=8000, cost = 4000,").unwrap();
        assert_eq!((changed.selections, changed.cost, changed.tokens), (8_000, 4_000, 2_000));
        assert_eq!(limits("").unwrap().selections, 5_000);
    }

    #[test]
    fn other_names_and_values_are_refused() {
        for wrong in ["selection=1", "selections", "cost=0", "cost=-1", "tokens=10001", "depth=many"] {
            let refusal = limits(wrong).map(drop).unwrap_err();
            assert!(refusal.starts_with("document_limits: "), "{refusal}");
        }
    }
}
