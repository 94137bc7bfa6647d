//! A chat template as Ollama has it: a template of Go that goes over the messages.
//!
//! What stands around each message is read off conversations that the template writes itself, and the
//! result is compared on others. Templates whose frames depend on more than the role have no such form.

use super::{Message, Role, Template};
use crate::tokenizer::Tokenizer;

/// Contents that stand for any: letters only, so that nothing is trimmed or escaped.
const SYSTEM: &str = "qqsystemqq";
const USER: [&str; 3] = ["qquseroneqq", "qqusertwoqq", "qquserthreeqq"];
const ASSISTANT: [&str; 2] = ["qqassistantoneqq", "qqassistanttwoqq"];

/// What is written before and after the content of a role.
struct Frames {
    system: [String; 2],
    user: [String; 2],
    assistant: [String; 2],
}

impl Template {
    /// The same as a template of Go over `.Messages`; none where it cannot be said that way. The begin
    /// mark is left out, which Ollama puts in front itself.
    pub fn go(&self, tokenizer: &Tokenizer) -> Option<String> {
        let frames = Frames::of(self, tokenizer)?;
        let user = |index: usize| (Role::User, USER[index]);
        let assistant = |index: usize| (Role::Assistant, ASSISTANT[index]);
        let long = [(Role::System, SYSTEM), user(0), assistant(0), user(1), assistant(1), user(2)];
        for messages in [&long[..], &long[1..], &long[..2], &long[1..2]] {
            if frames.written(messages) != self.plain_text(messages, tokenizer)? {
                return None;
            }
        }
        let text = frames.go();
        let braces = text.matches("{{").count() != text.matches("{{ ").count();
        (!braces && !text.contains("\"\"\"")).then_some(text)
    }

    /// A conversation up to where an answer begins, without the begin mark.
    fn plain_text(&self, messages: &[(Role, &str)], tokenizer: &Tokenizer) -> Option<String> {
        let messages: Vec<Message> =
            messages.iter().map(|(role, content)| Message::new(*role, *content)).collect();
        let text = self.render(&messages.into(), tokenizer, true).ok()?.text();
        let begin = tokenizer.special_name(tokenizer.bos()).unwrap_or_default();
        Some(text.strip_prefix(begin).unwrap_or(&text).to_owned())
    }
}

/// What stands around contents in a text: one piece more than there are contents.
fn around<'a>(mut text: &'a str, contents: &[&str]) -> Option<Vec<&'a str>> {
    let mut pieces = Vec::new();
    for content in contents {
        let (before, after) = text.split_once(content)?;
        pieces.push(before);
        text = after;
    }
    pieces.push(text);
    Some(pieces)
}

impl Frames {
    fn of(template: &Template, tokenizer: &Tokenizer) -> Option<Frames> {
        let [one, two, _] = USER;
        let answer = ASSISTANT[0];
        let turns = [(Role::User, one), (Role::Assistant, answer), (Role::User, two)];
        let text = template.plain_text(&turns, tokenizer)?;
        let [before_user, to_answer, after_answer, last] = *around(&text, &[one, answer, two])?
        else {
            return None;
        };
        // Two questions in a row tell the end of a question from the beginning of an answer; where the
        // template refuses these, they never come apart.
        let twice = [(Role::User, one), (Role::User, two)];
        let between = template.plain_text(&twice, tokenizer);
        let after_user = between
            .as_deref()
            .and_then(|text| Some(around(text, &[one, two])?[1]))
            .and_then(|between| between.strip_suffix(before_user))
            .unwrap_or("");
        let before_answer = to_answer.strip_prefix(after_user)?;
        (last == to_answer).then_some(())?;
        let ask = [(Role::System, SYSTEM), (Role::User, one)];
        let text = template.plain_text(&ask, tokenizer)?;
        let [before_system, after_system, _] = *around(&text, &[SYSTEM, one])? else { return None };
        let pair = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        Some(Frames {
            system: pair(before_system, after_system.strip_suffix(before_user)?),
            user: pair(before_user, after_user),
            assistant: pair(before_answer, after_answer.strip_suffix(before_user)?),
        })
    }

    fn frame(&self, role: Role) -> &[String; 2] {
        match role {
            Role::System => &self.system,
            Role::User | Role::Tool => &self.user,
            Role::Assistant => &self.assistant,
        }
    }

    /// What the template of Go writes.
    fn written(&self, messages: &[(Role, &str)]) -> String {
        let framed = |(role, content): &(Role, &str)| {
            let [before, after] = self.frame(*role);
            format!("{before}{content}{after}")
        };
        let turns: String = messages.iter().map(framed).collect();
        format!("{turns}{}", self.assistant[0])
    }

    fn go(&self) -> String {
        let branch = |role: Role| {
            let [before, after] = self.frame(role);
            format!("if eq .Role \"{}\" }}}}{before}{{{{ .Content }}}}{after}", role.name())
        };
        format!(
            "{{{{ range .Messages }}}}{{{{ {}{{{{ else {}{{{{ else {}{{{{ end }}}}{{{{ end }}}}{}",
            branch(Role::System),
            branch(Role::User),
            branch(Role::Assistant),
            self.assistant[0]
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::Date;
    use super::*;

    fn tokenizer() -> Tokenizer {
        let texts = ["qq one two three system user assistant header end of text"; 3];
        Tokenizer::train_bpe(texts.into_iter().map(Ok), 300).unwrap()
    }

    #[test]
    fn the_form_of_llama_3_goes_over_the_messages() {
        let go = Template::llama3(Date::STANDARD).go(&tokenizer()).unwrap();
        let frame = |role: &str| {
            format!(
                "if eq .Role \"{role}\" }}}}<|start_header_id|>{role}<|end_header_id|>\n\n\
                 {{{{ .Content }}}}<|eot_id|>"
            )
        };
        assert_eq!(
            go,
            format!(
                "{{{{ range .Messages }}}}{{{{ {}{{{{ else {}{{{{ else {}{{{{ end }}}}{{{{ end }}}}\
                 <|start_header_id|>assistant<|end_header_id|>\n\n",
                frame("system"),
                frame("user"),
                frame("assistant")
            )
        );
    }

    #[test]
    fn a_template_that_counts_its_messages_has_no_such_form() {
        let room = tempfile::tempdir().unwrap();
        let file = room.path().join("t.jinja");
        let source = "{{ bos_token }}{% for m in messages %}{{ loop.index }} {{ m.role }}: \
                      {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}A: {% endif %}";
        files::write_atomic(&file, |out| out.write_all(source.as_bytes())).unwrap();
        let template = Template::from_file(&file, Date::STANDARD).unwrap();
        assert_eq!(template.go(&tokenizer()), None);
    }
}
