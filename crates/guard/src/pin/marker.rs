//! Environment markers as sums of products, so that the markers along every
//! path to a package can be put together. Comparisons are texts: nothing is
//! evaluated, only what is said twice or is made void by its opposite goes.

use std::collections::BTreeSet;

/// Products that one marker may have before it is given up as too long.
const PRODUCTS_MAX: usize = 64;
/// Brackets inside each other.
const DEPTH_MAX: usize = 32;

/// Comparisons that must all hold.
type Product = BTreeSet<String>;

/// When something is wanted: if all comparisons of any product hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct When {
    products: BTreeSet<Product>,
    /// True if products were lost because there were too many.
    pub(super) too_long: bool,
}

impl When {
    /// Always.
    pub(super) fn always() -> Self {
        Self { products: BTreeSet::from([Product::new()]), too_long: false }
    }

    /// Always, since it is not known when.
    pub(super) fn unknown() -> Self {
        Self { too_long: true, ..Self::always() }
    }

    /// In no environment.
    pub(super) fn never() -> Self {
        Self { products: BTreeSet::new(), too_long: false }
    }

    pub(super) fn is_never(&self) -> bool {
        self.products.is_empty() && !self.too_long
    }

    /// `text` as a marker; comparisons that `decide` knows the answer to are
    /// replaced by it. `None` if it is no marker.
    pub(super) fn read(text: &str, decide: &dyn Fn(&str) -> Option<bool>) -> Option<Self> {
        let tokens = tokens(text)?;
        let mut parser = Parser { tokens: &tokens, decide };
        let when = parser.sum(0)?;
        parser.tokens.is_empty().then_some(when)
    }

    pub(super) fn and(&self, other: &Self) -> Self {
        if self.products.len() * other.products.len() > PRODUCTS_MAX * 16 {
            return Self::unknown();
        }
        let mut products = BTreeSet::new();
        for mine in &self.products {
            for theirs in &other.products {
                let product: Product = mine.union(theirs).cloned().collect();
                if !product.iter().any(|one| product.contains(&opposite(one))) {
                    products.insert(product);
                }
            }
        }
        Self { products, too_long: self.too_long || other.too_long }.tidied()
    }

    pub(super) fn or(&self, other: &Self) -> Self {
        let products = self.products.union(&other.products).cloned().collect();
        Self { products, too_long: self.too_long || other.too_long }.tidied()
    }

    /// Returns true if any comparison in it begins with or ends in the word `name`.
    pub(super) fn speaks_of(&self, name: &str) -> bool {
        self.products.iter().flatten().any(|one| one.split(' ').any(|word| word == name))
    }

    /// As a marker is written; `None` if it always holds.
    pub(super) fn text(&self) -> Option<String> {
        let is_one = self.products.len() == 1;
        let shown: Vec<String> = self
            .products
            .iter()
            .map(|product| {
                let text = product.iter().map(String::as_str).collect::<Vec<_>>().join(" and ");
                if is_one || product.len() == 1 { text } else { format!("({text})") }
            })
            .collect();
        let always = self.products.iter().any(BTreeSet::is_empty);
        (!always && !shown.is_empty()).then(|| shown.join(" or "))
    }

    /// Without products that others make needless; `a or not a` is nothing.
    fn tidied(mut self) -> Self {
        loop {
            let merged = self.products.iter().find_map(|product| {
                product.iter().find_map(|one| {
                    let mut rest = product.clone();
                    rest.remove(one);
                    let mut other = rest.clone();
                    other.insert(opposite(one));
                    self.products.contains(&other).then_some((product.clone(), other, rest))
                })
            });
            let Some((one, other, rest)) = merged else { break };
            self.products.remove(&one);
            self.products.remove(&other);
            self.products.insert(rest);
        }
        let all = self.products.clone();
        self.products.retain(|product| {
            !all.iter().any(|other| other != product && other.is_subset(product))
        });
        if self.products.len() > PRODUCTS_MAX {
            // What is wanted too often harms less than what is missing.
            return Self::unknown();
        }
        self
    }
}

/// The comparison that holds when `one` does not.
fn opposite(one: &str) -> String {
    const PAIRS: [(&str, &str); 8] = [
        (" == ", " != "),
        (" != ", " == "),
        (" <= ", " > "),
        (" >= ", " < "),
        (" < ", " >= "),
        (" > ", " <= "),
        (" not in ", " in "),
        (" in ", " not in "),
    ];
    PAIRS
        .iter()
        .find_map(|(sign, opposite)| {
            let (left, right) = one.split_once(sign)?;
            Some(format!("{left}{opposite}{right}"))
        })
        .unwrap_or_default()
}

#[derive(Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Part(String),
}

