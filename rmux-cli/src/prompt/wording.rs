//! How the questions of connecting are worded, and which answers count.
//!
//! Must not know who is asked.

use std::io;

use rmux_core::{
    AgentKeyPrompt, HostKeyPrompt, HostKeysPrompt, KeyFingerprint, KeyboardInteractivePrompt,
    Secret,
};

use super::Asker;

/// How often a question is asked that gets no clear answer: a program could go on for ever.
const MOST_TRIES: u32 = 10;

/// In front of a question that was answered before.
pub(super) fn again(attempt: u32) -> &'static str {
    if attempt > 1 { "That was wrong. " } else { "" }
}

/// Only a typed yes, or the very fingerprint, is a yes: a program that asks may end well without
/// having asked anything.
pub(super) async fn host_key(asker: &mut Asker, prompt: &HostKeyPrompt) -> io::Result<bool> {
    asker.show(&format!(
        "{} is not known yet under the name {}. It shows this host key:\n  {} {}\n",
        prompt.host, prompt.known_as, prompt.algorithm, prompt.fingerprint
    ))?;
    let mut question = "Connect and remember the key (yes, no, or its fingerprint)? ";
    for _ in 0..MOST_TRIES {
        let Some(answer) = asker.line(question, true).await? else {
            return Ok(false);
        };
        let answer = answer.expose().trim();
        if answer.eq_ignore_ascii_case("yes") || answer == prompt.fingerprint {
            return Ok(true);
        }
        if answer.is_empty() || answer.eq_ignore_ascii_case("no") {
            return Ok(false);
        }
        question = if answer.starts_with("SHA256:") || answer.starts_with("MD5:") {
            "That is another key's fingerprint. Connect all the same (yes or no)? "
        } else {
            "Please type yes, no, or the fingerprint: "
        };
    }
    Ok(false)
}

/// Whether the keys that a server has proved to have replace those that are known.
pub(super) async fn host_keys(asker: &mut Asker, prompt: &HostKeysPrompt) -> io::Result<bool> {
    let lines = |sign: &str, keys: &[KeyFingerprint]| -> String {
        let line =
            |key: &KeyFingerprint| format!("  {sign} {} {}\n", key.algorithm, key.fingerprint);
        keys.iter().map(line).collect()
    };
    asker.show(&format!(
        "{} ({}) has other host keys than those remembered:\n{}{}",
        prompt.host,
        prompt.known_as,
        lines("new", &prompt.learned),
        lines("gone", &prompt.outdated)
    ))?;
    yes_or_no(asker, "Remember that (yes or no)? ").await
}

/// Whether a key may be given to the agent.
pub(super) async fn agent_key(asker: &mut Asker, prompt: &AgentKeyPrompt) -> io::Result<bool> {
    asker
        .permission(&format!(
            "Add the key {} ({}, {}) to the agent?",
            prompt.path.display(),
            prompt.comment,
            prompt.fingerprint
        ))
        .await
}

/// The questions of a round, or `None` if one is given up.
pub(super) async fn round(
    asker: &mut Asker,
    prompt: &KeyboardInteractivePrompt,
) -> io::Result<Option<Vec<Secret>>> {
    for text in [&prompt.name, &prompt.instructions] {
        if !text.is_empty() {
            asker.show(&format!("{}\n", text.trim_end()))?;
        }
    }
    // The server writes the questions: say whose they are.
    let asks = format!("({}@{}) ", prompt.user, prompt.host);
    let mut answers = Vec::with_capacity(prompt.questions.len());
    for question in &prompt.questions {
        let text = format!("{asks}{}", question.text);
        let Some(answer) = asker.line(&text, question.echo).await? else {
            return Ok(None);
        };
        answers.push(answer);
    }
    Ok(Some(answers))
}

/// Asks until the answer is clear.
pub(super) async fn yes_or_no(asker: &mut Asker, question: &str) -> io::Result<bool> {
    let mut question = question;
    for _ in 0..MOST_TRIES {
        let Some(answer) = asker.line(question, true).await? else {
            return Ok(false);
        };
        match answer.expose().trim() {
            yes if yes.eq_ignore_ascii_case("yes") => return Ok(true),
            no if no.is_empty() || no.eq_ignore_ascii_case("no") => return Ok(false),
            _ => question = "Please type yes or no: ",
        }
    }
    Ok(false)
}
