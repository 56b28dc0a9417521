//! Names of tools that an upstream refuses, and back.
//!
//! OpenAI takes names of 64 characters, Anthropic of 128, both only letters,
//! digits, `_` and `-`; names of MCP tools are longer. A name that does not fit
//! goes up as its beginning, a digest of the whole, and its end: the same in
//! every turn, so that prompts stay cached. What it stands for is found anew in
//! each request, so that nothing is remembered, and put back into the answer,
//! streamed or not. Where client and upstream speak one dialect, names are the
//! client's own affair.

use crate::Dialect;
use crate::model::{Content, Event, Opening, Part, Request, Response, Tool, ToolChoice};
use crate::tool_ids::digest;
use std::collections::{HashMap, HashSet};

/// The names of one request that were replaced: what goes up, and what it
/// stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolNames(HashMap<String, String>);

/// Characters of a name's beginning that are kept.
const HEAD: usize = 16;
/// What the digest takes of a name, with a `_` before it.
const DIGEST: usize = 13;

impl ToolNames {
    /// Replaces the names in `request` that `theirs` refuses; none where all
    /// fit.
    pub fn fit(request: &mut Request, theirs: Dialect) -> Option<Self> {
        let longest = theirs.contract().longest_tool_name;
        // What a provider makes of no name at all is its to say.
        let fits = |name: &str| name.len() <= longest && name.bytes().all(is_allowed);
        let mut all = HashSet::new();
        each(request, &mut |name| {
            if !all.contains(name) {
                all.insert(name.clone());
            }
        });
        let mut unfit: Vec<&String> = all.iter().filter(|name| !fits(name)).collect();
        if unfit.is_empty() {
            return None;
        }
        // In order, so that two that meet are told apart alike every time.
        unfit.sort_unstable();
        let mut sent = HashMap::new();
        let mut meant = HashMap::new();
        for name in unfit {
            let free = |short: &String| !all.contains(short) && !meant.contains_key(short);
            let Some(short) = (0..1_000).map(|salt| shortened(name, longest, salt)).find(free)
            else {
                continue;
            };
            sent.insert(name.clone(), short.clone());
            meant.insert(short, name.clone());
        }
        each(request, &mut |name| {
            if let Some(short) = sent.get(name) {
                name.clone_from(short);
            }
        });
        Some(Self(meant))
    }

    /// Puts the client's names back into an answer.
    pub fn restore(&self, response: &mut Response) {
        for part in response.choices.iter_mut().flat_map(|choice| &mut choice.parts) {
            self.part(part);
        }
    }

    /// Puts the client's names back into an event of a stream.
    pub fn restore_event(&self, event: &mut Event) {
        match event {
            Event::Open { opening: Opening::ToolCall { name, .. }, .. } => self.name(name),
            Event::Open { opening: Opening::Whole(part), .. } => self.part(part),
            _ => {}
        }
    }

    fn part(&self, part: &mut Part) {
        if let Content::ToolCall { name, .. } = &mut part.content {
            self.name(name);
        }
    }

