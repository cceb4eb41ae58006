//! The requests that wait for their replies.
//!
//! Replies may come in any order, but one for each request and of a kind that fits. A request that
//! nobody waits for any more stays here until its reply has come: its number is not free before.

use std::collections::HashMap;

use super::{Expect, Frame, Reply, StatusCode, Violation};

/// Requests that wait for their replies, each with something of the caller's.
#[derive(Debug)]
pub struct Requests<T> {
    waiting: HashMap<u32, (Expect, T)>,
    next: u32,
    /// Every number was in use once.
    wrapped: bool,
}

impl<T> Default for Requests<T> {
    fn default() -> Self {
        Self {
            waiting: HashMap::new(),
            next: 0,
            wrapped: false,
        }
    }
}

impl<T> Requests<T> {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps `waiter` until the reply has come, under a number that no other request has.
    ///
    /// # Panics
    /// With 2³² requests under way.
    pub fn insert(&mut self, expect: Expect, waiter: T) -> u32 {
        assert!(self.waiting.len() < u32::MAX as usize, "no number is free");
        while self.waiting.contains_key(&self.next) {
            self.step();
        }
        let id = self.next;
        self.step();
        self.waiting.insert(id, (expect, waiter));
        id
    }

    /// Reads a reply, and gives back who waits for it.
    ///
    /// # Errors
    /// [`Violation`]: a reply that cannot be read, to nothing that was asked, or that does not fit.
    /// The waiter of such a reply stays, for [`drain`](Self::drain).
    pub fn answer(&mut self, frame: Frame) -> Result<(T, Reply), Violation> {
        let id = frame.id;
        let Some((expect, _)) = self.waiting.get(&id) else {
            return Err(if self.wrapped || id < self.next {
                Violation::AnsweredTwice(id)
            } else {
                Violation::Unasked(id)
            });
        };
        let expect = *expect;
        let reply = Reply::decode(frame)?;
        check(id, expect, &reply)?;
        let (_, waiter) = self.waiting.remove(&id).expect("it was found above");
        Ok((waiter, reply))
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Gives back all who wait: no reply will come.
    pub fn drain(&mut self) -> impl Iterator<Item = T> {
        self.waiting.drain().map(|(_, (_, waiter))| waiter)
    }

    fn step(&mut self) {
        self.next = self.next.wrapping_add(1);
        self.wrapped |= self.next == 0;
    }
}

fn check(id: u32, expect: Expect, reply: &Reply) -> Result<(), Violation> {
    match (expect, reply) {
        (Expect::Done, Reply::Status(_))
        | (Expect::Handle, Reply::Handle(_))
        | (Expect::Names, Reply::Names(_))
        | (Expect::Attributes, Reply::Attributes(_))
        | (Expect::Extended, Reply::Extended(_)) => Ok(()),
        (Expect::Data(asked), Reply::Data(data)) => {
            let got = data.len();
            if got > asked as usize {
                return Err(Violation::TooMuchData { id, asked, got });
            }
            Ok(())
        }
        (Expect::Name, Reply::Names(names)) => match names.len() {
            1 => Ok(()),
            got => Err(Violation::NotOneName { id, got }),
        },
        (_, Reply::Status(status)) if status.code == StatusCode::Ok => {
            Err(Violation::EmptySuccess(id))
        }
        (_, Reply::Status(_)) => Ok(()),
        (_, other) => Err(Violation::WrongKind {
            id,
            kind: other.kind(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::{Frames, Status};
    use super::*;

    fn frame(reply: &Reply, id: u32) -> Frame {
        Frames::new()
            .next(&mut Bytes::from(reply.encode(id)))
            .unwrap()
            .expect("it is whole")
    }

    fn status(code: StatusCode) -> Reply {
        Reply::Status(Status::new(code, ""))
    }

    #[test]
    fn replies_in_any_order_reach_who_asked() {
        let mut requests = Requests::new();
        let ids: Vec<u32> = (0..100).map(|n| requests.insert(Expect::Done, n)).collect();
        for n in (0..100).rev() {
            let (who, _) = requests
                .answer(frame(&status(StatusCode::Ok), ids[n]))
                .unwrap();
            assert_eq!(who, n);
        }
        assert!(requests.is_empty());
    }

    #[test]
    fn a_second_reply_and_one_to_nothing_are_told_apart() {
        let mut requests = Requests::new();
        let id = requests.insert(Expect::Done, ());
        let reply = frame(&status(StatusCode::Failure), id);
        requests.answer(reply.clone()).unwrap();
        assert_eq!(requests.answer(reply), Err(Violation::AnsweredTwice(id)));
        let stranger = frame(&status(StatusCode::Ok), 77);
        assert_eq!(requests.answer(stranger), Err(Violation::Unasked(77)));
    }

    #[test]
    fn numbers_in_use_are_passed_over_when_they_come_round() {
        let mut requests = Requests::new();
        let first = requests.insert(Expect::Done, "old");
        requests.next = u32::MAX;
        assert_eq!(requests.insert(Expect::Done, "last"), u32::MAX);
        assert_eq!(requests.insert(Expect::Done, "new"), first + 1);
        let reply = frame(&status(StatusCode::Ok), first);
        assert_eq!(requests.answer(reply).unwrap().0, "old");
    }

    #[test]
    fn what_does_not_fit_is_refused_and_its_waiter_stays() {
        let mut requests = Requests::new();
        let data = |length: usize| Reply::Data(Bytes::from(vec![b'x'; length]).into());
        let id = requests.insert(Expect::Data(3), ());
        assert_eq!(
            requests.answer(frame(&data(4), id)),
            Err(Violation::TooMuchData {
                id,
                asked: 3,
                got: 4
            })
        );
        assert_eq!(
            requests.answer(frame(&Reply::Handle(Bytes::new()), id)),
            Err(Violation::WrongKind { id, kind: 102 })
        );
        assert_eq!(
            requests.answer(frame(&status(StatusCode::Ok), id)),
            Err(Violation::EmptySuccess(id))
        );
        requests
            .answer(frame(&status(StatusCode::Eof), id))
            .unwrap();
        let id = requests.insert(Expect::Name, ());
        assert_eq!(
            requests.answer(frame(&Reply::Names(Vec::new()), id)),
            Err(Violation::NotOneName { id, got: 0 })
        );
        assert_eq!(requests.drain().count(), 1);
    }
}
