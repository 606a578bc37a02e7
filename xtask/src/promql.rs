//! What a PromQL expression names: metrics, the labels they are chosen and grouped by, and values.
//!
//! A scanner and no parser: whether an expression is well formed is for `promtool` to say. An
//! identifier that stands before a parenthesis, or before `by` and `without`, is a function, one
//! that is no word of the language is a metric.

/// One metric of an expression and what its braces say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selector {
    pub metric: String,
    pub matchers: Vec<Matcher>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matcher {
    pub label: String,
    /// Of `=~` and `!~`.
    pub is_regex: bool,
    pub value: String,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Named {
    pub selectors: Vec<Selector>,
    /// Of `by`, `without`, `on`, `ignoring`, `group_left` and `group_right`.
    pub grouped: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

const OPERATORS: [&str; 7] = ["and", "or", "unless", "bool", "offset", "inf", "nan"];
const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// All that an expression names.
pub(crate) fn named(expression: &str) -> Named {
    let tokens = tokens(expression);
    let mut named = Named::default();
    let mut at = 0;
    while at < tokens.len() {
        let Token::Word(word) = &tokens[at] else {
            at += 1;
            continue;
        };
        let next = tokens.get(at + 1);
        at += 1;
        if GROUPINGS.contains(&word.as_str()) {
            if next == Some(&Token::Sign('(')) {
                let end = end_of(&tokens, at, ')');
                named.grouped.extend(tokens[at..end].iter().filter_map(word_of));
                at = end;
            }
        } else if next == Some(&Token::Sign('{')) {
            let end = end_of(&tokens, at, '}');
            let matchers = matchers(&tokens[at + 1..end]);
            named.selectors.push(Selector { metric: word.clone(), matchers });
            at = end;
        } else if !OPERATORS.contains(&word.as_str()) && !is_function(next) {
            named.selectors.push(Selector { metric: word.clone(), matchers: Vec::new() });
        }
    }
    named
}

fn is_function(next: Option<&Token>) -> bool {
    match next {
        Some(Token::Sign(sign)) => *sign == '(',
        Some(Token::Word(word)) => word == "by" || word == "without",
        _ => false,
    }
}

fn word_of(token: &Token) -> Option<String> {
    if let Token::Word(word) = token { Some(word.clone()) } else { None }
}

fn end_of(tokens: &[Token], from: usize, sign: char) -> usize {
    let rest = tokens[from..].iter().position(|token| *token == Token::Sign(sign));
    rest.map_or(tokens.len(), |length| from + length)
}

fn matchers(tokens: &[Token]) -> Vec<Matcher> {
    tokens
        .split(|token| *token == Token::Sign(','))
        .filter_map(|matcher| {
            let label = matcher.first().and_then(word_of)?;
            let is_regex = matcher.contains(&Token::Sign('~'));
            let Some(Token::Text(value)) = matcher.last() else { return None };
            Some(Matcher { label, is_regex, value: value.clone() })
        })
        .collect()
}

/// Words, quoted texts and signs; numbers, durations, variables of Grafana and comments are left out.
fn tokens(expression: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
        let word = |text: &str| text.find(|c| !in_word(c)).unwrap_or(text.len());
        let length = match first {
            '"' | '\'' | '`' => {
                let inside = &rest[1..];
                let end = inside.find(first).unwrap_or(inside.len());
                tokens.push(Token::Text(inside[..end].to_owned()));
                (end + 2).min(rest.len())
            }
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '$' => 1 + word(&rest[1..]),
            '0'..='9' => word(rest),
            c if in_word(c) => {
                let end = word(rest);
                tokens.push(Token::Word(rest[..end].to_owned()));
                end
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(Token::Sign(c));
                }
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(expression: &str) -> String {
        let named = named(expression);
        let selectors = named.selectors.iter().map(|selector| {
            let matchers = selector.matchers.iter().map(|matcher| {
                let sign = if matcher.is_regex { "~" } else { "" };
                format!("{}{sign}{}", matcher.label, matcher.value)
            });
            format!("{}[{}]", selector.metric, matchers.collect::<Vec<_>>().join(" "))
        });
        let selectors: Vec<String> = selectors.collect();
        format!("{} / {}", selectors.join(" "), named.grouped.join(" ")).trim().to_owned()
    }

    #[test]
    fn metrics_labels_and_values_are_found() {
        for (expression, expected) in [
            ("up", "up[] /"),
            ("up == 0", "up[] /"),
            ("sum by (job, le) (rate(a_bucket[5m]))", "a_bucket[] / job le"),
            ("sum(a) by (job)", "a[] / job"),
            ("sum without (job) (a)", "a[] / job"),
            ("a{b=\"c\",d!~'e|f'} offset 10m", "a[bc d~e|f] /"),
            ("a{b='}'} > bool 1e3", "a[b}] /"),
            ("a / on (job) group_left (version) c", "a[] c[] / job version"),
            ("a unless b and c or d", "a[] b[] c[] d[] /"),
            ("rate(a{i=~\"$instance\"}[$__rate_interval])", "a[i~$instance] /"),
            ("a # not b\n+ c", "a[] c[] /"),
            ("time() - a", "a[] /"),
            ("max_over_time(a[1d:1m])", "a[] /"),
        ] {
            assert_eq!(shown(expression), expected, "{expression}");
        }
    }

    #[test]
    fn what_is_cut_off_ends() {
        for expression in ["a{", "a{b=\"", "sum by (", "\"", "a{b}", "$", "é{"] {
            named(expression);
        }
    }
}
