//! What a rule or a reason of gaps means, for `keymoat explain`.

use crate::finding::Why;
use crate::rule::{Explained, Rule};

/// What documentation says of the rule or gap called `id`, as text.
pub fn explain(id: &str) -> Option<String> {
    if let Some(rule) = Rule::called(id) {
        let Explained { id, title, why, example, what_to_do } = rule.explained();
        return Some(format!(
            "{id}  {title}\n\nWhy it matters:   {why}\nExample:          {example}\nWhat to do first: {what_to_do}\n\nTo leave one finding alone, name it in a file for --ignore-file:\n\n[[ignore]]\nid = \"{id}\"\npackage = \"name==1.0\"   # or path = \"file\"\nreason = \"…\"\nexpires = 2026-12-31\n"
        ));
    }
    let why = Why::ALL.into_iter().find(|why| why.id().eq_ignore_ascii_case(id))?;
    let rule = super::rules::of_gap(why);
    Some(format!("{}  {}\n\nWhat to do first: {}\n", why.id(), rule.title, rule.help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_of_rules_names_every_rule_and_every_gap() {
        let page = include_str!("../../../../docs/rules.md");
        for rule in Rule::ALL {
            let row = format!("| `{rule}` | {} |", rule.explained().title);
            assert!(page.contains(&row), "docs/rules.md has no row {row}");
            assert!(explain(rule.id()).is_some_and(|text| text.contains(rule.explained().why)));
        }
        for why in Why::ALL {
            let row = format!("| `{}` |", why.id());
            assert!(page.contains(&row) && explain(why.id()).is_some(), "{row}");
        }
        assert!(explain("KM-NONE-001").is_none());
    }
}
