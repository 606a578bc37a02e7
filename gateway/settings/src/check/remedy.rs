//! What is wrong with a scalar, and what to do about it.

use super::Rule;
use super::rule::listing;
use crate::model::format::Format;
use crate::node::{Kind, Node, Value, kind_of_plain};
use crate::report::{nearest, quotable};

/// Message and remedy; `None` when the scalar is as the rule says.
type Found = Option<(String, String)>;

/// What to do about a node of another kind than the rule takes.
pub(super) fn of_mismatch(node: &Node, rule: &Rule<'_>) -> String {
    let is_scalar = matches!(node.value, Value::Scalar { .. });
    let plain_text = rule.takes("string") && rule.choices().is_none() && rule.format().is_none();
    if node.is_expanded() {
        return "look at what the variable or file holds".into();
    }
    if plain_text && is_quotable(node) {
        return "put it in quotes".into();
    }
    if let Some(help) = number_help(node, rule) {
        return help;
    }
    let help = if rule.takes("array") && is_scalar {
        "a list of one has brackets too: `[…]`"
    } else if rule.takes("object") {
        "write members below it, or `{ key: value }`"
    } else if rule.takes("array") {
        "write items below it, `- item`, or `[item]`"
    } else if rule.takes("boolean") {
        "write `true` or `false`, without quotes"
    } else if rule.takes("integer") {
        "write digits alone, without quotes"
    } else {
        "write one value here"
    };
    help.into()
}

/// Whether quotes would make it the text that was meant: scalars, and `[]` or `{}`.
fn is_quotable(node: &Node) -> bool {
    match &node.value {
        Value::Scalar { .. } => true,
        Value::Seq(items) => items.is_empty(),
        Value::Map(entries) => entries.is_empty(),
    }
}

/// A number where a duration or size should be, or a quoted number where a number should be.
fn number_help(node: &Node, rule: &Rule<'_>) -> Option<String> {
    let Value::Scalar { text, kind } = &node.value else { return None };
    if *kind == Kind::Number {
        let error = (rule.format()?.check)(text).err()?;
        return Some(error.help().into());
    }
    (rule.takes("integer") && kind_of_plain(text) == Kind::Number)
        .then(|| "remove the quotes".into())
}

/// What the file has for a scalar, as [`quotable`] has it.
pub(super) fn shown(node: &Node) -> String {
    quotable(node.written().unwrap_or(""))
}

/// Holds a scalar of the right kind against the rest of its rule.
pub(super) fn of_scalar(node: &Node, rule: &Rule<'_>) -> Found {
    let Value::Scalar { text, kind } = &node.value else { return None };
    if *kind == Kind::Null {
        return None;
    }
    if let Some(choices) = rule.choices() {
        return of_choice(node, text, &choices);
    }
    match rule.format() {
        Some(format) => of_format(node, text, format, rule),
        None if *kind == Kind::Number => {
            let value = text.parse().ok()?;
            of_bounds(node, value, (rule.number("minimum"), rule.number("maximum")), |bound| {
                bound.to_string()
            })
        }
        None => of_length(node, text, rule),
    }
}

fn of_choice(node: &Node, text: &str, choices: &[&str]) -> Found {
    if choices.contains(&text) {
        return None;
    }
    let help = match (nearest(text, choices.iter().copied()), choices) {
        (Some(near), _) => format!("did you mean `{near}`?"),
        (None, [only]) => format!("write `{only}`"),
        (None, _) => "write one of these words".into(),
    };
    Some((format!("`{}` is not {}", shown(node), listing(choices)), help))
}

fn of_format(node: &Node, text: &str, format: &Format, rule: &Rule<'_>) -> Found {
    if let Err(error) = (format.check)(text) {
        let message = if node.is_expanded() && !format.secret {
            format!("`{}` does not give {}", shown(node), format.noun)
        } else {
            let quoted = shown(node);
            let message = error.to_string();
            if *quoted == *text { message } else { message.replace(text, &quoted) }
        };
        return Some((message, error.help().into()));
    }
    let measure = format.measure?;
    let bound = |word| {
        let text = rule.text(word)?;
        Some((i128::from(measure(text).ok()?), text))
    };
    let (least, most) = (bound("x-minimum"), bound("x-maximum"));
    let value = i128::from(measure(text).ok()?);
    let numbers = (least.map(|(number, _)| number), most.map(|(number, _)| number));
    of_bounds(node, value, numbers, |number| {
        let written = [least, most].into_iter().flatten().find(|(known, _)| *known == number);
        written.map_or_else(|| number.to_string(), |(_, text)| text.into())
    })
}

fn of_bounds(
    node: &Node,
    value: i128,
    (least, most): (Option<i128>, Option<i128>),
    write: impl Fn(i128) -> String,
) -> Found {
    let message = match (least, most) {
        (Some(least), _) if value < least => {
            format!("{} is below the minimum of {}", shown(node), write(least))
        }
        (_, Some(most)) if value > most => {
            format!("{} is above the maximum of {}", shown(node), write(most))
        }
        _ => return None,
    };
    let help = match (least, most) {
        (Some(least), Some(most)) if least == most => format!("write {}", write(least)),
        (Some(least), Some(most)) => format!("from {} to {}", write(least), write(most)),
        (Some(least), None) => format!("{} or more", write(least)),
        (None, most) => format!("{} or less", most.map_or_else(String::new, &write)),
    };
    Some((message, help))
}

fn of_length(node: &Node, text: &str, rule: &Rule<'_>) -> Found {
    let length = text.chars().count() as i128;
    match (rule.number("minLength"), rule.number("maxLength")) {
        (Some(least), _) if length < least && least == 1 => {
            Some(("must not be empty".into(), "write a value, or remove the key".into()))
        }
        (Some(least), _) if length < least => {
            Some((format!("`{}` is too short", shown(node)), format!("{least} characters or more")))
        }
        (_, Some(most)) if length > most => {
            Some(("is too long".into(), format!("{most} characters or fewer")))
        }
        _ => None,
    }
}
