//! Whether a tokenizer belongs to a model, as far as ids can tell.

use model::Config;
use text::tokenizer::Tokenizer;

/// Compares a model's vocabulary and marks with a tokenizer's. A begin or end mark that is another
/// special token is a warning: instruction-tuned models end their answers with one of their own. A
/// model may have more ids than the tokenizer, which pads its matrices.
///
/// # Errors
/// What shows that the two do not belong together.
pub(crate) fn compare(config: &Config, tokenizer: &Tokenizer) -> Result<Vec<String>, String> {
    let (size, vocab) = (tokenizer.vocab_size(), config.vocab);
    if size > vocab {
        return Err(format!("it has {size} ids, the model's vocabulary has {vocab}"));
    }
    let (bos, eos) = (tokenizer.bos(), tokenizer.eos());
    let begin = ("bos_token_id", config.bos.as_slice(), bos);
    let ends = ("eos_token_id", config.eos.as_slice(), eos);
    let mut warnings = Vec::new();
    for (key, marks, own) in [begin, ends] {
        if let Some(&id) = marks.iter().find(|&&id| tokenizer.special_name(id).is_none()) {
            let found = match tokenizer.token_bytes(id) {
                Some(bytes) => format!("the text {:?}", String::from_utf8_lossy(bytes)),
                None => "no token".to_owned(),
            };
            return Err(format!(
                "the model's {key} {id} is {found} here, expected a special token such as {own}"
            ));
        }
        if let Some(other) = marks.first().filter(|_| !marks.contains(&own)) {
            let (name, expected) = (tokenizer.special_name(*other), tokenizer.special_name(own));
            let (name, expected) = (name.unwrap_or_default(), expected.unwrap_or_default());
            warnings.push(format!("{expected} is {own}, the model's {key} is {other}, {name}"));
        }
    }
    Ok(warnings)
}
