//! Scripts → simple commands, as a POSIX shell splits them: quotes, escapes,
//! comments, operators. Nothing is expanded.

/// Commands of one script; the rest is not looked at.
const COMMANDS_MAX: usize = 20_000;

/// Each simple command as its words, and its line, from 0.
pub(super) fn commands(text: &str) -> Vec<(u32, Vec<String>)> {
    let mut commands = Vec::new();
    let mut words: Vec<String> = Vec::new();
    let mut word: Option<String> = None;
    let (mut line, mut began) = (0_u32, 0_u32);
    let mut letters = text.chars().peekable();
    let mut quote: Option<char> = None;
    while let Some(letter) = letters.next() {
        if letter == '\n' {
            line = line.saturating_add(1);
        }
        if let Some(open) = quote {
            match letter {
                _ if letter == open => quote = None,
                '\\' if open == '"' => match letters.next() {
                    Some('\n') => line = line.saturating_add(1),
                    Some(next) => word.get_or_insert_default().push(next),
                    None => {}
                },
                _ => word.get_or_insert_default().push(letter),
            }
            continue;
        }
        match letter {
            '\'' | '"' => {
                quote = Some(letter);
                word.get_or_insert_default();
            }
            '\\' => match letters.next() {
                // A line that goes on; Windows ends lines in two letters.
                Some('\n') => line = line.saturating_add(1),
                Some('\r') if letters.next_if_eq(&'\n').is_some() => line = line.saturating_add(1),
                Some(next) => word.get_or_insert_default().push(next),
                None => {}
            },
            '#' if word.is_none() => while letters.next_if(|l| *l != '\n').is_some() {},
            // `2>&1`, `>out`: a redirection, not a word to install.
            '>' | '<' => {
                word = None;
                letters.next_if(|l| matches!(l, '>' | '&' | '<'));
                while letters.next_if(|l| matches!(l, ' ' | '\t')).is_some() {}
                while letters
                    .next_if(|l| !l.is_whitespace() && !matches!(l, ';' | '&' | '|'))
                    .is_some()
                {}
            }
            '$' => {
                word.get_or_insert_default().push('$');
                // What `${…}` holds may look like an operator.
                if letters.next_if_eq(&'{').is_some() {
                    while letters.next_if(|l| !matches!(l, '}' | '\n')).is_some() {}
                    letters.next_if_eq(&'}');
                }
            }
            ';' | '&' | '|' | '(' | ')' | '\n' | '`' => {
                words.extend(word.take());
                if !words.is_empty() {
                    commands.push((began, std::mem::take(&mut words)));
                    if commands.len() >= COMMANDS_MAX {
                        return commands;
                    }
                }
            }
            _ if letter.is_whitespace() => words.extend(word.take()),
            _ => {
                if words.is_empty() && word.is_none() {
                    began = line;
                }
                word.get_or_insert_default().push(letter);
            }
        }
    }
    words.extend(word);
    if !words.is_empty() {
        commands.push((began, words));
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::commands;

    fn shown(text: &str) -> Vec<String> {
        commands(text)
            .into_iter()
            .map(|(line, words)| format!("{line}: {}", words.join("|")))
            .collect()
    }

    #[test]
    fn quotes_escapes_comments_and_operators() {
        assert_eq!(
            shown("a 'b c' \"d\\\"e\" f\\ g # no\nh && i; (j | k) &\nl \\\n m 2>&1 >out n"),
            ["0: a|b c|d\"e|f g", "1: h", "1: i", "1: j", "1: k", "2: l|m|n"]
        );
        assert_eq!(shown("x \"$A\" ${B:-c;d} 'e"), ["0: x|$A|$|e"]);
        assert!(shown("").is_empty() && shown("# x").is_empty());
    }
}
