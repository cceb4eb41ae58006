//! Logging in with answers: the account's password (RFC 4252, section 8) and keyboard-interactive
//! (RFC 4256).

use russh::client::{AuthResult, KeyboardInteractiveAuthResponse};

use super::{Answer, Attempt};
use crate::error::{Error, ErrorKind, Result};
use crate::prompt::Question;
use crate::secret::Secret;

const PASSWORD_REFUSED: &str = "the password was not accepted";

impl Attempt<'_> {
    pub(super) async fn passwords(&mut self) -> Result<Option<Answer>> {
        let mut last = None;
        for attempt in 1..=self.host.password_prompts {
            let password = match self.password.take() {
                Some(password) => password,
                None => match self.asker.password(attempt).await? {
                    Some(password) => password,
                    None => break,
                },
            };
            let result = self
                .handle
                .authenticate_password(&self.host.user, password.expose())
                .await;
            match self.answer(result.map_err(|_| ())).await? {
                answer @ Answer::GoOn {
                    step_done: false, ..
                } => last = Some(answer),
                decided => return Ok(Some(decided)),
            }
        }
        if last.is_some() {
            self.notes.push(PASSWORD_REFUSED.into());
        }
        Ok(last)
    }

    pub(super) async fn keyboard_interactive(&mut self) -> Result<Option<Answer>> {
        let mut last = None;
        for _ in 0..self.host.password_prompts {
            if self.password.is_none() && !self.asker.can_ask() {
                break;
            }
            let (answer, declined) = self.conversation().await?;
            match answer {
                answer @ Answer::GoOn {
                    step_done: false, ..
                } => last = Some(answer),
                decided => return Ok(Some(decided)),
            }
            if declined {
                break;
            }
        }
        Ok(last)
    }

    /// One attempt by keyboard-interactive, and whether a question in it was declined.
    async fn conversation(&mut self) -> Result<(Answer, bool)> {
        let (mut declined, mut password_used) = (false, false);
        let mut round = self
            .handle
            .authenticate_keyboard_interactive_start(&self.host.user, None)
            .await;
        loop {
            match round {
                Ok(KeyboardInteractiveAuthResponse::Success) => {
                    return Ok((Answer::Accepted, declined));
                }
                Ok(KeyboardInteractiveAuthResponse::Failure {
                    remaining_methods,
                    partial_success,
                }) => {
                    if password_used && !partial_success {
                        self.notes.push(PASSWORD_REFUSED.into());
                    }
                    let failure = AuthResult::Failure {
                        remaining_methods,
                        partial_success,
                    };
                    return Ok((self.answer(Ok(failure)).await?, declined));
                }
                Ok(KeyboardInteractiveAuthResponse::InfoRequest {
                    name,
                    instructions,
                    prompts,
                }) => {
                    let questions: Vec<Question> = prompts
                        .into_iter()
                        .map(|prompt| Question {
                            text: prompt.prompt,
                            echo: prompt.echo,
                        })
                        .collect();
                    let count = questions.len();
                    let says_nothing = name.is_empty() && instructions.is_empty();
                    let answers = if declined || (count == 0 && says_nothing) {
                        None
                    } else if is_for_password(&questions) && self.password.is_some() {
                        password_used = true;
                        self.password.take().map(|password| vec![password])
                    } else {
                        let asking = self
                            .asker
                            .keyboard_interactive(name, instructions, questions);
                        let answers = asking.await?;
                        // What only tells something cannot be declined.
                        declined = answers.is_none() && count > 0;
                        answers
                    };
                    let answers = spelled(answers, count)?;
                    round = self
                        .handle
                        .authenticate_keyboard_interactive_respond(answers)
                        .await;
                }
                Err(_) => return Err(self.closed().await),
            }
        }
    }
}

/// As many answers as there are questions. The engine takes nothing but answers once a round has
/// begun, so declining too is to answer, with nothing, until the server gives up; ssh does the same.
fn spelled(answers: Option<Vec<Secret>>, count: usize) -> Result<Vec<String>> {
    match answers {
        Some(answers) if answers.len() != count => Err(Error::new(
            ErrorKind::InvalidInput,
            "authenticate",
            format!(
                "the prompter gave {} answers to {count} questions",
                answers.len()
            ),
        )),
        Some(answers) => Ok(answers.iter().map(|a| a.expose().to_owned()).collect()),
        None => Ok(vec![String::new(); count]),
    }
}

/// Whether the server asks for the account's password and nothing else: it must not be given to a
/// question for something else, which may come from elsewhere than the host.
fn is_for_password(questions: &[Question]) -> bool {
    matches!(questions, [only] if !only.echo && only.text.to_lowercase().contains("password"))
}
