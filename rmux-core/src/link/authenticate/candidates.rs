//! The keys to offer, and in which order: OpenSSH's, because servers give up after a few.
//!
//! Certificates that the user names come first, then what the agent holds of the identity files
//! (the `.pub` file of a key is enough), other keys of the agent unless they are ruled out, and
//! last the files the agent does not hold. Sends nothing and asks nobody.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::ssh_key::certificate::CertType;

use super::algorithm::Accepted;
use super::files::{Files, LeftOut};
use crate::link::agent::Held;
use crate::link::keys::{KeyFile, Public};

/// A key or certificate to offer.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    /// `None` where only the passphrase reveals it.
    pub(super) public: Option<Public>,
    /// Whether the agent holds exactly this.
    pub(super) in_agent: bool,
    /// Where the private half may be.
    pub(super) file: Option<Arc<KeyFile>>,
    /// The certificate's own file, where the user named it.
    certificate_file: Option<PathBuf>,
    /// What the agent calls it.
    comment: Option<String>,
    /// Not to be offered itself: its algorithm is not among those the user takes. It may sign for
    /// a certificate all the same.
    withheld: bool,
    pub(super) state: State,
}

/// What has become of a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Untried,
    Refused,
    /// Taken for one step, or of no use in any.
    Done,
}

/// What decides which keys are left out.
#[derive(Debug)]
pub(super) struct Rules<'a> {
    pub(super) accepted: &'a Accepted,
    pub(super) required_rsa_size: u32,
    pub(super) identities_only: bool,
}

/// All that can be offered, in order, and why the rest cannot.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    list: Vec<Candidate>,
    pub(super) left_out: Vec<LeftOut>,
}

impl Candidates {
    pub(super) fn arrange(files: Files, held: Vec<Held>, rules: &Rules<'_>) -> Self {
        let mut all = Self {
            left_out: files.left_out,
            ..Self::default()
        };
        let mut in_files = Vec::new();
        for (file, certificate) in files.identities {
            let file = Arc::new(file);
            let entry = |public| Candidate::new(public, Some(Arc::clone(&file)));
            in_files.push(entry(file.public.clone()));
            in_files.extend(certificate.map(|certificate| entry(Some(certificate))));
        }
        for (path, certificate) in files.certificates {
            let mut entry = Candidate::new(Some(certificate), None);
            entry.certificate_file = Some(path);
            all.list.push(entry);
        }
        let mut others = Vec::new();
        for key in held {
            let is_it = |entry: &Candidate| entry.is_of(&key.public);
            match in_files.iter().position(is_it) {
                Some(index) => {
                    let mut entry = in_files.remove(index);
                    entry.public = Some(key.public);
                    entry.in_agent = true;
                    all.list.push(entry);
                }
                None if rules.identities_only => {}
                None => {
                    let mut entry = Candidate::new(Some(key.public), None);
                    entry.in_agent = true;
                    entry.comment = Some(key.comment);
                    others.push(entry);
                }
            }
        }
        all.list.append(&mut others);
        all.list.append(&mut in_files);
        all.filter(rules);
        all
    }

    fn filter(&mut self, rules: &Rules<'_>) {
        let Self { list, left_out } = self;
        list.retain_mut(|candidate| {
            let Some(public) = &candidate.public else {
                return true;
            };
            if let Some(bits) = public.rsa_bits()
                && bits < rules.required_rsa_size
            {
                let least = rules.required_rsa_size;
                left_out.push(candidate.out(format!("{bits} bits are less than {least}")));
                return false;
            }
            if let Some(certificate) = public.certificate()
                && certificate.cert_type() != CertType::User
            {
                left_out.push(candidate.out("it is no user certificate".into()));
                return false;
            }
            candidate.withheld = !rules.accepted.allows(public);
            if candidate.withheld {
                tracing::debug!(
                    "Skipping {}: its algorithm is not in PubkeyAcceptedAlgorithms",
                    candidate.label()
                );
            }
            true
        });
        self.merge_twins();
        for index in 0..self.list.len() {
            let candidate = &self.list[index];
            if !candidate.withheld && self.signer_of(index).is_none() {
                self.left_out.push(candidate.out(candidate.unusable()));
                self.list[index].state = State::Done;
            }
        }
    }