/// Words, signs and strings; strings in single quotes where they can be.
fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '(' | ')' => 1,
            '\'' | '"' => rest.get(1..)?.find(first)? + 2,
            '<' | '>' | '=' | '!' | '~' => {
                rest.find(|l| !matches!(l, '<' | '>' | '=' | '!' | '~')).unwrap_or(rest.len())
            }
            l if l.is_ascii_alphanumeric() || matches!(l, '_' | '.') => rest
                .find(|l: char| !l.is_ascii_alphanumeric() && !matches!(l, '_' | '.'))
                .unwrap_or(rest.len()),
            _ => return None,
        };
        let (token, after) = rest.split_at_checked(end)?;
        tokens.push(match token {
            "(" => Token::Open,
            ")" => Token::Close,
            "and" => Token::And,
            "or" => Token::Or,
            _ if first == '"' && !token.contains('\'') => {
                Token::Part(format!("'{}'", token.trim_matches('"')))
            }
            _ => Token::Part(token.to_owned()),
        });
        rest = after.trim_start();
    }
    Some(tokens)
}

struct Parser<'t> {
    tokens: &'t [Token],
    decide: &'t dyn Fn(&str) -> Option<bool>,
}

impl Parser<'_> {
    fn next_is(&mut self, token: &Token) -> bool {
        match self.tokens.split_first() {
            Some((first, rest)) if first == token => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    fn sum(&mut self, depth: usize) -> Option<When> {
        let mut when = self.product(depth)?;
        while self.next_is(&Token::Or) {
            when = when.or(&self.product(depth)?);
        }
        Some(when)
    }

    fn product(&mut self, depth: usize) -> Option<When> {
        let mut when = self.one(depth)?;
        while self.next_is(&Token::And) {
            when = when.and(&self.one(depth)?);
        }
        Some(when)
    }

    fn one(&mut self, depth: usize) -> Option<When> {
        if self.next_is(&Token::Open) {
            let when = if depth < DEPTH_MAX { self.sum(depth + 1)? } else { return None };
            return self.next_is(&Token::Close).then_some(when);
        }
        let mut parts = Vec::new();
        while let Some((Token::Part(part), rest)) = self.tokens.split_first() {
            parts.push(part.as_str());
            self.tokens = rest;
        }
        if !matches!(parts.len(), 3 | 4) {
            return None;
        }
        let comparison = parts.join(" ");
        Some(match (self.decide)(&comparison) {
            Some(true) => When::always(),
            Some(false) => When::never(),
            None => {
                When { products: BTreeSet::from([BTreeSet::from([comparison])]), too_long: false }
            }
        })
    }
}

/// Decides `extra == 'name'` and `'name' in extras` by the names that were
/// chosen, and the same for dependency groups.
pub(super) fn decided(comparison: &str, extras: &[String], groups: &[String]) -> Option<bool> {
    let words: Vec<&str> = comparison.split(' ').collect();
    let name = |text: &str| crate::name::pep503(text.trim_matches(['\'', '"']));
    let is_chosen =
        |chosen: &[String], text: &str| chosen.iter().any(|c| crate::name::pep503(c) == name(text));
    match words.as_slice() {
        ["extra", "==", value] | [value, "==", "extra"] | [value, "in", "extras"] => {
            Some(is_chosen(extras, value))
        }
        ["extra", "!=", value] | [value, "!=", "extra"] | [value, "not", "in", "extras"] => {
            Some(!is_chosen(extras, value))
        }
        [value, "in", "dependency_groups"] => Some(is_chosen(groups, value)),
        [value, "not", "in", "dependency_groups"] => Some(!is_chosen(groups, value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> When {
        When::read(text, &|_| None).unwrap()
    }

    #[test]
    fn markers_come_back_in_one_spelling() {
        for (text, expected) in [
            ("python_version>=\"3.9\"", "python_version >= '3.9'"),
            ("(a == 'b')", "a == 'b'"),
            (
                "a == 'b' and (c == 'd' or e == 'f')",
                "(a == 'b' and c == 'd') or (a == 'b' and e == 'f')",
            ),
            ("'x' not in a or b == 'y y'", "'x' not in a or b == 'y y'"),
            ("a == 'b' or a == 'b' and c == 'd'", "a == 'b'"),
        ] {
            assert_eq!(read(text).text().as_deref(), Some(expected), "{text}");
        }
        for bad in ["", "a ==", "a == 'b' and", "(a == 'b'", "a == 'b", "a == 'b')", "a b c d e"] {
            assert!(When::read(bad, &|_| None).is_none(), "{bad}");
        }
    }

    #[test]
    fn opposites_cancel() {
        assert_eq!(read("a == 'b' or a != 'b'").text(), None);
        assert_eq!(read("c == 'd' and (a < '3' or a >= '3')").text().as_deref(), Some("c == 'd'"));
        assert!(read("a == 'b' and a != 'b'").is_never());
    }

    #[test]
    fn extras_and_groups_are_decided_by_what_was_chosen() {
        let with = |text: &str| {
            When::read(text, &|c| decided(c, &["Proxy_X".into()], &["dev".into()])).unwrap()
        };
        assert_eq!(with("extra == 'proxy-x' and a == 'b'").text().as_deref(), Some("a == 'b'"));
        assert!(with("extra == 'other'").is_never());
        assert_eq!(with("'dev' in dependency_groups or 'x' in extras"), When::always());
    }

    #[test]
    fn a_marker_that_grows_too_long_is_wanted_everywhere_and_says_so() {
        let long: Vec<String> = (0..80).map(|n| format!("a == '{n}'")).collect();
        let when = read(&long.join(" or "));
        assert!(when.too_long && when.text().is_none());
    }
}