    fn name(&self, name: &mut String) {
        if let Some(meant) = self.0.get(name) {
            name.clone_from(meant);
        }
    }
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Every name of a function that `request` says as such.
fn each(request: &mut Request, take: &mut impl FnMut(&mut String)) {
    for tool in &mut request.tools {
        if let Tool::Function { name, .. } = tool {
            take(name);
        }
    }
    match &mut request.tool_choice {
        Some(ToolChoice::Named(name)) => take(name),
        Some(ToolChoice::Allowed { names, .. }) => names.iter_mut().for_each(&mut *take),
        _ => {}
    }
    for part in request.turns.iter_mut().flat_map(|turn| &mut turn.parts) {
        if let Content::ToolCall { name, .. } = &mut part.content {
            take(name);
        }
    }
}

/// The beginning, a digest of all of it, and the end, where a tool of an MCP
/// server says what it does.
fn shortened(name: &str, longest: usize, salt: usize) -> String {
    let allowed: Vec<char> =
        name.chars().map(|c| if u8::try_from(c).is_ok_and(is_allowed) { c } else { '_' }).collect();
    let kept = longest - DIGEST - 1;
    let (head, tail) = if allowed.len() <= kept {
        (allowed.as_slice(), [].as_slice())
    } else {
        let (head, rest) = allowed.split_at(HEAD);
        let (_, tail) = rest.split_at(rest.len() - (kept - HEAD));
        (head, tail)
    };
    let hash = digest(name, salt) & 0xffff_ffff_ffff;
    let head: String = head.iter().collect();
    let tail: String = tail.iter().collect();
    let between = if tail.is_empty() { "" } else { "_" };
    format!("{head}_{hash:012x}{between}{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Role, ToolKind, Turn};
    use proptest::prelude::*;

    fn call(name: &str) -> Part {
        let (id, arguments) = ("c1".to_owned(), "{}".to_owned());
        Content::ToolCall { id, name: name.to_owned(), arguments, kind: ToolKind::Function }.into()
    }

    fn tool(name: &str) -> Tool {
        Tool::Function {
            name: name.to_owned(),
            description: None,
            parameters: None,
            strict: None,
            cache: None,
            extensions: Vec::new(),
        }
    }

    fn request(names: &[String]) -> Request {
        let parts = names.iter().map(|name| call(name)).collect();
        Request {
            tools: names.iter().map(|name| tool(name)).collect(),
            tool_choice: names.first().cloned().map(ToolChoice::Named),
            turns: vec![Turn { role: Role::Assistant, name: None, parts }],
            ..Request::default()
        }
    }

    fn names(request: &Request) -> Vec<String> {
        let mut all = Vec::new();
        each(&mut request.clone(), &mut |name| all.push(name.clone()));
        all
    }

    #[test]
    fn a_long_name_keeps_its_beginning_and_its_end() {
        let long = format!("mcp__files__{}__read_one_file", "x".repeat(70));
        let mut asked = request(&[long.clone(), "short".to_owned()]);
        let map = ToolNames::fit(&mut asked, Dialect::OpenAiChat).unwrap();
        let [short, other] = [names(&asked)[0].clone(), names(&asked)[1].clone()];
        assert!(short.starts_with("mcp__files__xxxx_") && short.ends_with("__read_one_file"));
        assert_eq!((short.len(), other.as_str()), (64, "short"));
        assert!(!names(&asked).contains(&long), "also in the choice and the history");
        // The same in a later turn, beside other tools.
        let mut later = request(&["a".to_owned(), long.clone()]);
        ToolNames::fit(&mut later, Dialect::OpenAiChat).unwrap();
        assert_eq!(names(&later)[1], short);
        let mut event = Event::Open {
            choice: 0,
            part: 0,
            opening: Opening::ToolCall {
                id: "c".to_owned(),
                name: short,
                kind: ToolKind::Function,
                signature: None,
                extensions: Vec::new(),
            },
        };
        map.restore_event(&mut event);
        let Event::Open { opening: Opening::ToolCall { name, .. }, .. } = event else { panic!() };
        assert_eq!(name, long);
    }

    #[test]
    fn names_that_fit_are_left_alone() {
        let long = "x".repeat(100);
        let mut asked = request(&[long]);
        let before = asked.clone();
        assert_eq!(ToolNames::fit(&mut asked, Dialect::AnthropicMessages), None);
        assert_eq!(asked, before);
    }

    #[test]
    fn a_choice_among_some_tools_names_them_as_they_go_up() {
        let mut asked = request(&["files.read".to_owned(), "other".to_owned()]);
        let allowed = vec!["files.read".to_owned()];
        asked.tool_choice = Some(ToolChoice::Allowed { required: false, names: allowed });
        ToolNames::fit(&mut asked, Dialect::AnthropicMessages).unwrap();
        let short = names(&asked)[0].clone();
        let Some(ToolChoice::Allowed { names, .. }) = &asked.tool_choice else { panic!() };
        assert_eq!(names, &[short]);
    }

    proptest! {
        #[test]
        fn every_name_fits_none_meets_another_and_all_come_back(
            raw in proptest::collection::vec("[a-c.]{0,3}|[a-zA-Z_.é ]{60,140}", 1..6),
            openai in any::<bool>(),
        ) {
            let theirs = if openai { Dialect::OpenAiChat } else { Dialect::AnthropicMessages };
            let longest = if openai { 64 } else { 128 };
            let mut asked = request(&raw);
            let before = names(&asked);
            let map = ToolNames::fit(&mut asked, theirs).unwrap_or_default();
            let sent = names(&asked);
            for (one, first) in sent.iter().zip(&before) {
                prop_assert!(one.len() <= longest && one.bytes().all(is_allowed), "{one}");
                for (other, second) in sent.iter().zip(&before) {
                    prop_assert_eq!(one == other, first == second);
                }
            }
            let parts = asked.turns.into_iter().flat_map(|turn| turn.parts).collect();
            let choice = crate::model::Choice { parts, ..Default::default() };
            let mut answer = Response { choices: vec![choice], ..Response::default() };
            map.restore(&mut answer);
            prop_assert_eq!(&answer.choices[0].parts, &request(&raw).turns[0].parts);
        }
    }
}