    /// What is named twice is offered once: in the first one's place, by whichever can sign.
    fn merge_twins(&mut self) {
        let mut once: Vec<Candidate> = Vec::new();
        for candidate in std::mem::take(&mut self.list) {
            let twin = once
                .iter_mut()
                .find(|other| match (&other.public, &candidate.public) {
                    (Some(one), Some(two)) => one.is(two),
                    _ => false,
                });
            match twin {
                Some(twin) if twin.can_sign() || !candidate.can_sign() => {}
                Some(twin) => *twin = candidate,
                None => once.push(candidate),
            }
        }
        self.list = once;
    }

    /// Who makes the signature for what `index` shows. For a certificate that is first of all who
    /// has its key; see `sign_and_send_pubkey` of OpenSSH.
    pub(super) fn signer_of(&self, index: usize) -> Option<&Candidate> {
        let candidate = &self.list[index];
        if let Some(public) = &candidate.public
            && public.certificate().is_some()
        {
            let has_key = |other: &&Candidate| {
                other.can_sign()
                    && other
                        .public
                        .as_ref()
                        .is_some_and(|key| key.certificate().is_none() && key.shares_key(public))
            };
            if let Some(signer) = self.list.iter().find(has_key) {
                return Some(signer);
            }
            // A private key that does not show its public half, by its name.
            let is_named_so = |other: &&Candidate| {
                other.public.is_none()
                    && match (&candidate.certificate_file, &other.file) {
                        (Some(certificate), Some(file)) => {
                            is_certificate_of(certificate, &file.path)
                        }
                        _ => false,
                    }
            };
            if let Some(signer) = self.list.iter().find(is_named_so) {
                return Some(signer);
            }
        }
        candidate.can_sign().then_some(candidate)
    }

    pub(super) fn get(&self, index: usize) -> &Candidate {
        &self.list[index]
    }

    /// The next one to try.
    pub(super) fn next(&self) -> Option<usize> {
        let mut list = self.list.iter();
        list.position(|candidate| candidate.state == State::Untried && !candidate.withheld)
    }

    /// Whether there is anything to offer at all.
    pub(super) fn is_empty(&self) -> bool {
        self.next().is_none()
    }

    pub(super) fn mark(&mut self, index: usize, state: State) {
        self.list[index].state = state;
    }

    /// The server took a key for one step and wants more: those that it refused before may do for
    /// the next, after those it has not seen. A key that was taken does not count twice, as a
    /// certificate for it does not.
    pub(super) fn begin_step(&mut self, taken: Option<usize>) {
        let taken = taken.and_then(|index| self.list[index].public.clone());
        for candidate in &mut self.list {
            let same = match (&candidate.public, &taken) {
                (Some(public), Some(taken)) => public.shares_key(taken),
                _ => false,
            };
            if same {
                candidate.state = State::Done;
            }
        }
        self.list
            .sort_by_key(|candidate| candidate.state != State::Untried);
        for candidate in &mut self.list {
            if candidate.state == State::Refused {
                candidate.state = State::Untried;
            }
        }
    }

    /// For the log.
    pub(super) fn describe(&self) {
        for candidate in self.list.iter().filter(|candidate| !candidate.withheld) {
            tracing::debug!("Will attempt key: {}", candidate.description());
        }
    }
}

impl Candidate {
    fn new(public: Option<Public>, file: Option<Arc<KeyFile>>) -> Self {
        Self {
            public,
            in_agent: false,
            file,
            certificate_file: None,
            comment: None,
            withheld: false,
            state: State::Untried,
        }
    }

    /// Whether an agent's key is the one meant.
    fn is_of(&self, held: &Public) -> bool {
        let stray = self.file.as_ref().and_then(|file| file.stray.as_ref());
        let plain = self
            .public
            .as_ref()
            .is_none_or(|own| own.certificate().is_none());
        self.public.as_ref().is_some_and(|own| own.is(held))
            || (plain && stray.is_some_and(|stray| stray.is(held)))
    }

    fn can_sign(&self) -> bool {
        let usable = |file: &Arc<KeyFile>| file.unusable.is_none();
        self.in_agent || self.file.as_ref().is_some_and(usable)
    }

    fn unusable(&self) -> String {
        let file = self.file.as_ref().and_then(|file| file.unusable.clone());
        file.unwrap_or_else(|| "there is no private key for it".into())
    }

    fn out(&self, why: String) -> LeftOut {
        LeftOut {
            identity_file: self.file.is_some(),
            why: format!("{}: {why}", self.label()),
        }
    }

    /// What messages call it.
    pub(super) fn label(&self) -> String {
        match (&self.comment, &self.certificate_file, &self.file) {
            (Some(comment), ..) => format!("agent key {comment:?}"),
            (None, Some(path), _) => format!("certificate file {}", path.display()),
            (None, None, Some(file)) => format!("identity file {}", file.path.display()),
            (None, None, None) => "key".to_owned(),
        }
    }

    /// What the log calls it.
    pub(super) fn description(&self) -> String {
        let mut text = self.label();
        if let Some(public) = &self.public {
            text += " ";
            text += &public.description();
        }
        if self.in_agent && self.comment.is_none() {
            text += " agent";
        }
        text
    }
}

/// Whether the names say that the certificate belongs to the key.
fn is_certificate_of(certificate: &Path, key: &Path) -> bool {
    [".pub", "-cert.pub"].iter().any(|ending| {
        let mut name = key.as_os_str().to_owned();
        name.push(ending);
        name == certificate.as_os_str()
    }) || certificate == key
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use tempfile::TempDir;

    use super::*;
    use crate::host::Host;
    use crate::link::keys::public_file;

    fn folder(keys: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for key in keys {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f", key])
                .current_dir(folder.path())
                .status();
            assert!(made.expect("ssh-keygen runs").success());
        }
        folder
    }

    fn arrange(identities: &[PathBuf], held: &[PathBuf]) -> Candidates {
        let held = held.iter().map(|path| Held {
            public: public_file(path).unwrap(),
            comment: "held".into(),
        });
        let rules = Rules {
            accepted: &Accepted::of(&Host::example()),
            required_rsa_size: 1024,
            identities_only: false,
        };
        Candidates::arrange(Files::read(identities, &[]), held.collect(), &rules)
    }

    fn labels(candidates: &Candidates) -> Vec<String> {
        let usable = |candidate: &&Candidate| candidate.state != State::Done;
        let list = candidates.list.iter().filter(usable);
        list.map(Candidate::label).collect()
    }

    #[test]
    fn one_key_by_two_names_is_offered_once_by_whichever_can_sign() {
        let folder = folder(&["a"]);
        let (key, public) = (folder.path().join("a"), folder.path().join("a.pub"));
        let found = arrange(&[public.clone(), key.clone(), key.clone()], &[]);
        assert_eq!(labels(&found), [format!("identity file {}", key.display())]);
        // The agent's is another way to the same: it is asked first, and once.
        let found = arrange(&[public.clone(), key], std::slice::from_ref(&public));
        assert_eq!(found.list.len(), 1);
        assert!(found.list[0].in_agent);
    }

    #[test]
    fn a_public_file_of_another_key_counts_where_the_agent_holds_that() {
        let folder = folder(&["a", "b"]);
        let at = |name: &str| folder.path().join(name);
        std::fs::copy(at("b.pub"), at("a.pub")).unwrap();
        let own = arrange(&[at("a")], &[]);
        let shown = own.list[0].public.clone().unwrap();
        assert!(!shown.is(&public_file(&at("b.pub")).unwrap()));
        let held = arrange(&[at("a")], &[at("b.pub")]);
        assert_eq!(held.list.len(), 1);
        assert!(held.list[0].in_agent && !held.list[0].public.as_ref().unwrap().is(&shown));
    }

    #[test]
    fn a_further_step_begins_with_what_was_not_tried_and_leaves_out_what_was_taken() {
        let folder = folder(&["a", "b", "c"]);
        let paths = ["a", "b", "c"].map(|name| folder.path().join(name));
        let mut all = arrange(&paths, &[]);
        let label = |index: usize| format!("identity file {}", paths[index].display());
        all.mark(0, State::Refused);
        assert_eq!(all.next(), Some(1));
        all.begin_step(Some(1));
        let left: Vec<String> = std::iter::from_fn(|| {
            let next = all.next()?;
            all.mark(next, State::Refused);
            Some(all.get(next).label())
        })
        .collect();
        assert_eq!(left, [label(2), label(0)]);
        assert!(all.is_empty());
    }

    #[test]
    fn what_nobody_can_sign_for_is_left_out_and_named() {
        let folder = folder(&["a"]);
        let key = folder.path().join("a");
        std::fs::remove_file(&key).unwrap();
        let found = arrange(&[key], &[]);
        assert!(found.is_empty());
        assert!(found.left_out[0].identity_file, "{:?}", found.left_out);
    }
}
